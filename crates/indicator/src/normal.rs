//! One spelling for everything that has several: feeds and events are brought into it by the same functions.
//!
//! * Address: canonical, without brackets and zone; IPv4 within IPv6 (`::ffff:192.0.2.7`) is IPv4.
//! * Domain: lower case, without a dot at the end, in its ASCII form (IDNA, UTS 46).
//! * URL: scheme and host in lower case, the host as a domain or address is, no default port, no fragment, `/` for an empty path;
//!   user, path and query stay as they are. Without a scheme it begins with `//`.
//! * Hash: bytes. Mail address: lower case, the domain as above.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use crate::Kind;

/// Longest URL or mail address, in bytes.
pub(crate) const MAX_TEXT: usize = 4 << 10;
/// Longest domain in its ASCII form, RFC 1035 section 2.3.4.
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;
/// Longest part before the `@`, RFC 5321 section 4.5.3.1.1.
const MAX_LOCAL: usize = 64;

/// Why a text is no indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// Not an address.
    Address,
    /// Not a network.
    Network,
    /// A network that holds a good part of the internet: IPv4 below /8, IPv6 below /16.
    Wide,
    /// Loopback, unspecified, broadcast: every machine has it.
    Everybodys,
    /// Not a domain.
    Domain,
    /// A domain of one label, such as `com`.
    TopLevel,
    /// Not a URL.
    Url,
    /// Not a hash of its kind.
    Hash,
    /// The hash of the empty file.
    EmptyFile,
    /// Not a mail address.
    Mail,
    /// None of all these.
    Shapeless,
}

impl Unfit {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unfit::Address => "not an address",
            Unfit::Network => "not a network",
            Unfit::Wide => "a network too wide to say anything (IPv4 below /8, IPv6 below /16)",
            Unfit::Everybodys => "an address that every machine has",
            Unfit::Domain => "not a domain",
            Unfit::TopLevel => "a domain of one label",
            Unfit::Url => "not a URL",
            Unfit::Hash => "not a hash of this kind",
            Unfit::EmptyFile => "the hash of the empty file",
            Unfit::Mail => "not a mail address",
            Unfit::Shapeless => "neither address, network, domain, URL, hash nor mail address",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Undoes what keeps people from clicking: `hxxp://`, `[.]`, `(dot)`, `[at]`.
pub(crate) fn refang(text: &str) -> Cow<'_, str> {
    const DEFANGED: [(&str, &str); 14] = [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[,]", "."),
        ("[:]", ":"),
        ("[://]", "://"),
        ("[:/]", ":/"),
        ("[/]", "/"),
        ("[@]", "@"),
        ("(@)", "@"),
        ("[at]", "@"),
        ("(at)", "@"),
    ];
    let mut text = Cow::Borrowed(text.trim());
    if text.contains(['[', '(', '{']) {
        for (defanged, plain) in DEFANGED {
            if text.contains(defanged) {
                text = Cow::Owned(text.replace(defanged, plain));
            }
        }
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let plain = ["hxxp", "hxxps", "h**p", "h**ps", "htxp", "htxps", "fxp", "meow"]
            .iter()
            .zip(["http", "https", "http", "https", "http", "https", "ftp", "http"])
            .find_map(|(defanged, plain)| scheme.eq_ignore_ascii_case(defanged).then_some(plain));
        if let Some(plain) = plain {
            text = Cow::Owned(format!("{plain}://{rest}"));
        }
    }
    text
}

/// Reads `192.0.2.7`, `[2001:db8::1]`, `fe80::1%eth0`, `::ffff:192.0.2.7`.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    // Anything longer is no address, and need not be looked at.
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(v4));
    }
    if !text.contains(':') {
        return None;
    }
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let inner = inner.split_once('%').map_or(inner, |(address, _)| address);
    Some(inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)?.to_canonical())
}

/// Reads `192.0.2.7:80` and `[2001:db8::1]:80`.
pub(crate) fn address_and_port(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    Some((address(host)?, self::port(port)?))
}

/// A port other than 0.
pub(crate) fn port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A network as its first address and its length; the bits behind the length are cleared.
pub(crate) fn network(text: &str) -> Result<(IpAddr, u8), Unfit> {
    let (first, length) = text.split_once('/').ok_or(Unfit::Network)?;
    let digits = !length.is_empty() && length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u8 = length.parse().ok().filter(|_| digits).ok_or(Unfit::Network)?;
    let written_v6 = first.contains(':');
    let (first, length) = match address(first).ok_or(Unfit::Network)? {
        // `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
        v4 @ IpAddr::V4(_) if written_v6 => (v4, length.checked_sub(96).ok_or(Unfit::Wide)?),
        other => (other, length),
    };
    let (width, narrowest) = if first.is_ipv4() { (32, 8) } else { (128, 16) };
    if length > width {
        return Err(Unfit::Network);
    }
    if length < narrowest {
        return Err(Unfit::Wide);
    }
    Ok((masked(first, length), length))
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// Writes a domain behind what is in `out`; says how many labels it has. What begins with `*.` or `.` means the same without.
pub(crate) fn domain(text: &str, out: &mut Vec<u8>) -> Result<u32, Unfit> {
    let text = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > 4 * MAX_DOMAIN {
        return Err(Unfit::Domain);
    }
    let start = out.len();
    if text.is_ascii() {
        out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    } else {
        let ascii = idna::domain_to_ascii(text).map_err(|_| Unfit::Domain)?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        out.extend_from_slice(ascii.as_bytes());
    }
    let labels = labels(&out[start..]);
    if labels.is_none() {
        out.truncate(start);
    }
    labels.ok_or(Unfit::Domain)
}

/// How many labels a domain in its normal form has; none if it is not one.
fn labels(domain: &[u8]) -> Option<u32> {
    if domain.is_empty() || domain.len() > MAX_DOMAIN {
        return None;
    }
    let (mut count, mut length, mut is_number) = (1, 0, true);
    for byte in domain {
        match byte {
            b'.' if length == 0 => return None,
            b'.' => (count, length, is_number) = (count + 1, 0, true),
            b'0'..=b'9' => length += 1,
            b'a'..=b'z' | b'-' | b'_' => (length, is_number) = (length + 1, false),
            _ => return None,
        }
        if length > MAX_LABEL {
            return None;
        }
    }
    // What ends in a number is an address, rightly written or not (URL standard, "ends in a number").
    (length > 0 && !is_number).then_some(count)
}

/// Where the parts of a normal URL are in what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlPlaces {
    /// Where the part without scheme begins, with its `//`.
    pub slashes: usize,
    /// The host, without brackets.
    pub host: Range<usize>,
    /// The port that was written, if it is not the scheme's own.
    pub port: Option<u16>,
}

/// Writes a URL behind what is in `out`.
pub(crate) fn url(text: &str, out: &mut Vec<u8>) -> Result<UrlPlaces, Unfit> {
    let start = out.len();
    let places = write_url(text, out);
    if places.is_none() {
        out.truncate(start);
    }
    places.ok_or(Unfit::Url)
}

fn write_url(text: &str, out: &mut Vec<u8>) -> Option<UrlPlaces> {
    let text = text.trim();
    if text.len() > MAX_TEXT || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text.strip_prefix("//").unwrap_or(text)),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host_port) = match authority.rsplit_once('@') {
        Some((user, host_port)) => (Some(user), host_port),
        None => (None, authority),
    };
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host_port, None),
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(self::port(port)?),
    };
    let start = out.len();
    if let Some(scheme) = scheme {
        out.extend(scheme.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    let own_port = match &out[start..] {
        b"http" | b"ws" => Some(80),
        b"https" | b"wss" => Some(443),
        b"ftp" => Some(21),
        _ => None,
    };
    let port = port.filter(|port| Some(*port) != own_port);
    if scheme.is_some() {
        out.push(b':');
    }
    let slashes = out.len();
    out.extend_from_slice(b"//");
    if let Some(user) = user {
        out.extend_from_slice(user.as_bytes());
        out.push(b'@');
    }
    let host_start = out.len();
    let host = if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
        let address = address(host)?;
        let written = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        out.extend_from_slice(written.as_bytes());
        let bracket = usize::from(address.is_ipv6());
        host_start + bracket..out.len() - bracket
    } else {
        domain(host, out).ok()?;
        host_start..out.len()
    };
    if let Some(port) = port {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    if !path.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(path.as_bytes());
    Some(UrlPlaces { slashes, host, port })
}

/// Writes a mail address behind what is in `out`; says where its domain begins. Reads `mailto:a@b` and `A <a@b>` too.
pub(crate) fn mail(text: &str, out: &mut Vec<u8>) -> Result<usize, Unfit> {
    let start = out.len();
    let domain_start = write_mail(text, out);
    if domain_start.is_none() {
        out.truncate(start);
    }
    domain_start.ok_or(Unfit::Mail)
}

fn write_mail(text: &str, out: &mut Vec<u8>) -> Option<usize> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return None;
    }
    let text = match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => &text[open + 1..close],
        _ => text,
    };
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let (local, domain) = text.rsplit_once('@')?;
    let forbidden = |char: char| char.is_whitespace() || char.is_control() || "<>(),;:@\"".contains(char);
    if local.is_empty() || local.len() > MAX_LOCAL || local.contains(forbidden) {
        return None;
    }
    out.extend_from_slice(local.to_lowercase().as_bytes());
    out.push(b'@');
    let domain_start = out.len();
    self::domain(domain, out).ok()?;
    Some(domain_start)
}

/// Writes a hash's bytes behind what is in `out`; says its kind by its length.
pub(crate) fn hash(text: &str, out: &mut Vec<u8>) -> Result<Kind, Unfit> {
    let digits = text.as_bytes();
    let kind = Kind::of_hash_digits(digits.len()).ok_or(Unfit::Hash)?;
    let start = out.len();
    for pair in digits.chunks_exact(2) {
        let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
            out.truncate(start);
            return Err(Unfit::Hash);
        };
        out.push(high << 4 | low);
    }
    Ok(kind)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<String> {
        let mut out = b"before ".to_vec();
        let fits = write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let text = text.strip_prefix("before ").unwrap().to_owned();
        assert!(fits || text.is_empty(), "something is left of what does not fit: {text:?}");
        fits.then_some(text)
    }

    #[test]
    fn domains() {
        for (text, want) in [
            ("Evil.Example.", Some("evil.example")),
            ("*.evil.example", Some("evil.example")),
            ("_dmarc.a-b.example", Some("_dmarc.a-b.example")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("com", Some("com")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("192.0.2.7", None),
            ("a.b.7", None),
            ("a b.example", None),
            ("a/b.example", None),
            (&format!("{}.example", "a".repeat(64)), None),
            (&"a.".repeat(128), None),
        ] {
            assert_eq!(written(|out| domain(text, out).is_ok()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn urls() {
        for (text, want) in [
            ("HTTP://Evil.Example", Some("http://evil.example/")),
            ("http://evil.example:80/A?b=C#d", Some("http://evil.example/A?b=C")),
            ("https://evil.example:80/", Some("https://evil.example:80/")),
            ("https://evil.example.:443?q", Some("https://evil.example/?q")),
            ("http://u:P@evil.example/x", Some("http://u:P@evil.example/x")),
            ("http://[2001:DB8:0::1]:8080/x", Some("http://[2001:db8::1]:8080/x")),
            ("http://192.0.2.7/x", Some("http://192.0.2.7/x")),
            ("http://bücher.example/ü", Some("http://xn--bcher-kva.example/ü")),
            ("evil.example/x?u=http://good.example/", Some("//evil.example/x?u=http://good.example/")),
            ("//evil.example:8080/x", Some("//evil.example:8080/x")),
            ("/path/only", None),
            ("http:///path", None),
            ("http://a b/", None),
            ("http://evil.example:99999/", None),
            ("http://evil.example/\u{7f}", None),
            ("http://[::1/", None),
        ] {
            assert_eq!(written(|out| url(text, out).is_ok()).as_deref(), want, "{text}");
        }
        let mut out = Vec::new();
        let places = url("https://u@[2001:db8::1]:8443/x", &mut out).unwrap();
        assert_eq!(&out[places.host.clone()], b"2001:db8::1");
        assert_eq!((places.port, &out[places.slashes..]), (Some(8443), &b"//u@[2001:db8::1]:8443/x"[..]));
    }

    #[test]
    fn mail_addresses() {
        for (text, want) in [
            ("Bob@Evil.Example", Some("bob@evil.example")),
            ("Bob B. <bob@evil.example>", Some("bob@evil.example")),
            ("mailto:bob@evil.example", Some("bob@evil.example")),
            ("bob@bücher.example", Some("bob@xn--bcher-kva.example")),
            ("bob", None),
            ("@evil.example", None),
            ("a b@evil.example", None),
            ("a@b@evil.example", None),
            ("bob@192.0.2.7", None),
        ] {
            assert_eq!(written(|out| mail(text, out).is_ok()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, want) in [
            ("192.0.2.9/24", Ok("192.0.2.0/24")),
            ("::ffff:192.0.2.9/120", Ok("192.0.2.0/24")),
            ("2001:db8:ffff::/32", Ok("2001:db8::/32")),
            ("192.0.2.9/32", Ok("192.0.2.9/32")),
            ("0.0.0.0/0", Err(Unfit::Wide)),
            ("::/8", Err(Unfit::Wide)),
            ("::ffff:0:0/90", Err(Unfit::Wide)),
            ("192.0.2.0/33", Err(Unfit::Network)),
            ("192.0.2.0/+8", Err(Unfit::Network)),
            ("192.0.2/24", Err(Unfit::Network)),
            ("192.0.2.0/", Err(Unfit::Network)),
        ] {
            let got = network(text).map(|(first, length)| format!("{first}/{length}"));
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn what_was_made_harmless() {
        for (text, want) in [
            ("hxxp://evil[.]example/x", "http://evil.example/x"),
            ("HXXPS[://]evil(.)example", "https://evil.example"),
            (" bob[at]evil[dot]example ", "bob@evil.example"),
            ("http://[2001:db8::1]/", "http://[2001:db8::1]/"),
            ("192[.]0[.]2[.]7", "192.0.2.7"),
        ] {
            assert_eq!(refang(text), want, "{text}");
        }
    }
}
