//! STIX patterns (STIX 2.1, section 9): [`lex`]ed, [`parse`]d whole, and then [`hold`] says which look-ups are the same as the pattern, if any are.

mod hold;
mod lex;
mod parse;

use std::fmt;

pub(crate) use hold::Held;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 256 << 10;

/// A pattern as look-ups: it matches where any of them does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub held: Vec<Held>,
    /// Whether a file's name or size was left out beside its hash.
    pub widened: bool,
}

/// Why a pattern is not held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no pattern: what is wrong, and at which character from 1.
    Syntax(String, usize),
    /// It says something that no look-up says.
    Unheld(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The place is left to whoever shows the pattern, so that equal faults are counted together.
            Refusal::Syntax(message, _) => write!(f, "not a STIX pattern: {message}"),
            Refusal::Unheld(message) => f.write_str(message),
        }
    }
}

/// Reads a pattern.
pub(crate) fn read(pattern: &str) -> Result<Read, Refusal> {
    if pattern.len() > MAX_PATTERN {
        return Err(Refusal::Unheld("a pattern longer than 256 KiB".to_owned()));
    }
    hold::observations(&parse::parse(pattern)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pattern: &str) -> String {
        match read(pattern) {
            Ok(Read { held, widened }) => {
                let port = |port: Option<u16>| port.map_or(String::new(), |port| format!(" port {port}"));
                let all: Vec<String> =
                    held.iter().map(|held| format!("{:?}{}", held.observable, port(held.port))).collect();
                format!("{}{}", all.join(" | "), if widened { " (widened)" } else { "" })
            }
            Err(Refusal::Syntax(message, at)) => format!("syntax at {at}: {message}"),
            Err(Refusal::Unheld(message)) => format!("refused: {message}"),
        }
    }

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
    const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    #[test]
    fn patterns_that_look_ups_hold() {
        for (pattern, want) in [
            ("[ipv4-addr:value = '192.0.2.7']", "address:192.0.2.7"),
            ("[ipv4-addr:value = '192.0.2.0/24']", "network:192.0.2.0/24"),
            ("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", "network:192.0.2.0/24"),
            ("[ipv6-addr:value IN ('2001:db8::1', '2001:db8::2')]", "address:2001:db8::1 | address:2001:db8::2"),
            (
                "[domain-name:value='Evil.Example' OR url:value = 'http://evil.example/x']",
                "domain:evil.example | url:http://evil.example/x",
            ),
            (
                "[domain-name:value = 'a.example'] OR ([domain-name:value = 'b.example'])",
                "domain:a.example | domain:b.example",
            ),
            ("[email-message:from_ref.value = 'bob@evil.example']", "mail:bob@evil.example"),
            ("[(domain-name:value = 'a.example')]", "domain:a.example"),
            (
                "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port = 443]",
                "address:192.0.2.7 port 443",
            ),
            (
                "[network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port IN (80, '443')]",
                "address:192.0.2.7 port 80 | address:192.0.2.7 port 443",
            ),
            (
                "[network-traffic:dst_ref.value = '192.0.2.7' AND (network-traffic:dst_port = 80 OR network-traffic:dst_port = 81)]",
                "address:192.0.2.7 port 80 | address:192.0.2.7 port 81",
            ),
            ("[url:value = 'http://evil.example/it\\'s\\\\']", "url:http://evil.example/it's\\"),
            ("[ domain-name:value /* a comment */ = 'a.example' ] // and another", "domain:a.example"),
            ("[domain-name:resolves_to_refs[*].value = '192.0.2.7']", "address:192.0.2.7"),
        ] {
            assert_eq!(told(pattern), want, "{pattern}");
        }
        let hashes = format!("[file:hashes.MD5 = '{MD5}' AND file:hashes.'SHA-1' = '{SHA1}']");
        assert_eq!(told(&hashes), format!("md5:{MD5} | sha1:{SHA1}"));
        let named = format!("[file:name = 'x.exe' AND file:hashes.MD5 = '{}' AND file:size = 5]", MD5.to_uppercase());
        assert_eq!(told(&named), format!("md5:{MD5} (widened)"));
        assert_eq!(told(&format!("[file:hashes.'MD5' IN ('{MD5}')]")), format!("md5:{MD5}"));
    }

    #[test]
    fn patterns_that_no_look_up_holds() {
        for (pattern, want) in [
            ("[file:name = 'x.exe']", "refused: no look-up for `file:name`"),
            ("[mutex:name = 'x']", "refused: no look-up for `mutex:name`"),
            (
                "[domain-name:value = 'a.example' AND ipv4-addr:value = '192.0.2.7']",
                "refused: asks for several things at once",
            ),
            ("[domain-name:value != 'a.example']", "refused: `!=` is no look-up"),
            ("[domain-name:value NOT = 'a.example']", "refused: `NOT` is no look-up"),
            ("[domain-name:value LIKE '%.example']", "refused: `LIKE` is no look-up"),
            ("[url:value MATCHES '^http']", "refused: `MATCHES` is no look-up"),
            ("[network-traffic:dst_port = 443]", "refused: no look-up for `network-traffic:dst_port` alone"),
            (
                "[url:value = 'http://a.example/' AND network-traffic:dst_port = 443]",
                "refused: asks for several things at once",
            ),
            (
                "[domain-name:value = 'a.example'] AND [domain-name:value = 'b.example']",
                "refused: asks for several observations",
            ),
            (
                "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']",
                "refused: asks for several observations",
            ),
            ("[domain-name:value = 'a.example'] REPEATS 5 TIMES", "refused: asks for several observations"),
            ("[domain-name:value = 'a.example'] WITHIN 300 SECONDS", "refused: asks for several observations"),
            (
                "[domain-name:value = 'a.example'] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'",
                "refused: asks for a time of its own",
            ),
            ("[domain-name:value = 'a.example' OR file:name = 'x']", "refused: no look-up for `file:name`"),
            ("[EXISTS url:value]", "refused: `EXISTS` is no look-up"),
            (
                "[ipv4-addr:value = '0.0.0.0/0']",
                "refused: a network too wide to say anything (IPv4 below /8, IPv6 below /16)",
            ),
            ("[file:hashes.MD5 = 'abc']", "refused: not a hash of this kind"),
            ("[file:hashes.SSDEEP = 'abc']", "refused: no look-up for `file:hashes.SSDEEP`"),
            ("[domain-name:value = 5]", "refused: not a domain"),
            ("[domain-name:value = 'a.example'", "syntax at 33: `]` should be here"),
            ("domain-name:value = 'a.example'", "syntax at 1: `[` or `(` should be here"),
            ("[domain-name:value = a]", "syntax at 22: a value should be here"),
            ("[domain-name:value = 'a", "syntax at 22: a quote that does not end"),
            ("", "syntax at 1: `[` or `(` should be here"),
            ("[domain-name:value = 'a.example'] x", "syntax at 35: nothing should follow"),
            ("[domain-name = 'a']", "syntax at 14: `:` should be here"),
        ] {
            assert_eq!(told(pattern), want, "{pattern}");
        }
        let either = format!(
            "[file:hashes.MD5 = '{MD5}' AND (file:hashes.'SHA-1' = '{SHA1}' OR file:hashes.'SHA-1' = '{SHA1}')]"
        );
        assert_eq!(told(&either), "refused: asks for several things at once");
        assert!(told(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).contains("nested"));
        let many: Vec<String> = (0..20_000).map(|number| format!("'{number}.example'")).collect();
        assert_eq!(
            told(&format!("[domain-name:value IN ({})]", many[..10_000].join(","))).matches("domain:").count(),
            10_000
        );
        assert!(told(&format!("[domain-name:value IN ({})]", many.join(","))).contains("longer"));
    }
}
