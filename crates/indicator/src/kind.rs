//! The kinds of things that can be known to be bad.

use std::{fmt, str::FromStr};

/// What an indicator is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An IPv4 or IPv6 address.
    Address,
    /// A network of addresses.
    Network,
    /// A domain with everything below it.
    Domain,
    /// A URL.
    Url,
    /// A file's (or certificate's) MD5.
    Md5,
    /// Its SHA-1.
    Sha1,
    /// Its SHA-256.
    Sha256,
    /// Its SHA-512.
    Sha512,
    /// A mail address.
    Mail,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Address,
        Kind::Network,
        Kind::Domain,
        Kind::Url,
        Kind::Md5,
        Kind::Sha1,
        Kind::Sha256,
        Kind::Sha512,
        Kind::Mail,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Address => "address",
            Kind::Network => "network",
            Kind::Domain => "domain",
            Kind::Url => "url",
            Kind::Md5 => "md5",
            Kind::Sha1 => "sha1",
            Kind::Sha256 => "sha256",
            Kind::Sha512 => "sha512",
            Kind::Mail => "mail",
        }
    }

    /// What ECS says in `threat.indicator.type` (STIX's type of observable).
    pub const fn ecs_type(self, v6: bool) -> &'static str {
        match self {
            Kind::Address | Kind::Network if v6 => "ipv6-addr",
            Kind::Address | Kind::Network => "ipv4-addr",
            Kind::Domain => "domain-name",
            Kind::Url => "url",
            Kind::Md5 | Kind::Sha1 | Kind::Sha256 | Kind::Sha512 => "file",
            Kind::Mail => "email-addr",
        }
    }

    /// The kind of hash that so many hexadecimal digits are.
    pub(crate) const fn of_hash_digits(digits: usize) -> Option<Kind> {
        Some(match digits {
            32 => Kind::Md5,
            40 => Kind::Sha1,
            64 => Kind::Sha256,
            128 => Kind::Sha512,
            _ => return None,
        })
    }

    /// How many bytes a hash of this kind has.
    pub(crate) const fn hash_bytes(self) -> Option<usize> {
        Some(match self {
            Kind::Md5 => 16,
            Kind::Sha1 => 20,
            Kind::Sha256 => 32,
            Kind::Sha512 => 64,
            _ => return None,
        })
    }

    pub(crate) const fn is_hash(self) -> bool {
        self.hash_bytes().is_some()
    }

    pub(crate) fn from_number(number: u8) -> Kind {
        Kind::ALL[usize::from(number) % Kind::ALL.len()]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("`{text}` is not a kind of indicator: {}", names.join(", "))
        })
    }
}
