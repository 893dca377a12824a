//! What columns of CSV feeds are called: abuse.ch (ThreatFox, URLhaus, MalwareBazaar, Feodo Tracker, SSLBL), MISP's export, OTX, and the like.

use crate::Kind;

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// A value of any kind; a type column may say which.
    Value,
    /// A value of this kind.
    Of(Kind),
    /// A hash; its length says which.
    Hash,
    /// Address or domain.
    Host,
    Type,
    Port,
    From,
    Until,
    Confidence,
    /// What it is called; of several the first that says something counts.
    Name,
    Labels,
    Reference,
    ToIds,
}

/// Names in lower case, blanks and hyphens as `_`.
const NAMES: &[(&str, Column)] = &[
    ("ioc", Column::Value),
    ("ioc_value", Column::Value),
    ("indicator", Column::Value),
    ("indicator_value", Column::Value),
    ("observable", Column::Value),
    ("value", Column::Value),
    ("ip", Column::Of(Kind::Address)),
    ("ipv4", Column::Of(Kind::Address)),
    ("ipv6", Column::Of(Kind::Address)),
    ("ip_address", Column::Of(Kind::Address)),
    ("ipaddress", Column::Of(Kind::Address)),
    ("dst_ip", Column::Of(Kind::Address)),
    ("src_ip", Column::Of(Kind::Address)),
    ("dstip", Column::Of(Kind::Address)),
    ("cidr", Column::Of(Kind::Address)),
    ("network", Column::Of(Kind::Address)),
    ("netblock", Column::Of(Kind::Address)),
    ("domain", Column::Of(Kind::Domain)),
    ("domain_name", Column::Of(Kind::Domain)),
    ("fqdn", Column::Of(Kind::Domain)),
    ("host", Column::Host),
    ("hostname", Column::Host),
    ("url", Column::Of(Kind::Url)),
    ("hash", Column::Hash),
    ("file_hash", Column::Hash),
    ("md5", Column::Of(Kind::Md5)),
    ("md5_hash", Column::Of(Kind::Md5)),
    ("sha1", Column::Of(Kind::Sha1)),
    ("sha1_hash", Column::Of(Kind::Sha1)),
    ("sha256", Column::Of(Kind::Sha256)),
    ("sha256_hash", Column::Of(Kind::Sha256)),
    ("sha512", Column::Of(Kind::Sha512)),
    ("sha512_hash", Column::Of(Kind::Sha512)),
    ("email", Column::Of(Kind::Mail)),
    ("email_address", Column::Of(Kind::Mail)),
    ("mail", Column::Of(Kind::Mail)),
    ("type", Column::Type),
    ("ioc_type", Column::Type),
    ("indicator_type", Column::Type),
    ("port", Column::Port),
    ("dst_port", Column::Port),
    ("dstport", Column::Port),
    ("first_seen", Column::From),
    ("first_seen_utc", Column::From),
    ("firstseen", Column::From),
    ("dateadded", Column::From),
    ("date_added", Column::From),
    ("listingdate", Column::From),
    ("valid_from", Column::From),
    ("date", Column::From),
    ("created", Column::From),
    ("valid_until", Column::Until),
    ("expires", Column::Until),
    ("expiration", Column::Until),
    ("expiration_date", Column::Until),
    ("expiry", Column::Until),
    ("confidence", Column::Confidence),
    ("confidence_level", Column::Confidence),
    ("confidence_score", Column::Confidence),
    ("malware_printable", Column::Name),
    ("malware", Column::Name),
    ("signature", Column::Name),
    ("threat", Column::Name),
    ("name", Column::Name),
    ("title", Column::Name),
    ("description", Column::Name),
    ("comment", Column::Name),
    ("listingreason", Column::Name),
    ("tags", Column::Labels),
    ("tag", Column::Labels),
    ("labels", Column::Labels),
    ("threat_type", Column::Labels),
    ("category", Column::Labels),
    ("attribute_tag", Column::Labels),
    ("uuid", Column::Reference),
    ("ioc_id", Column::Reference),
    ("id", Column::Reference),
    ("urlhaus_link", Column::Reference),
    ("link", Column::Reference),
    ("reference", Column::Reference),
    ("to_ids", Column::ToIds),
];

/// What a header's cell means.
pub(super) fn column(name: &str) -> Option<Column> {
    let name = name.trim().trim_start_matches('#').trim().trim_matches('"');
    if name.len() > 32 {
        return None;
    }
    let name = name.to_ascii_lowercase().replace([' ', '-'], "_");
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
}

impl Column {
    pub(super) fn is_value(self) -> bool {
        matches!(self, Column::Value | Column::Of(_) | Column::Hash | Column::Host)
    }
}

/// How a type column's word is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Of(Kind),
    Hash,
    Host,
    /// An address with a port behind it.
    AddressPort,
    /// MISP's two values with `|` between them, and what else only MISP names.
    Composite,
}

/// What a word for a type means; none if there is no look-up for it.
pub(super) fn typed(word: &str) -> Option<Typed> {
    let word = word.trim();
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace([' ', '_'], "-");
    Some(match word.as_str() {
        "ip" | "ipv4" | "ipv6" | "ip-src" | "ip-dst" | "ipv4-addr" | "ipv6-addr" | "ip-address" | "address"
        | "cidr" | "ipv4-cidr" | "netblock" | "network" => Typed::Of(Kind::Address),
        "ip:port" => Typed::AddressPort,
        "domain" | "domain-name" | "fqdn" => Typed::Of(Kind::Domain),
        "hostname" | "host" => Typed::Host,
        "url" | "uri" => Typed::Of(Kind::Url),
        "md5" | "md5-hash" | "filehash-md5" | "x509-fingerprint-md5" => Typed::Of(Kind::Md5),
        "sha1" | "sha1-hash" | "filehash-sha1" | "x509-fingerprint-sha1" | "sha-1" => Typed::Of(Kind::Sha1),
        "sha256" | "sha256-hash" | "filehash-sha256" | "x509-fingerprint-sha256" | "sha-256" => Typed::Of(Kind::Sha256),
        "sha512" | "sha512-hash" | "filehash-sha512" | "sha-512" => Typed::Of(Kind::Sha512),
        "hash" | "file" => Typed::Hash,
        "email" | "email-src" | "email-dst" | "email-addr" | "email-address" | "mail" | "email-reply-to" => {
            Typed::Of(Kind::Mail)
        }
        "ip-src|port" | "ip-dst|port" | "domain|ip" | "hostname|port" | "malware-sample" => Typed::Composite,
        other if other.starts_with("filename|") => Typed::Composite,
        _ => return None,
    })
}

/// Whether a file that begins so has columns that are known.
pub(super) fn is_table(head: &str) -> bool {
    head.lines().take(64).any(|line| header(line).is_some())
}

/// The columns of a header line and what separates them; none if it is not one. A list of domains that begins with `domain` is one.
pub(super) fn header(line: &str) -> Option<(Vec<Option<Column>>, char)> {
    if line.len() > 4096 {
        return None;
    }
    let line = line.trim().trim_start_matches('#').trim();
    [',', ';', '\t', '|'].into_iter().find_map(|separator| {
        let columns: Vec<Option<Column>> = line.split(separator).map(column).collect();
        let has_value = columns.iter().flatten().any(|column| column.is_value());
        let known = columns.iter().flatten().count();
        let is_header = has_value && (known == columns.len() || known >= 2);
        is_header.then_some((columns, separator))
    })
}
