//! Networks: `10.0.0.0/8`, `fe80::/10`.

use std::net::IpAddr;

/// A network, IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cidr {
    v6: bool,
    bits: u128,
    mask: u128,
}

impl Cidr {
    /// A network as rules write it; a bare address is a network of one.
    pub(crate) fn parse(text: &str) -> Option<Cidr> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv6() { 128 } else { 32 };
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        if length > width {
            return None;
        }
        let host_bits = width - length;
        let mask = if host_bits == 128 { 0 } else { u128::MAX << host_bits };
        Some(Cidr { v6: address.is_ipv6(), bits: bits(address) & mask, mask })
    }

    /// Whether the text is an address of this network.
    pub(crate) fn contains(&self, text: &str) -> bool {
        text.parse().is_ok_and(|address| self.has(address))
    }

    /// Whether it is an address of this network. IPv4 written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4 too.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let within = |address: IpAddr| address.is_ipv6() == self.v6 && bits(address) & self.mask == self.bits;
        within(address) || within(address.to_canonical())
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_both_families() {
        for (network, address, want) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "10.0.0.1.example", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fe80::/10", "FE80::1", true),
            ("::/0", "2001:db8::1", true),
            ("::1/128", "0:0:0:0:0:0:0:1", true),
            ("::ffff:0:0/96", "::ffff:1.2.3.4", true),
        ] {
            assert_eq!(Cidr::parse(network).unwrap().contains(address), want, "{address} in {network}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "fe80::/129", "10.0.0.0/", "10.0.0.0/+8", "host/8"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
