//! What Wazuh's decoders and fields are called here: tables, and how they are asked.

use std::borrow::Cow;

/// How a decoder's logs are text, so that `<match>` means the message, or structures, so that it means the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Text,
    Structure,
}

/// A Sigma log source.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Log {
    pub(super) product: Cow<'static, str>,
    pub(super) category: Cow<'static, str>,
    pub(super) service: Cow<'static, str>,
}

const fn log(product: &'static str, category: &'static str, service: &'static str) -> Log {
    Log { product: Cow::Borrowed(product), category: Cow::Borrowed(category), service: Cow::Borrowed(service) }
}

const fn product(product: &'static str) -> Log {
    log(product, "", "")
}

const fn service(product: &'static str, service: &'static str) -> Log {
    log(product, "", service)
}

const fn category(category: &'static str) -> Log {
    log("", category, "")
}

/// The log source of a decoder that is not known: the data set of its name.
pub(super) fn of_name(name: &str) -> Log {
    Log { product: name.to_lowercase().into(), ..Log::default() }
}

impl Log {
    /// Its parts that are given, by their names.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("product", &*self.product), ("category", &*self.category), ("service", &*self.service)];
        all.into_iter().filter(|(_, part)| !part.is_empty())
    }
}

/// All events, of whatever log: `content/logsources/any.yml`.
pub(super) static ANY: Log = category("any");

/// Decoders, by the name that `<decoded_as>` gives.
static DECODERS: &[(&str, Log, Kind)] = &[
    ("apache-errorlog", service("apache", "error"), Kind::Text),
    ("auditd", service("linux", "auditd"), Kind::Text),
    ("aws-s3", product("aws"), Kind::Structure),
    ("cisco-asa", product("cisco"), Kind::Text),
    ("cisco-ios", product("cisco"), Kind::Text),
    ("cron", service("linux", "cron"), Kind::Text),
    ("crond", service("linux", "cron"), Kind::Text),
    ("docker", product("docker"), Kind::Structure),
    ("dovecot", product("dovecot"), Kind::Text),
    ("dpkg-decoder", service("linux", "dpkg"), Kind::Text),
    ("fortigate-firewall-v5", product("fortinet"), Kind::Text),
    ("fortigate-firewall-v6", product("fortinet"), Kind::Text),
    ("haproxy", product("haproxy"), Kind::Text),
    ("iptables", service("linux", "kernel"), Kind::Text),
    ("json", category("any"), Kind::Structure),
    ("kernel", service("linux", "kernel"), Kind::Text),
    ("mariadb-errors", product("mariadb"), Kind::Text),
    ("mysql_log", product("mysql"), Kind::Text),
    ("nginx-errorlog", service("nginx", "error"), Kind::Text),
    ("pam", service("linux", "pam"), Kind::Text),
    ("postfix", product("postfix"), Kind::Text),
    ("postgresql_log", product("postgresql"), Kind::Text),
    ("squid-accesslog", product("squid"), Kind::Text),
    ("sshd", service("linux", "sshd"), Kind::Text),
    ("su", service("linux", "su"), Kind::Text),
    ("sudo", service("linux", "sudo"), Kind::Text),
    ("systemd", service("linux", "systemd"), Kind::Text),
    ("web-accesslog", category("webserver"), Kind::Text),
    ("windows", product("windows"), Kind::Structure),
    ("windows_eventchannel", product("windows"), Kind::Structure),
];

/// Categories of decoders; none for Wazuh's own messages.
static CATEGORIES: &[(&str, Log, Kind)] = &[
    ("firewall", category("firewall"), Kind::Text),
    ("ids", product("suricata"), Kind::Structure),
    ("squid", product("squid"), Kind::Text),
    ("syslog", category("any"), Kind::Text),
    ("web-log", category("webserver"), Kind::Text),
    ("windows", product("windows"), Kind::Structure),
];

/// Fields that only one log has, by how their names begin, and what of it is left out here.
static PREFIXES: &[(&str, &str, Log)] = &[
    ("audit.", "audit.", service("linux", "auditd")),
    ("aws.", "aws.", service("aws", "cloudtrail")),
    ("docker.", "docker.", product("docker")),
    ("gcp.", "gcp.", product("gcp")),
    ("github.", "github.", service("github", "audit")),
    ("office365.", "office365.", service("m365", "audit")),
    ("alert.", "", product("suricata")),
    ("win.", "", product("windows")),
];

/// A log that a program of syslog writes.
const PROGRAMS: &[(&str, &str)] =
    &[("auditd", "auditd"), ("cron", "cron"), ("crond", "cron"), ("sshd", "sshd"), ("su", "su"), ("sudo", "sudo")];

/// Static fields: what they are called in logs that are text.
const FIELDS: &[(&str, &[&str])] = &[
    ("action", &["event.action"]),
    ("agent", &["host.name"]),
    ("dstgeoip", &["destination.geo.country_iso_code"]),
    ("dstip", &["destination.ip"]),
    ("dstport", &["destination.port"]),
    ("dstuser", &["user.name", "user.target.name"]),
    ("hostname", &["host.name"]),
    ("id", &["event.code"]),
    ("location", &["log.file.path"]),
    ("program_name", &["process.name"]),
    ("protocol", &["network.transport", "network.protocol"]),
    ("srcgeoip", &["source.geo.country_iso_code"]),
    ("srcip", &["source.ip"]),
    ("srcport", &["source.port"]),
    ("srcuser", &["user.name"]),
    ("status", &["event.outcome"]),
    ("system_name", &["host.name"]),
    ("url", &["url.original"]),
    ("user", &["user.name", "user.target.name"]),
];

/// Static fields that a web server's log fills with something of its own.
const WEB_FIELDS: &[(&str, &[&str])] =
    &[("id", &["http.response.status_code"]), ("protocol", &["http.request.method"])];

/// Static fields of Windows events.
const WINDOWS_FIELDS: &[(&str, &[&str])] = &[("id", &["EventID"]), ("data", &["Data"])];

/// `win.system.…`, as Sigma calls it.
const WINDOWS_SYSTEM: &[(&str, &str)] = &[
    ("channel", "Channel"),
    ("computer", "Computer"),
    ("eventID", "EventID"),
    ("eventRecordID", "EventRecordID"),
    ("keywords", "Keywords"),
    ("level", "Level"),
    ("message", "message"),
    ("opcode", "Opcode"),
    ("processID", "winlog.process.pid"),
    ("providerGuid", "Provider_Guid"),
    ("providerName", "Provider_Name"),
    ("severityValue", "log.level"),
    ("task", "Task"),
    ("threadID", "winlog.process.thread.id"),
];

/// Fields of auditd's records, as Sigma calls them.
const AUDIT: &[(&str, &str)] = &[
    ("command", "comm"),
    ("cwd", "cwd"),
    ("directory.name", "name"),
    ("file.name", "name"),
    ("session", "ses"),
    ("srcip", "addr"),
];

fn find<'a, T: Copy>(table: &'a [(&'a str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What a decoder's name means; none if it is not known.
pub(super) fn decoder(name: &str) -> Option<(Log, Kind)> {
    DECODERS.iter().find(|(known, ..)| *known == name).map(|(_, log, kind)| (log.clone(), *kind))
}

/// What a category means; none if it is Wazuh's own, or not known.
pub(super) fn of_category(name: &str) -> Option<(Log, Kind)> {
    CATEGORIES.iter().find(|(known, ..)| *known == name).map(|(_, log, kind)| (log.clone(), *kind))
}

/// The log whose events alone have such a field.
pub(super) fn of_field(name: &str) -> Option<Log> {
    PREFIXES.iter().find(|(prefix, ..)| name.starts_with(prefix)).map(|(_, _, log)| log.clone())
}

/// The log that a program writes.
pub(super) fn of_program(name: &str) -> Option<Log> {
    find(PROGRAMS, name).map(|name| service("linux", name))
}

/// What a field is called in the events of a log, and whether the name is more than a guess.
pub(super) fn fields(log: &Log, kind: Kind, name: &str) -> (Vec<String>, bool) {
    let own = |names: &[&str]| (names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), true);
    if let Some(rest) = name.strip_prefix("win.eventdata.") {
        // The decoder writes the first letter small.
        let mut chars = rest.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        return (vec![first.into_iter().chain(chars).collect()], true);
    }
    if let Some(rest) = name.strip_prefix("win.system.") {
        return match find(WINDOWS_SYSTEM, rest) {
            Some(name) => own(&[name]),
            None => (vec![format!("winlog.{rest}")], false),
        };
    }
    if let Some(rest) = name.strip_prefix("audit.") {
        let rest = rest.strip_prefix("execve.").unwrap_or(rest);
        return own(&[find(AUDIT, rest).unwrap_or(rest)]);
    }
    if let Some((_, left_out, _)) = PREFIXES.iter().find(|(prefix, ..)| name.starts_with(prefix)) {
        return (vec![name.strip_prefix(left_out).unwrap_or(name).to_owned()], true);
    }
    let special = match (&*log.product, &*log.category) {
        (_, "webserver") => find(WEB_FIELDS, name),
        ("windows", _) => find(WINDOWS_FIELDS, name),
        _ => None,
    };
    match (special.or_else(|| find(FIELDS, name)), kind) {
        (Some(names), Kind::Structure) if *log == ANY => {
            // A structure's own key of that name fills Wazuh's field.
            let all = [name].into_iter().chain(names.iter().copied()).map(str::to_owned).collect();
            (all, true)
        }
        (Some(names), _) => own(names),
        (None, Kind::Structure) => own(&[name]),
        (None, Kind::Text) => (vec![name.to_owned()], false),
    }
}

/// The one field that a correlation compares.
pub(super) fn grouping(name: &str) -> String {
    fields(&Log::default(), Kind::Text, name).0.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sigmas_and_ecs() {
        let windows = product("windows");
        for (log, kind, name, want) in [
            (windows.clone(), Kind::Structure, "win.eventdata.commandLine", "CommandLine"),
            (windows, Kind::Structure, "win.system.eventID", "EventID"),
            (service("linux", "auditd"), Kind::Text, "audit.execve.a0", "a0"),
            (service("linux", "auditd"), Kind::Text, "audit.file.name", "name"),
            (service("aws", "cloudtrail"), Kind::Structure, "aws.userIdentity.type", "userIdentity.type"),
            (category("webserver"), Kind::Text, "id", "http.response.status_code"),
            (service("linux", "sshd"), Kind::Text, "srcip", "source.ip"),
            (ANY.clone(), Kind::Structure, "srcip", "srcip source.ip"),
            (ANY.clone(), Kind::Structure, "user.role", "user.role"),
        ] {
            assert_eq!(fields(&log, kind, name).0.join(" "), want, "{name}");
        }
        assert!(!fields(&ANY, Kind::Text, "extra_data").1);
        assert_eq!(grouping("user"), "user.name");
    }
}
