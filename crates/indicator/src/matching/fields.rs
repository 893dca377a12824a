//! Which fields are looked at, and as what.
//!
//! A field is found by its whole name, else by its last parts, in any case: `winlog.event_data.DestinationIp` is found by `destinationip`, `dll.hash.md5`
//! by `hash.md5`. Vedette's own fields (`vedette.…`) and those that name an account's domain are not looked at.

use crate::Look;

/// Whole names, in lower case; none: not to be looked at, whatever the last parts say.
pub const FIELDS: &[(&str, Option<Look>)] = &[
    // ECS 9
    ("source.address", Some(Look::Host)),
    ("source.domain", Some(Look::Host)),
    ("destination.address", Some(Look::Host)),
    ("destination.domain", Some(Look::Host)),
    ("client.address", Some(Look::Host)),
    ("client.domain", Some(Look::Host)),
    ("server.address", Some(Look::Host)),
    ("server.domain", Some(Look::Host)),
    ("url.domain", Some(Look::Host)),
    ("url.full", Some(Look::Url)),
    ("url.original", Some(Look::Url)),
    ("http.request.referrer", Some(Look::Url)),
    ("dns.question.name", Some(Look::Domain)),
    ("dns.answers.name", Some(Look::Domain)),
    ("dns.answers.data", Some(Look::Host)),
    ("dns.resolved_ip", Some(Look::Address)),
    ("tls.client.server_name", Some(Look::Host)),
    ("tls.server.x509.subject.common_name", Some(Look::Domain)),
    ("tls.server.x509.alternative_names", Some(Look::Domain)),
    ("x509.alternative_names", Some(Look::Domain)),
    ("related.ip", Some(Look::Address)),
    ("related.hosts", Some(Look::Host)),
    ("related.hash", Some(Look::Hash)),
    ("email.message_id", None),
    ("host.hostname", None),
    ("user.email", Some(Look::Mail)),
    ("user.domain", None),
    ("user.target.domain", None),
    ("user.effective.domain", None),
    ("user.changes.domain", None),
    ("host.domain", None),
    ("winlog.user.domain", None),
    // Zeek's names, where they are kept
    ("id.orig_h", Some(Look::Address)),
    ("id.resp_h", Some(Look::Address)),
    ("query", Some(Look::Domain)),
    ("answers", Some(Look::Host)),
    ("server_name", Some(Look::Host)),
    ("referrer", Some(Look::Url)),
    ("mailfrom", Some(Look::Mail)),
    ("rcptto", Some(Look::Mail)),
];

/// Last parts of names, in lower case: one part, or two with a dot between. Two are asked before one.
pub const LAST_PARTS: &[(&str, Look)] = &[
    ("hash.md5", Look::Hash),
    ("hash.sha1", Look::Hash),
    ("hash.sha256", Look::Hash),
    ("hash.sha512", Look::Hash),
    ("from.address", Look::Mail),
    ("to.address", Look::Mail),
    ("cc.address", Look::Mail),
    ("bcc.address", Look::Mail),
    ("sender.address", Look::Mail),
    ("reply_to.address", Look::Mail),
    ("question.name", Look::Domain),
    ("ip", Look::Address),
    ("ipv4", Look::Address),
    ("ipv6", Look::Address),
    ("ip_address", Look::Address),
    ("ipaddress", Look::Address),
    ("clientip", Look::Address),
    ("client_ip", Look::Address),
    ("srcip", Look::Address),
    ("src_ip", Look::Address),
    ("dstip", Look::Address),
    ("dst_ip", Look::Address),
    ("dest_ip", Look::Address),
    ("remote_ip", Look::Address),
    ("remoteip", Look::Address),
    ("remoteaddr", Look::Address),
    ("remote_addr", Look::Address),
    ("sourceip", Look::Address),
    ("sourceipaddress", Look::Address),
    ("destinationip", Look::Address),
    ("sourceaddress", Look::Address),
    ("destaddress", Look::Address),
    ("sourcehostname", Look::Host),
    ("destinationhostname", Look::Host),
    ("queryname", Look::Domain),
    ("rrname", Look::Domain),
    ("sni", Look::Host),
    ("domain", Look::Host),
    ("registered_domain", Look::Domain),
    ("hostname", Look::Host),
    ("url", Look::Url),
    ("uri", Look::Url),
    ("referer", Look::Url),
    ("hashes", Look::Hashes),
    ("md5", Look::Hash),
    ("sha1", Look::Hash),
    ("sha256", Look::Hash),
    ("sha512", Look::Hash),
    ("email", Look::Mail),
    ("sender", Look::Mail),
    ("recipient", Look::Mail),
    ("recipients", Look::Mail),
];

/// Longest name that is looked at.
const MAX_NAME: usize = 256;

/// As what a field is looked up; none if it is not.
pub fn look_of(name: &str) -> Option<Look> {
    if name.len() > MAX_NAME {
        return None;
    }
    let name = name.to_ascii_lowercase();
    if name.starts_with("vedette.") {
        return None;
    }
    if let Some((_, look)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return *look;
    }
    let known = |parts: &str| LAST_PARTS.iter().find(|(known, _)| *known == parts).map(|(_, look)| *look);
    let mut dots = name.rmatch_indices('.').map(|(at, _)| &name[at + 1..]);
    let one = dots.next().unwrap_or(&name);
    let two = dots.next().unwrap_or(&name);
    known(two).or_else(|| known(one))
}

/// The names that the port beside a field may have.
pub(super) fn ports_beside(name: &str) -> Vec<String> {
    let mut ports = Vec::new();
    let (around, last) = name.rsplit_once('.').map_or(("", name), |(_, last)| (&name[..name.len() - last.len()], last));
    match last {
        "ip" | "address" | "domain" => ports.push(format!("{around}port")),
        "orig_h" => ports.push(format!("{around}orig_p")),
        "resp_h" => ports.push(format!("{around}resp_p")),
        "IpAddress" => ports.push(format!("{around}IpPort")),
        _ => {
            for (ending, port) in [
                ("Ip", "Port"),
                ("Hostname", "Port"),
                ("Address", "Port"),
                ("_ip", "_port"),
                ("ip", "port"),
                ("_addr", "_port"),
            ] {
                if let Some(side) = last.strip_suffix(ending).filter(|side| !side.is_empty()) {
                    ports.push(format!("{around}{side}{port}"));
                }
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_whole_names_or_last_parts() {
        for (name, want) in [
            ("source.ip", Some(Look::Address)),
            ("observer.ip", Some(Look::Address)),
            ("winlog.event_data.DestinationIp", Some(Look::Address)),
            ("winlog.event_data.Hashes", Some(Look::Hashes)),
            ("winlog.event_data.QueryName", Some(Look::Domain)),
            ("winlog.hash.SHA256", Some(Look::Hash)),
            ("process.parent.hash.sha512", Some(Look::Hash)),
            ("email.reply_to.address", Some(Look::Mail)),
            ("email.attachments.file.hash.md5", Some(Look::Hash)),
            ("dns.question.name", Some(Look::Domain)),
            ("destination.domain", Some(Look::Host)),
            ("http.request.referrer", Some(Look::Url)),
            ("user.domain", None),
            ("vedette.finding.ip", None),
            ("message", None),
            ("process.name", None),
            ("ship", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(look_of(name), want, "{name}");
        }
        assert_eq!(look_of(&format!("{}.ip", "a".repeat(300))), None);
    }

    #[test]
    fn tables_have_no_name_twice_and_only_lower_case() {
        let names: Vec<&str> =
            FIELDS.iter().map(|(name, _)| *name).chain(LAST_PARTS.iter().map(|(name, _)| *name)).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
        assert!(names.iter().all(|name| name.to_ascii_lowercase() == *name));
    }

    #[test]
    fn ports_stand_beside_addresses() {
        for (name, want) in [
            ("destination.ip", "destination.port"),
            ("url.domain", "url.port"),
            ("id.resp_h", "id.resp_p"),
            ("winlog.event_data.DestinationIp", "winlog.event_data.DestinationPort"),
            ("suricata.dest_ip", "suricata.dest_port"),
            ("winlog.event_data.IpAddress", "winlog.event_data.IpPort"),
        ] {
            assert!(ports_beside(name).contains(&want.to_owned()), "{name}: {:?}", ports_beside(name));
        }
        assert!(ports_beside("ip").contains(&"port".to_owned()));
    }
}
