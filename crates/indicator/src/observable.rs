//! A thing that can be seen in an event, in its normal form.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{Kind, Unfit, normal};

/// Hashes of the empty file, which would be found everywhere: MD5, SHA-1, SHA-256, SHA-512.
const EMPTY_FILE: [&str; 4] = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
];

/// An address, network, domain, URL, hash or mail address in its normal form; equal things are equal.
///
/// ```
/// use vedette_indicator::{Kind, Observable};
///
/// let domain = Observable::read(Kind::Domain, "EVIL[.]example.").unwrap();
/// assert_eq!(domain.to_string(), "evil.example");
/// assert!(Observable::read(Kind::Network, "0.0.0.0/0").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observable {
    kind: Kind,
    /// The bytes of an address, of a network's first address and its length, of a hash; else text.
    key: Box<[u8]>,
}

impl Observable {
    /// Reads a text as a kind; what was made harmless (`hxxp://`, `[.]`) is made whole again. A network of one address is an address, and
    /// so is the other way round: either is taken for both.
    ///
    /// # Errors
    /// If it is not of this kind, or would be found everywhere.
    pub fn read(kind: Kind, text: &str) -> Result<Observable, Unfit> {
        let text = normal::refang(text);
        let text: &str = &text;
        let mut key = Vec::new();
        match kind {
            Kind::Address | Kind::Network if text.contains('/') => {
                let (first, length) = normal::network(text)?;
                return Observable::of_network(first, length);
            }
            Kind::Address | Kind::Network => {
                return Observable::of_address(normal::address(text).ok_or(Unfit::Address)?);
            }
            Kind::Domain => {
                if normal::domain(text, &mut key)? < 2 {
                    return Err(Unfit::TopLevel);
                }
            }
            Kind::Url => {
                normal::url(text, &mut key)?;
            }
            Kind::Mail => {
                normal::mail(text, &mut key)?;
            }
            Kind::Md5 | Kind::Sha1 | Kind::Sha256 | Kind::Sha512 => {
                if normal::hash(text, &mut key)? != kind {
                    return Err(Unfit::Hash);
                }
                if EMPTY_FILE.iter().any(|empty| text.eq_ignore_ascii_case(empty)) {
                    return Err(Unfit::EmptyFile);
                }
            }
        }
        Ok(Observable { kind, key: key.into() })
    }

    /// Reads a text as what it looks like, with the port behind an address or a domain.
    ///
    /// # Errors
    /// If it looks like none of the kinds, or would be found everywhere.
    pub fn guess(text: &str) -> Result<(Observable, Option<u16>), Unfit> {
        let text = normal::refang(text);
        let text: &str = &text;
        let alone = |observable: Result<Observable, Unfit>| observable.map(|observable| (observable, None));
        if text.contains("://") {
            return alone(Observable::read(Kind::Url, text));
        }
        if let Some(address) = normal::address(text) {
            return alone(Observable::of_address(address));
        }
        if let Some((address, port)) = normal::address_and_port(text) {
            return Ok((Observable::of_address(address)?, Some(port)));
        }
        match normal::network(text) {
            Ok((first, length)) => return alone(Observable::of_network(first, length)),
            Err(Unfit::Wide) => return Err(Unfit::Wide),
            Err(_) => {}
        }
        if let Some(kind) =
            Kind::of_hash_digits(text.len()).filter(|_| text.bytes().all(|digit| digit.is_ascii_hexdigit()))
        {
            return alone(Observable::read(kind, text));
        }
        if text.contains('/') {
            return alone(Observable::read(Kind::Url, text).map_err(|_| Unfit::Shapeless));
        }
        if text.contains('@') {
            return alone(Observable::read(Kind::Mail, text).map_err(|_| Unfit::Shapeless));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(normal::port(port).ok_or(Unfit::Shapeless)?)),
            None => (text, None),
        };
        match Observable::read(Kind::Domain, host) {
            Ok(domain) => Ok((domain, port)),
            Err(Unfit::TopLevel) => Err(Unfit::TopLevel),
            Err(_) => Err(Unfit::Shapeless),
        }
    }

    fn of_address(address: IpAddr) -> Result<Observable, Unfit> {
        let everybodys =
            address.is_loopback() || address.is_unspecified() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if everybodys {
            return Err(Unfit::Everybodys);
        }
        Ok(Observable { kind: Kind::Address, key: address_key(address).as_slice().into() })
    }

    fn of_network(first: IpAddr, length: u8) -> Result<Observable, Unfit> {
        let width = if first.is_ipv4() { 32 } else { 128 };
        if length == width {
            return Observable::of_address(first);
        }
        if first.is_loopback() {
            return Err(Unfit::Everybodys);
        }
        let mut key = address_key(first).as_slice().to_vec();
        key.push(length);
        Ok(Observable { kind: Kind::Network, key: key.into() })
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// True for an IPv6 address or network.
    pub fn is_v6(&self) -> bool {
        matches!(self.kind, Kind::Address | Kind::Network) && self.key.len() > 5
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What [`key`](Self::key) gave, back again.
    pub(crate) fn from_key(kind: Kind, key: &[u8]) -> Observable {
        Observable { kind, key: key.into() }
    }

    /// The first address of a network and its length.
    pub(crate) fn network(&self) -> Option<(IpAddr, u8)> {
        let (length, first) = self.key.split_last().filter(|_| self.kind == Kind::Network)?;
        Some((key_address(first)?, *length))
    }
}

/// The bytes of an address without an allocation.
#[derive(Clone, Copy)]
pub(crate) enum AddressKey {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl AddressKey {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            AddressKey::V4(bytes) => bytes,
            AddressKey::V6(bytes) => bytes,
        }
    }
}

pub(crate) fn address_key(address: IpAddr) -> AddressKey {
    match address {
        IpAddr::V4(v4) => AddressKey::V4(v4.octets()),
        IpAddr::V6(v6) => AddressKey::V6(v6.octets()),
    }
}

fn key_address(key: &[u8]) -> Option<IpAddr> {
    match key.len() {
        4 => <[u8; 4]>::try_from(key).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        _ => <[u8; 16]>::try_from(key).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
    }
}

impl fmt::Display for Observable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_hash() {
            return self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        }
        if let Some((first, length)) = self.network() {
            return write!(f, "{first}/{length}");
        }
        match (self.kind, key_address(&self.key)) {
            (Kind::Address, Some(address)) => write!(f, "{address}"),
            _ => f.write_str(&String::from_utf8_lossy(&self.key)),
        }
    }
}

impl fmt::Debug for Observable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_what_they_look_like() {
        for (text, want) in [
            ("192.0.2.7", "address:192.0.2.7 -"),
            ("192.0.2.7:443", "address:192.0.2.7 443"),
            ("[2001:DB8::1]:443", "address:2001:db8::1 443"),
            ("2001:db8::1", "address:2001:db8::1 -"),
            ("192.0.2.7/32", "address:192.0.2.7 -"),
            ("192.0.2.7/24", "network:192.0.2.0/24 -"),
            ("2001:db8::/33", "network:2001:db8::/33 -"),
            ("evil[.]example", "domain:evil.example -"),
            ("evil.example:8443", "domain:evil.example 8443"),
            ("hxxp://EVIL.example/A", "url:http://evil.example/A -"),
            ("evil.example/a", "url://evil.example/a -"),
            ("bob@evil.example", "mail:bob@evil.example -"),
            ("900150983CD24FB0D6963F7D28E17F72", "md5:900150983cd24fb0d6963f7d28e17f72 -"),
            ("127.0.0.1", "an address that every machine has"),
            ("127.0.0.0/8", "an address that every machine has"),
            ("0.0.0.0/0", "a network too wide to say anything (IPv4 below /8, IPv6 below /16)"),
            ("com", "a domain of one label"),
            ("D41D8CD98F00B204E9800998ECF8427E", "the hash of the empty file"),
            ("192.0.2.1-192.0.2.9", "neither address, network, domain, URL, hash nor mail address"),
            ("", "neither address, network, domain, URL, hash nor mail address"),
            ("a b", "neither address, network, domain, URL, hash nor mail address"),
        ] {
            let got = match Observable::guess(text) {
                Ok((observable, port)) => {
                    format!("{observable:?} {}", port.map_or("-".into(), |port| port.to_string()))
                }
                Err(unfit) => unfit.to_string(),
            };
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn empty_files_are_known() {
        for empty in EMPTY_FILE {
            assert_eq!(Observable::guess(empty), Err(Unfit::EmptyFile));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["192.0.2.7", "2001:db8::/33", "a.evil.example", "https://evil.example/x", "bob@evil.example"] {
            let (observable, _) = Observable::guess(text).unwrap();
            assert_eq!(Observable::read(observable.kind(), &observable.to_string()), Ok(observable));
        }
    }
}
