//! CDB lists: text files of `key:value` lines.

use super::{
    condition::{Expr, Item},
    pattern::{self, Match, Syntax},
};

/// Most keys of a list, and the longest one.
const MAX_KEYS: usize = 20_000;
const MAX_KEY_BYTES: usize = 4 << 10;

/// The keys of a list with their values.
fn entries(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        // A key with colons in it is quoted.
        let quoted = line.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        match quoted {
            Some((key, rest)) => (key.to_owned(), rest.strip_prefix(':').unwrap_or("").trim_matches('"').to_owned()),
            None => {
                let (key, value) = line.split_once(':').unwrap_or((line, ""));
                (key.to_owned(), value.to_owned())
            }
        }
    })
}

/// The text of the list that a rule names: the same path, or at least the same file name.
pub(super) fn find<'a>(lists: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let base = |path: &str| path.trim_end_matches(".cdb").rsplit(['/', '\\']).next().unwrap_or("").to_owned();
    let same = lists.iter().find(|(known, _)| known.trim_end_matches(".cdb").ends_with(name.trim_end_matches(".cdb")));
    same.or_else(|| lists.iter().find(|(known, _)| base(known) == base(name))).map(|(_, text)| *text)
}

/// What a lookup asks of a field, and whether it is negated.
pub(super) fn lookup(
    fields: &[String],
    how: &str,
    check: Option<&(Syntax, String)>,
    text: &str,
) -> Result<(Expr, bool), String> {
    let (negated, how) = how.strip_prefix("not_").map_or((false, how), |rest| (true, rest));
    let (address, valued) = match how {
        "match_key" => (false, false),
        "match_key_value" => (false, true),
        "address_match_key" => (true, false),
        "address_match_key_value" => (true, true),
        other => return Err(format!("unknown lookup `{other}`")),
    };
    let check = match (valued, check) {
        (false, _) => None,
        (true, None) => return Err(format!("lookup `{how}` without `check_value`")),
        (true, Some((syntax, text))) => Some(pattern::read(*syntax, text)?),
    };
    let mut keys: Vec<String> = Vec::new();
    for (key, value) in entries(text) {
        if check.as_ref().is_some_and(|check| !holds(check, &value)) {
            continue;
        }
        if keys.len() == MAX_KEYS {
            return Err(format!("a list of more than {MAX_KEYS} keys; use indicators instead"));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(format!("a list with a key longer than {MAX_KEY_BYTES} bytes"));
        }
        keys.push(key);
    }
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Err("the list has no keys that it could be".into());
    }
    let each = |field: &String| match address {
        true => networks(field, &keys),
        false => Ok(Item::text(field, &["cased"], keys.iter().map(|key| pattern::literal(key)).collect())),
    };
    Ok((Expr::Any(fields.iter().map(each).collect::<Result<_, _>>()?), negated))
}

fn holds(check: &pattern::Pattern, value: &str) -> bool {
    let lower = value.to_lowercase();
    let any = check.alternatives.iter().any(|alternative| match alternative {
        Match::Any => true,
        Match::Exact(text) => lower == text.to_lowercase(),
        Match::Cased(text) => value == text,
        Match::Starts(text) => lower.starts_with(&text.to_lowercase()),
        Match::Ends(text) => lower.ends_with(&text.to_lowercase()),
        Match::Contains(text) => lower.contains(&text.to_lowercase()),
        Match::Regex(text, modifiers) => regex::RegexBuilder::new(text)
            .case_insensitive(modifiers.contains(&"i"))
            .dot_matches_new_line(modifiers.contains(&"s"))
            .build()
            .is_ok_and(|regex| regex.is_match(value)),
    });
    any != check.negated
}

/// Addresses and networks of a field: `192.0.2.7`, `192.0.2.0/24`, `10.1.`, `10.0.0.0/255.0.0.0`.
pub(super) fn networks(field: &str, addresses: &[String]) -> Result<Expr, String> {
    let all = addresses.iter().map(|address| network(address)).collect::<Result<Vec<_>, _>>()?;
    Ok(Item::text(field, &["cidr"], all))
}

fn network(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is neither an address nor a network");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if let Ok(address) = address.parse::<std::net::IpAddr>() {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => match length.parse::<u8>() {
                Ok(length) if length <= most => length,
                _ => {
                    let mask = u32::from(length.parse::<std::net::Ipv4Addr>().map_err(|_| wrong())?);
                    let ones = mask.leading_ones() as u8;
                    if mask.count_ones() != u32::from(ones) {
                        return Err(wrong());
                    }
                    ones
                }
            },
        };
        return Ok(format!("{address}/{length}"));
    }
    // The first bytes of an address with a dot behind them.
    let written = address.strip_suffix('.').ok_or_else(wrong)?;
    let byte = |text: &str| text.parse::<u8>().map(|byte| byte.to_string());
    let bytes: Vec<String> = written.split('.').map(byte).collect::<Result<_, _>>().map_err(|_| wrong())?;
    if length.is_some() || bytes.len() > 3 {
        return Err(wrong());
    }
    let zeros = ".0".repeat(4 - bytes.len());
    Ok(format!("{}{zeros}/{}", bytes.join("."), bytes.len() * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_as_sigma_wants_them() {
        for (text, want) in [
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("10.1.", Some("10.1.0.0/16")),
            ("09.1.", Some("9.1.0.0/16")),
            ("10.0.0.0/255.0.0.0", Some("10.0.0.0/8")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/33", None),
            ("host", None),
            ("1.2.3.4.", None),
        ] {
            assert_eq!(network(text).ok().as_deref(), want, "{text}");
        }
    }

    #[test]
    fn lists_are_found_and_read() {
        let lists = [("a/b/users", "alice:admin\n# no\nbob:\n\"2001:db8::1\":x\n"), ("/etc/lists/other", "x:")];
        assert!(find(&lists, "etc/lists/users").is_some() && find(&lists, "etc/lists/none").is_none());
        let keys: Vec<_> = entries(lists[0].1).collect();
        assert_eq!(keys, [("alice", "admin"), ("bob", ""), ("2001:db8::1", "x")].map(|(k, v)| (k.into(), v.into())));
    }
}
