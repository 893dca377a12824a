//! The parser files that ship with Vedette, embedded.
//!
//! The order matters where several parsers fit: the first one wins.

macro_rules! files {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/parsers/", $file)))),*]
    };
}

/// The pattern library.
pub(crate) const PATTERNS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/parsers/patterns.yml"));

/// Name and text of every parser file.
pub(crate) const PARSERS: &[(&str, &str)] = files!["windows.yml", "sshd.yml", "json.yml", "syslog.yml",];
