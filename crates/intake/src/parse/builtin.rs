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
pub(crate) const PARSERS: &[(&str, &str)] = files![
    "windows.yml",
    "cloudtrail.yml",
    "kubernetes.yml",
    "github.yml",
    "okta.yml",
    "azure.yml",
    "google-workspace.yml",
    "m365.yml",
    "gcp.yml",
    "vault.yml",
    "keycloak.yml",
    "suricata.yml",
    "zeek.yml",
    "cef.yml",
    "leef.yml",
    "fortinet.yml",
    "paloalto.yml",
    "cisco-asa.yml",
    "cisco-ios.yml",
    "filterlog.yml",
    "mikrotik.yml",
    "sshd.yml",
    "sudo.yml",
    "su.yml",
    "login.yml",
    "cron.yml",
    "systemd.yml",
    "auditd.yml",
    "wireguard.yml",
    "kernel.yml",
    "pam.yml",
    "dpkg.yml",
    "apt.yml",
    "postfix.yml",
    "dovecot.yml",
    "postgresql.yml",
    "mysql.yml",
    "openvpn.yml",
    "haproxy.yml",
    "squid.yml",
    "bind.yml",
    "unbound.yml",
    "dnsmasq.yml",
    "dhcpd.yml",
    "kea.yml",
    "docker.yml",
    "containerd.yml",
    "nginx-access.yml",
    "nginx-error.yml",
    "apache-access.yml",
    "apache-error.yml",
    "logfmt.yml",
    "hec.yml",
    "otlp.yml",
    "loki.yml",
    "gelf.yml",
    "fluent.yml",
    "json.yml",
    "syslog.yml",
];
