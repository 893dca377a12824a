//! Addresses and ports as logs write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with what stood beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// An address, and a port if one was given.
    Ip(IpAddr, Option<u16>),
    /// Not an address: a host name, and a port if one was given.
    Name(&'a str, Option<u16>),
}

/// Reads `192.0.2.7`, `192.0.2.7:80`, `[2001:db8::1]:80`, `::ffff:192.0.2.7`, `fe80::1%eth0`, `host:80`, `host`.
pub(crate) fn parse(text: &str) -> Option<Address<'_>> {
    let text = text.trim();
    if let Some(ip) = ip(text) {
        return Some(Address::Ip(ip, None));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && let Ok(port) = port.parse()
    {
        if let Some(ip) = ip(host) {
            return Some(Address::Ip(ip, Some(port)));
        }
        return is_name(host).then_some(Address::Name(host, Some(port)));
    }
    is_name(text).then_some(Address::Name(text, None))
}

/// The address in its canonical form: brackets, zone and the IPv4-mapped prefix removed.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    // Anything longer is no address, and need not be looked at.
    if text.len() > 64 || text.is_empty() {
        return None;
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(ip));
    }
    if !text.contains(':') {
        return None;
    }
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let inner = inner.split_once('%').map_or(inner, |(ip, _)| ip);
    let ip: Ipv6Addr = inner.parse().ok()?;
    Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text != "-"
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte) || byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_logs_write_them() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7 -"),
            ("192.0.2.7:80", "192.0.2.7 80"),
            ("::ffff:192.0.2.7", "192.0.2.7 -"),
            ("[2001:DB8::1]:443", "2001:db8::1 443"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1 -"),
            ("fe80::1%eth0", "fe80::1 -"),
            ("host.example:80", "name host.example 80"),
            ("host", "name host -"),
            ("-", "none"),
            ("a b", "none"),
            ("", "none"),
        ] {
            let port = |port: Option<u16>| port.map_or("-".into(), |port| port.to_string());
            let read = match parse(text) {
                Some(Address::Ip(ip, at)) => format!("{ip} {}", port(at)),
                Some(Address::Name(name, at)) => format!("name {name} {}", port(at)),
                None => "none".into(),
            };
            assert_eq!(read, expected, "{text}");
        }
    }
}
