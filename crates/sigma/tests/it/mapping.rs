//! The built-in mapping: which events belong where, and where fields are found.

use vedette_event::Value::{self, Str};
use vedette_sigma::{Mapping, Program, load_str};

use crate::cases::batch;

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";

/// The log sources of which an event is a member, of those given as `product/category/service`.
fn members(sources: &[&str], fields: &[(&str, Value<'_>)]) -> Vec<String> {
    let rules: Vec<String> = sources
        .iter()
        .map(|source| {
            let parts = ["product", "category", "service"].into_iter().zip(source.split('/'));
            let logsource: Vec<String> =
                parts.filter(|(_, value)| !value.is_empty()).map(|(key, value)| format!("{key}: {value}")).collect();
            format!(
                "title: {source}\nlogsource: {{{}}}\ndetection: {{s: {{host.name|exists: true}}, n: {{host.name: null}}, condition: s or n}}\n",
                logsource.join(", ")
            )
        })
        .collect();
    matching(&rules.join("---\n"), fields)
}

fn matching(rules: &str, fields: &[(&str, Value<'_>)]) -> Vec<String> {
    let loaded = load_str("m", rules);
    assert_eq!(loaded.refused, []);
    let (program, _) = Program::compile(loaded.rules, &Mapping::builtin());
    let mut findings = Vec::new();
    program.run(&batch("{}", fields), &mut findings);
    findings.into_iter().map(|finding| finding.rule.title.clone()).collect()
}

#[test]
fn windows_events_belong_to_sets_of_log_sources() {
    let sources = [
        "windows//",
        "windows//sysmon",
        "windows//security",
        "windows/process_creation/",
        "windows/registry_event/",
        "windows/registry_add/",
        "windows/registry_delete/",
        "windows/registry_set/",
        "windows/registry_rename/",
        "windows/file_delete/",
        "windows/ps_script/",
        "windows//powershell",
        "windows/process_creation/sysmon",
        "/process_creation/",
        "linux/process_creation/",
    ];
    let event = |channel, code| vec![("winlog.channel", Str(channel)), ("event.code", Str(code))];
    let registry = |code, kind| {
        let mut fields = event(SYSMON, code);
        fields.push(("winlog.event_data.EventType", Str(kind)));
        fields
    };
    for (fields, want) in [
        (
            event(SYSMON, "1"),
            "windows// windows//sysmon windows/process_creation/ windows/process_creation/sysmon /process_creation/",
        ),
        (event("Security", "4688"), "windows// windows//security windows/process_creation/ /process_creation/"),
        (event("Security", "1"), "windows// windows//security"),
        (registry("12", "CreateKey"), "windows// windows//sysmon windows/registry_event/ windows/registry_add/"),
        (registry("12", "DeleteKey"), "windows// windows//sysmon windows/registry_event/ windows/registry_delete/"),
        (registry("12", "DeleteValue"), "windows// windows//sysmon windows/registry_event/ windows/registry_delete/"),
        (registry("13", "SetValue"), "windows// windows//sysmon windows/registry_event/ windows/registry_set/"),
        (registry("14", "RenameKey"), "windows// windows//sysmon windows/registry_event/ windows/registry_rename/"),
        (event(SYSMON, "26"), "windows// windows//sysmon windows/file_delete/"),
        (event("PowerShellCore/Operational", "4104"), "windows// windows/ps_script/ windows//powershell"),
        (event("Linux-Sysmon/Operational", "1"), "/process_creation/ linux/process_creation/"),
    ] {
        assert_eq!(members(&sources, &fields).join(" "), want, "{fields:?}");
    }
}

#[test]
fn every_windows_category_and_service_of_the_reference_is_mapped() {
    let Some(sigma) = crate::data::shared("sigma") else { return };
    let reference = std::fs::read_to_string(sigma.join("windows-mapping-reference.yml")).unwrap();
    let mut rules = String::new();
    let mut count = 0;
    let mut logsource = Vec::new();
    for line in reference.lines().chain(["    end:"]) {
        let indent = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(':').unwrap_or_default();
        match indent {
            // The entry that ended, if it was a Windows one.
            4 if !line.trim().starts_with('#') => {
                if logsource.iter().any(|part: &String| part == "product: windows") {
                    rules += &format!(
                        "---\ntitle: r{count}\nlogsource: {{{}}}\ndetection: {{s: {{F: a}}, condition: s}}\n",
                        logsource.join(", ")
                    );
                    count += 1;
                }
                logsource.clear();
            }
            8 if matches!(key, "product" | "category" | "service") => logsource.push(format!("{key}:{value}")),
            _ => {}
        }
    }
    assert!(count > 80, "{count}");
    let loaded = load_str("reference", &rules);
    assert_eq!(loaded.refused, []);
    let (program, _) = Program::compile(loaded.rules, &Mapping::builtin());
    let unfed: Vec<String> = program.unfed().map(|(_, logsource)| logsource.to_string()).collect();
    assert_eq!(unfed, Vec::<String>::new());
}

#[test]
fn rules_names_are_found_where_events_have_them() {
    let rule = |logsource: &str, item: &str| {
        format!("title: r\nlogsource: {{{logsource}}}\ndetection:\n  s:\n    {item}\n  condition: s\n")
    };
    let windows = "product: windows, category: process_creation";
    for (logsource, item, fields) in [
        (
            windows,
            r"Image|endswith: '\a.exe'",
            vec![
                ("winlog.channel", Str("Security")),
                ("event.code", Str("4688")),
                ("winlog.event_data.NewProcessName", Str(r"C:\a.exe")),
            ],
        ),
        (
            windows,
            r"ParentImage|endswith: '\a.exe'",
            vec![
                ("winlog.channel", Str("Security")),
                ("event.code", Str("4688")),
                ("winlog.event_data.ParentProcessName", Str(r"C:\a.exe")),
            ],
        ),
        (
            windows,
            "IntegrityLevel: ['High', 'S-1-16-12288']",
            vec![
                ("winlog.channel", Str("Security")),
                ("event.code", Str("4688")),
                ("winlog.event_data.MandatoryLabel", Str("S-1-16-12288")),
            ],
        ),
        (
            "product: windows, service: wmi",
            "Operation|contains: exec",
            vec![
                ("winlog.channel", Str("Microsoft-Windows-WMI-Activity/Operational")),
                ("winlog.user_data.Operation", Str("ExecMethod")),
            ],
        ),
        (
            "product: windows, service: windefend",
            "ThreatName: EICAR",
            vec![
                ("winlog.channel", Str("Microsoft-Windows-Windows Defender/Operational")),
                ("winlog.event_data.Threat Name", Str("EICAR")),
            ],
        ),
        (
            "category: antivirus",
            "Signature: EICAR",
            vec![
                ("winlog.channel", Str("Microsoft-Windows-Windows Defender/Operational")),
                ("event.code", Str("1116")),
                ("winlog.event_data.Threat Name", Str("EICAR")),
            ],
        ),
        (
            "product: windows, service: system",
            "Provider_Name: 'Service Control Manager'",
            vec![("winlog.channel", Str("System")), ("event.provider", Str("Service Control Manager"))],
        ),
        (
            "category: webserver",
            "cs-uri-query|contains: '../'",
            vec![("event.dataset", Str("nginx.access")), ("url.original", Str("/a?f=../../etc/passwd"))],
        ),
        (
            "category: proxy",
            "c-useragent: curl",
            vec![("event.dataset", Str("squid.access")), ("user_agent.original", Str("curl"))],
        ),
        (
            "category: dns",
            "query|endswith: .example",
            vec![("event.dataset", Str("suricata.dns")), ("dns.question.name", Str("a.example"))],
        ),
        (
            "category: dns",
            "query|endswith: .example",
            vec![("event.dataset", Str("unbound.dns")), ("dns.question.name", Str("a.example"))],
        ),
        (
            "product: azure, service: auditlogs",
            "properties.message: 'Add member to role'",
            vec![
                ("event.dataset", Str("azure.auditlogs")),
                ("azure.auditlogs.operationName", Str("Add member to role")),
            ],
        ),
        (
            "product: azure, service: signinlogs",
            "Status|contains: 'MFA denied'",
            vec![
                ("event.dataset", Str("azure.signinlogs")),
                ("azure.status_text", Str("failure")),
                ("azure.status_text", Str("MFA denied; user declined")),
            ],
        ),
        (
            "product: m365, service: threat_management",
            "eventName: 'Impossible travel activity'",
            vec![
                ("event.dataset", Str("o365.audit")),
                ("o365.audit.Operation", Str("AlertTriggered")),
                ("o365.audit.Name", Str("Impossible travel activity")),
            ],
        ),
        (
            "product: okta, service: okta",
            "actor.alternateId: eve@example.org",
            vec![("event.dataset", Str("okta.system")), ("okta.actor.alternateId", Str("eve@example.org"))],
        ),
        (
            "product: gcp, service: google_workspace.admin",
            "eventName: ASSIGN_ROLE",
            vec![
                ("event.dataset", Str("google_workspace.admin")),
                ("google_workspace.events.name", Str("ASSIGN_ROLE")),
            ],
        ),
        (
            "product: kubernetes, service: audit",
            "hostPath: '*'",
            vec![
                ("event.dataset", Str("kubernetes.audit")),
                ("kubernetes.audit.requestObject.spec.volumes.hostPath.path", Str("/")),
            ],
        ),
        (
            "product: fortigate, service: event",
            "cfgpath: system.admin",
            vec![
                ("event.dataset", Str("fortinet.fortigate")),
                ("fortinet.firewall.type", Str("event")),
                ("fortinet.firewall.cfgpath", Str("system.admin")),
            ],
        ),
        (
            "product: linux, service: auditd",
            "type: EXECVE",
            vec![("event.dataset", Str("linux.auditd")), ("auditd.type", Str("EXECVE"))],
        ),
        (
            "product: linux, service: auditd",
            "a1: '-e'",
            vec![("event.dataset", Str("linux.auditd")), ("auditd.data.a1", Str("-e"))],
        ),
        (
            "product: linux, service: auth",
            "- 'Failed password'",
            vec![("event.dataset", Str("linux.sshd")), ("message", Str("Failed password for root"))],
        ),
        (
            "product: linux, category: process_creation",
            "CommandLine|contains: curl",
            vec![
                ("winlog.channel", Str("Linux-Sysmon/Operational")),
                ("event.code", Str("1")),
                ("winlog.event_data.CommandLine", Str("curl x")),
            ],
        ),
        (
            "product: aws, service: cloudtrail",
            "userIdentity.type: Root",
            vec![("event.dataset", Str("aws.cloudtrail")), ("aws.cloudtrail.userIdentity.type", Str("Root"))],
        ),
        (
            "product: zeek, service: http",
            "uri|contains: evil",
            vec![("event.dataset", Str("zeek.http")), ("zeek.http.uri", Str("/evil"))],
        ),
        (
            "product: suricata, service: alert",
            "alert.severity: 1",
            vec![("event.dataset", Str("suricata.alert")), ("suricata.eve.alert.severity", Value::Int(1))],
        ),
        (
            "product: okta, service: okta",
            "eventType: x",
            vec![("event.dataset", Str("okta.system")), ("eventType", Str("x"))],
        ),
        // Nothing maps it, so that it reads the data set of its name.
        ("product: acme, service: widget", "F: x", vec![("event.dataset", Str("acme.widget")), ("F", Str("x"))]),
    ] {
        assert_eq!(matching(&rule(logsource, item), &fields), ["r"], "{logsource} {item}");
    }
}

/// The rules that the project wrote: all load, all have events to read, and their tests can be read.
#[test]
fn our_own_rules_are_fed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/rules");
    let loaded = vedette_sigma::load(&[&folder]);
    assert_eq!(loaded.refused, []);
    for rule in &loaded.rules {
        let file = vedette_sigma::test_file(std::path::Path::new(&*rule.file));
        let tests = vedette_sigma::tests(&file).unwrap();
        assert!(tests.iter().any(|test| test.expect == vedette_sigma::Expect::Match), "{}", file.display());
    }
    let (program, refused) = Program::compile(loaded.rules, &Mapping::builtin());
    assert_eq!(refused, []);
    let unfed: Vec<&str> = program.unfed().map(|(rule, _)| rule.title.as_str()).collect();
    assert_eq!(unfed, Vec::<&str>::new());
}
