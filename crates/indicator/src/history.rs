//! New indicators against history: what to search for.
//!
//! A search finds every event in which a value may stand, by its words in the original line; it finds more than the indicator means. Whoever
//! runs it derives the events again and gives them to [`Indicators::matches`](crate::Indicators::matches), which decides.

use std::fmt::Write;

use crate::{Kind, Observable};

/// Most values and bytes of one search.
const MAX_VALUES: usize = 100;
const MAX_BYTES: usize = 8 << 10;

/// Searches in the language of the search box (`docs/query.md`) that together find every event in which one of these may stand.
///
/// ```
/// use vedette_indicator::{Observable, searches};
///
/// let wanted = ["evil.example", "198.51.100.0/24"].map(|text| Observable::guess(text).unwrap().0);
/// let searches: Vec<String> = searches(wanted).collect();
/// assert_eq!(searches, ["\"evil.example\" or source.ip:198.51.100.0/24 or destination.ip:198.51.100.0/24"]);
/// ```
///
/// * Addresses, domains, hashes and mail addresses are sought as phrases, in any case: a phrase finds a domain also within one below it.
/// * A URL is sought by its host, and the last part of its path where that is plain.
/// * An IPv6 address may be written otherwise, and a network's addresses differ: those are sought in `source.ip` and `destination.ip` (the address also
///   as a phrase). A domain of other letters is sought in both its forms.
pub fn searches(observables: impl IntoIterator<Item = Observable>) -> impl Iterator<Item = String> {
    let mut terms = observables.into_iter().map(|observable| term(&observable)).peekable();
    std::iter::from_fn(move || {
        let mut search = terms.next()?;
        let mut values = 1;
        while let Some(next) = terms.next_if(|next| values < MAX_VALUES && search.len() + next.len() + 4 <= MAX_BYTES) {
            search.push_str(" or ");
            search.push_str(&next);
            values += 1;
        }
        Some(search)
    })
}

fn term(observable: &Observable) -> String {
    let value = observable.to_string();
    match observable.kind() {
        Kind::Network => format!("source.ip:{value} or destination.ip:{value}"),
        Kind::Address if observable.is_v6() => {
            format!("{} or source.ip:{value}/128 or destination.ip:{value}/128", phrase(&value))
        }
        Kind::Domain => domain(&value),
        Kind::Url => url(&value),
        Kind::Mail => match value.rsplit_once('@') {
            // The domain may be written in its other form.
            Some((local, name)) if name.contains("xn--") => format!("({} and ({}))", phrase(local), domain(name)),
            _ => phrase(&value),
        },
        _ => phrase(&value),
    }
}

fn domain(name: &str) -> String {
    let mut term = phrase(name);
    if name.contains("xn--") {
        let (unicode, _) = idna::domain_to_unicode(name);
        // Writing to a text does not fail.
        write!(term, " or {}", phrase(&unicode)).unwrap_or_default();
    }
    term
}

fn url(url: &str) -> String {
    let behind = url.split_once("//").map_or(url, |(_, behind)| behind);
    let (authority, path) = behind.split_once('/').unwrap_or((behind, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split(':').next().unwrap_or(host),
    };
    let path = path.split('?').next().unwrap_or(path);
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("");
    // Only what every log writes in the same way, and what is long enough to help.
    let is_plain = last.len() >= 4 && last.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let host = domain(host);
    match (is_plain, host.contains(" or ")) {
        (true, true) => format!("(({host}) and {})", phrase(last)),
        (true, false) => format!("({host} and {})", phrase(last)),
        (false, _) => host,
    }
}

fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_say_where_a_value_may_stand() {
        for (text, want) in [
            ("192.0.2.7", r#""192.0.2.7""#),
            ("2001:db8::1", r#""2001:db8::1" or source.ip:2001:db8::1/128 or destination.ip:2001:db8::1/128"#),
            ("bücher.example", r#""xn--bcher-kva.example" or "bücher.example""#),
            ("http://u@evil.example:8080/a/payload.zip?x=1", r#"("evil.example" and "payload.zip")"#),
            ("http://evil.example/", r#""evil.example""#),
            ("http://[2001:db8::1]:80/%41", r#""2001:db8::1""#),
            ("bob@evil.example", r#""bob@evil.example""#),
        ] {
            let (observable, _) = Observable::guess(text).unwrap();
            assert_eq!(searches([observable]).collect::<Vec<_>>(), [want], "{text}");
        }
    }

    #[test]
    fn many_values_become_several_searches() {
        let many = (0..1_000).map(|number| Observable::guess(&format!("host{number}.example")).unwrap().0);
        let searches: Vec<String> = searches(many).collect();
        assert_eq!(searches.len(), 10);
        assert!(searches.iter().all(|search| search.matches(" or ").count() == 99 && search.len() <= MAX_BYTES));
        assert_eq!(super::searches([]).count(), 0);
    }
}
