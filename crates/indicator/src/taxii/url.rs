//! The little of URLs that TAXII needs: references of a server to itself, and queries.

/// Scheme and authority of an HTTP URL, and what follows from the path on; none if it is not one.
pub(super) fn split(url: &str) -> Option<(&str, &str)> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let authority_end = url[scheme.len()..].find(['/', '?', '#']).map_or(url.len(), |at| at + scheme.len());
    let plain = url.bytes().all(|byte| byte > b' ' && byte < 0x7f && !b"\"<>\\^`{|}#".contains(&byte));
    let has_host = authority_end > scheme.len();
    (plain && has_host).then(|| url.split_at(authority_end))
}

/// What a server at `base` means by `reference`: an address of its own, whole or as a path. One elsewhere is none, since the credentials would go there.
pub(super) fn own(base: &str, reference: &str) -> Option<String> {
    let (origin, path) = split(base)?;
    if let Some((theirs, _)) = split(reference) {
        return theirs.eq_ignore_ascii_case(origin).then(|| reference.to_owned());
    }
    let is_plain = reference.bytes().all(|byte| byte > b' ' && byte < 0x7f && !b"\"<>\\^`{|}#".contains(&byte));
    if !is_plain || reference.is_empty() || reference.starts_with("//") || reference.contains("://") {
        return None;
    }
    if reference.starts_with('/') {
        return Some(format!("{origin}{reference}"));
    }
    let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    Some(format!("{origin}{}{reference}", if folder.is_empty() { "/" } else { folder }))
}

/// With a slash at the end, as TAXII's addresses have.
pub(super) fn folder(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

/// A text within a query (RFC 3986, unreserved characters as they are).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_refers_to_itself_only() {
        for (reference, want) in [
            ("/api/", Some("https://taxii.example:8443/api/")),
            ("api/", Some("https://taxii.example:8443/taxii2/api/")),
            ("https://TAXII.example:8443/x/", Some("https://TAXII.example:8443/x/")),
            ("https://other.example/x/", None),
            ("http://taxii.example:8443/x/", None),
            ("https://taxii.example:8443@other.example/", None),
            ("//other.example/x/", None),
            ("/a b", None),
            ("/a\r\nHost: x", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(own("https://taxii.example:8443/taxii2/", reference).as_deref(), want, "{reference}");
        }
        assert_eq!(split("ftp://a/"), None);
        assert_eq!(split("https:///a"), None);
    }

    #[test]
    fn queries_hold_any_text() {
        assert_eq!(encoded("2026-11-21T04:11:52.0Z a&b=ü"), "2026-11-21T04%3A11%3A52.0Z%20a%26b%3D%C3%BC");
    }
}
