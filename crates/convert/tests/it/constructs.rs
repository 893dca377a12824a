//! One rule, one event.

use crate::{check, converted, findings, group};

const SSHD: (&str, &str) = ("event.dataset", "linux.sshd");

/// A rule of sshd's log with this in it.
fn sshd(inside: &str) -> String {
    format!("<rule id=\"100001\" level=\"5\"><decoded_as>sshd</decoded_as>{inside}<description>t</description></rule>")
}

#[test]
fn match_is_osmatch() {
    for (inside, text, want) in [
        ("<match>failed pass</match>", "Failed password for x", true),
        ("<match>failed pass</match>", "Failed  password", false),
        ("<match>^Failed|user$</match>", "FAILED x", true),
        ("<match>^Failed|user$</match>", "x failed", false),
        ("<match>^Failed|user$</match>", "illegal user", true),
        ("<match>^exactly$</match>", "Exactly", true),
        ("<match>^exactly$</match>", "exactly so", false),
        ("<match>!failed|refused</match>", "accepted", true),
        ("<match>!failed|refused</match>", "refused", false),
        ("<match negate=\"yes\">failed</match>", "accepted", true),
        ("<match negate=\"yes\">failed</match>", "failed", false),
        ("<match>a*b?c\\d</match>", "xa*b?c\\dx", true),
        ("<match>a*b?c\\d</match>", "a--b-c\\d", false),
        ("<match>\\<script&gt;|a & b</match>", "x <SCRIPT> y", true),
        ("<match>\\<script&gt;|a & b</match>", "a & b", true),
        ("<match>\\<script&gt;|a & b</match>", "script", false),
        // The same element twice is one expression.
        ("<match>one|</match><match>two</match>", "two", true),
        ("<match>one|</match><match>two</match>", "three", false),
        ("<match type=\"pcre2\">^a.c$</match>", "abc", true),
        ("<match type=\"pcre2\">^a.c$</match>", "ABC", false),
        ("<match type=\"osregex\">a\\dc</match>", "xa1c", true),
    ] {
        check(&sshd(inside), &[], &[(&[SSHD, ("message", text)], want)]);
    }
    // Another log's events are none of its business.
    check(&sshd("<match>failed</match>"), &[], &[(&[("event.dataset", "linux.sudo"), ("message", "failed")], false)]);
}

#[test]
fn regex_is_osregex() {
    for (inside, text, want) in [
        (r"<regex>port \d+$</regex>", "on PORT 22", true),
        (r"<regex>port \d+$</regex>", "port 22 x", false),
        (r"<regex>^(\w+)@\S+ \.+end$</regex>", "bob@host and\nthe end", true),
        (r"<regex>^\s\t\p$</regex>", " \t!", true),
        (r"<regex>^\D\W$</regex>", "a!", true),
        (r"<regex>^\D\W$</regex>", "1!", false),
        (r"<regex>a.c</regex>", "abc", false),
        (r"<regex>\(a\)\|\$</regex>", "x(a)|$", true),
        (r#"<regex negate="yes">\d</regex>"#, "a1", false),
        (r#"<regex negate="yes">\d</regex>"#, "a", true),
        (r#"<regex type="pcre2">(?i)user\s+(root|admin)\b</regex>"#, "User  ADMIN.", true),
        (r#"<regex type="pcre2">(?i)user\s+(root|admin)\b</regex>"#, "User administrator", false),
        (r#"<regex type="osmatch">^a|b$</regex>"#, "ab", true),
    ] {
        check(&sshd(inside), &[], &[(&[SSHD, ("message", text)], want)]);
    }
}

#[test]
fn static_fields_are_ecs() {
    for (inside, field, value, want) in [
        ("<srcip>192.0.2.0/24</srcip>", "source.ip", "192.0.2.7", true),
        ("<srcip>192.0.2.0/24</srcip>", "source.ip", "198.51.100.7", false),
        ("<srcip>!192.0.2.0/24</srcip>", "source.ip", "198.51.100.7", true),
        ("<srcip>!192.0.2.0/24</srcip>", "source.ip", "192.0.2.7", false),
        ("<srcip>!192.0.2.0/24</srcip>", "source.port", "1", false),
        ("<srcip negate=\"yes\">2001:db8::1</srcip>", "source.ip", "2001:db8::1", false),
        ("<srcip>192.0.2.7</srcip><srcip>192.0.2.8</srcip>", "source.ip", "192.0.2.8", true),
        ("<dstip>10.</dstip>", "destination.ip", "10.200.0.1", true),
        ("<srcport>^22$|^23$</srcport>", "source.port", "23", true),
        ("<dstport>^22$</dstport>", "destination.port", "2222", false),
        ("<user>^root$</user>", "user.name", "ROOT", true),
        ("<user>^root$</user>", "user.target.name", "root", true),
        ("<user negate=\"yes\">^root$</user>", "user.name", "root", false),
        ("<user negate=\"yes\">^root$</user>", "user.name", "bob", true),
        // A negated test of a field that is not there does not hold in Wazuh either.
        ("<user negate=\"yes\">^root$</user>", "source.ip", "192.0.2.7", false),
        ("<hostname>web</hostname>", "host.name", "web1", true),
        ("<program_name>^sshd</program_name>", "process.name", "sshd-session", true),
        ("<program_name>^sshd</program_name>", "process.name", "xsshd", false),
        ("<url>/admin|/login</url>", "url.original", "/x/login?a=1", true),
        ("<id>^4720$</id>", "event.code", "4720", true),
        ("<status>^failure</status>", "event.outcome", "failure", true),
        ("<action>DROP</action>", "event.action", "DROP", true),
        ("<action>DROP</action>", "event.action", "drop", false),
        ("<action type=\"osmatch\">drop|deny</action>", "event.action", "DENY", true),
        ("<location>/var/log/auth</location>", "log.file.path", "/var/log/auth.log", true),
        ("<system_name>^web1$</system_name>", "host.name", "web1", true),
        ("<protocol>tcp</protocol>", "network.transport", "tcp", true),
        ("<field name=\"srcuser\">^bob$</field>", "user.name", "bob", true),
        ("<field name=\"srcuser\">\\.+</field>", "user.name", "", true),
        ("<field name=\"srcuser\">\\.+</field>", "user.id", "1", false),
        ("<field name=\"srcuser\" negate=\"yes\">^bob$</field>", "user.name", "eve", true),
        ("<extra_data>x</extra_data>", "extra_data", "axb", true),
    ] {
        check(&sshd(inside), &[], &[(&[SSHD, (field, value)], want)]);
    }
}

#[test]
fn dynamic_fields_have_their_own_log() {
    let rule = |inside: &str| format!("<rule id=\"1\" level=\"12\">{inside}<description>t</description></rule>");
    let windows = [("winlog.channel", "Security"), ("event.code", "4688")];
    let command = |text| [windows[0], windows[1], ("winlog.event_data.CommandLine", text)];
    let power = rule(
        r#"<decoded_as>windows_eventchannel</decoded_as><field name="win.system.eventID">^4688$</field>
           <field name="win.eventdata.commandLine" type="pcre2">(?i)\\\\temp\\\\.+\.ps1</field>"#,
    );
    check(&power, &[], &[(&command(r"powershell C:\Temp\x.ps1"), true), (&command(r"C:\Temp.ps1"), false)]);
    let channel = rule(
        r#"<field name="win.system.channel">^Security$</field><field name="win.eventdata.commandLine">whoami</field>"#,
    );
    check(&channel, &[], &[(&command("WHOAMI /all"), true), (&command("who"), false)]);
    let aws = rule(
        r#"<decoded_as>json</decoded_as><field name="integration">aws</field><field name="aws.source">cloudtrail</field>
           <field name="aws.eventName">^ConsoleLogin$</field>"#,
    );
    let trail = |name| [("event.dataset", "aws.cloudtrail"), ("aws.cloudtrail.eventName", name)];
    check(&aws, &[], &[(&trail("ConsoleLogin"), true), (&trail("ListBuckets"), false)]);
    let audit = rule(
        r#"<decoded_as>auditd</decoded_as><field name="audit.key">^exec$</field><field name="audit.command">curl</field>"#,
    );
    let record = |comm| [("event.dataset", "linux.auditd"), ("auditd.data.key", "exec"), ("auditd.data.comm", comm)];
    check(&audit, &[], &[(&record("curl"), true), (&record("ls"), false)]);
    let json = rule(r#"<decoded_as>json</decoded_as><field name="app.event">^login$</field><srcip>192.0.2.7</srcip>"#);
    check(
        &json,
        &[],
        &[
            (&[("app.event", "login"), ("srcip", "192.0.2.7")], true),
            (&[("app.event", "login"), ("source.ip", "192.0.2.7"), ("event.dataset", "x.y")], true),
            (&[("app.event", "login"), ("srcip", "192.0.2.8")], false),
        ],
    );
}

#[test]
fn log_sources_come_from_decoders_categories_programs_and_groups_of_fields() {
    let rule = |inside: &str| {
        format!("<rule id=\"1\" level=\"3\">{inside}<match>x</match><description>t</description></rule>")
    };
    let of = |dataset| [("event.dataset", dataset), ("message", "x")];
    for (inside, yes, no) in [
        ("<decoded_as>sudo</decoded_as>", "linux.sudo", "linux.sshd"),
        ("<decoded_as>web-accesslog</decoded_as>", "nginx.access", "nginx.error"),
        ("<category>web-log</category>", "apache.access", "linux.sshd"),
        ("<category>firewall</category>", "cisco.asa", "linux.sshd"),
        ("<decoded_as>MyApp</decoded_as>", "myapp", "linux.syslog"),
    ] {
        check(&rule(inside), &[], &[(&of(yes), true), (&of(no), false)]);
    }
    let named = rule("<program_name>^sshd$</program_name>");
    let by = |dataset, program| [("event.dataset", dataset), ("message", "x"), ("process.name", program)];
    check(&named, &[], &[(&by("linux.sshd", "sshd"), true), (&by("linux.syslog", "sshd"), false)]);
    let other = rule("<program_name>^backup$</program_name>");
    check(&other, &[], &[(&by("linux.syslog", "backup"), true), (&by("linux.syslog", "cron"), false)]);
    // Nothing said: all logs, and records that no parser has read.
    let any = rule("");
    check(&any, &[], &[(&of("a.b"), true), (&[("raw", "{\"a\":\"x\"}")], true), (&[("raw", "{}")], false)]);
}

#[test]
fn children_ask_what_their_parents_ask() {
    let rules = r#"
<rule id="1" level="0"><decoded_as>sshd</decoded_as><description>sshd</description></rule>
<rule id="2" level="0"><if_sid>1</if_sid><match>failed|refused</match><description>f</description><group>fails,</group></rule>
<rule id="3" level="0"><if_sid>1</if_sid><match>reset</match><description>r</description><group>fails,</group></rule>
<rule id="4" level="8"><if_sid>2, 3</if_sid><user>root</user><description>either</description></rule>
<rule id="5" level="8"><if_group>fails</if_group><user>admin</user><description>group</description></rule>"#;
    let conversion = converted(&group(rules), &[]);
    for (message, user, want) in [
        ("failed", "root", &["either"][..]),
        ("reset", "root", &["either"]),
        ("accepted", "root", &[]),
        ("refused", "admin", &["group"]),
        ("failed", "bob", &[]),
    ] {
        let found = findings(&conversion, &[&[SSHD, ("message", message), ("user.name", user)]]);
        let titles: Vec<&str> = found.iter().map(|finding| finding.rule.title.as_str()).collect();
        assert_eq!(titles, want, "{message} {user}");
    }
    // `if_level`: any rule from that level on.
    let rules = r#"
<rule id="1" level="6"><decoded_as>sshd</decoded_as><match>bad</match><description>bad</description></rule>
<rule id="2" level="2"><decoded_as>sshd</decoded_as><match>good</match><description>good</description></rule>
<rule id="3" level="12"><if_level>5</if_level><user>root</user><description>by root</description></rule>"#;
    let conversion = converted(&group(rules), &[]);
    let count = |message| findings(&conversion, &[&[SSHD, ("message", message), ("user.name", "root")]]).len();
    assert_eq!((count("bad"), count("good")), (2, 1));
}

#[test]
fn parents_in_several_logs_make_several_rules() {
    let rules = r#"
<rule id="1" level="0"><decoded_as>sshd</decoded_as><match>fail</match><description>a</description><group>f,</group></rule>
<rule id="2" level="0"><decoded_as>sudo</decoded_as><match>incorrect</match><description>b</description><group>f,</group></rule>
<rule id="3" level="5"><if_group>f</if_group><description>both</description></rule>"#;
    let of = |dataset| {
        move |message| -> [(&'static str, &'static str); 2] { [("event.dataset", dataset), ("message", message)] }
    };
    let (ssh, sudo) = (of("linux.sshd"), of("linux.sudo"));
    check(
        rules,
        &[],
        &[(&ssh("fail"), true), (&sudo("incorrect"), true), (&ssh("incorrect"), false), (&sudo("fail"), false)],
    );
}

#[test]
fn variables_are_those_of_the_file() {
    let text = format!("<var name=\"BAD\">error|panic</var>{}", group(&sshd("<match>$BAD</match>")));
    let conversion = converted(&text, &[]);
    assert_eq!(findings(&conversion, &[&[SSHD, ("message", "kernel panic")]]).len(), 1);
    assert_eq!(findings(&conversion, &[&[SSHD, ("message", "fine")]]).len(), 0);
}

#[test]
fn lists_become_values() {
    let lists = [
        ("etc/lists/users", "alice:admin\nbob:guest\n\"a:b\":admin\n"),
        ("etc/lists/nets", "192.0.2.7:x\n10.1.:y\n203.0.113.0/24:\n"),
    ];
    for (inside, field, value, want) in [
        ("<list field=\"user\" lookup=\"match_key\">etc/lists/users</list>", "user.name", "alice", true),
        ("<list field=\"user\">etc/lists/users</list>", "user.name", "Alice", false),
        ("<list field=\"user\" lookup=\"not_match_key\">etc/lists/users</list>", "user.name", "eve", true),
        ("<list field=\"user\" lookup=\"not_match_key\">etc/lists/users</list>", "user.name", "bob", false),
        ("<list field=\"user\" lookup=\"not_match_key\">etc/lists/users</list>", "source.port", "1", false),
        (
            "<list field=\"user\" lookup=\"match_key_value\" check_value=\"^admin$\">etc/lists/users</list>",
            "user.name",
            "a:b",
            true,
        ),
        (
            "<list field=\"user\" lookup=\"match_key_value\" check_value=\"^admin$\">etc/lists/users</list>",
            "user.name",
            "bob",
            false,
        ),
        ("<list field=\"srcip\" lookup=\"address_match_key\">etc/lists/nets</list>", "source.ip", "10.1.2.3", true),
        ("<list field=\"srcip\" lookup=\"address_match_key\">etc/lists/nets</list>", "source.ip", "203.0.113.9", true),
        ("<list field=\"srcip\" lookup=\"address_match_key\">etc/lists/nets</list>", "source.ip", "192.0.2.8", false),
        (
            "<list field=\"srcip\" lookup=\"not_address_match_key\">etc/lists/nets</list>",
            "source.ip",
            "192.0.2.8",
            true,
        ),
    ] {
        check(&sshd(inside), &lists, &[(&[SSHD, (field, value)], want)]);
    }
}

#[test]
fn times_of_day_and_sizes() {
    // 2026-11-21 at this time of day
    let at = |clock: &str| {
        let (hour, minute) = clock.split_once(':').unwrap();
        let seconds = hour.parse::<i64>().unwrap() * 3_600 + minute.parse::<i64>().unwrap() * 60;
        (1_795_219_200 + seconds).to_string()
    };
    for (time, clock, want) in [
        ("8:30-17", "08:30", true),
        ("8:30-17", "08:29", false),
        ("8:30-17", "17:00", true),
        ("8:30-17", "17:01", false),
        ("6 pm - 8:30 am", "23:00", true),
        ("6 pm - 8:30 am", "03:15", true),
        ("6 pm - 8:30 am", "12:00", false),
        ("!9 am-5 pm", "12:00", false),
        ("!9 am-5 pm", "20:00", true),
    ] {
        check(&sshd(&format!("<time>{time}</time>")), &[], &[(&[SSHD, ("at", &at(clock))], want)]);
    }
    let long =
        "<rule id=\"1\" level=\"13\" maxsize=\"1025\"><decoded_as>sshd</decoded_as><description>t</description></rule>";
    let text = "x".repeat(1_025);
    check(long, &[], &[(&[SSHD, ("raw", &text)], true), (&[SSHD, ("raw", &text[1..])], false)]);
}

#[test]
fn a_rule_may_ask_only_for_its_log() {
    check(&sshd(""), &[], &[(&[SSHD], true), (&[("event.dataset", "linux.sudo")], false)]);
}

#[test]
fn overwriting_rules_keep_their_parents() {
    let rules = r#"
<rule id="1" level="0"><decoded_as>sshd</decoded_as><description>p</description></rule>
<rule id="2" level="3"><if_sid>1</if_sid><match>old</match><description>before</description></rule>
<rule id="2" level="10" overwrite="yes"><match>new</match><description>after</description></rule>"#;
    check(
        rules,
        &[],
        &[
            (&[SSHD, ("message", "new")], true),
            (&[SSHD, ("message", "old")], false),
            (&[("event.dataset", "linux.sudo"), ("message", "new")], false),
        ],
    );
}

#[test]
fn exceptions_become_filters() {
    let rules = r#"
<rule id="1" level="0"><decoded_as>sshd</decoded_as><description>p</description></rule>
<rule id="2" level="5"><if_sid>1</if_sid><match>failed</match><description>failed</description></rule>
<rule id="3" level="0"><if_sid>2</if_sid><srcip>192.0.2.7</srcip><description>the scanner</description></rule>
<rule id="4" level="7" frequency="2" timeframe="60"><if_matched_sid>2</if_matched_sid><global_frequency /><description>often</description></rule>"#;
    let conversion = converted(&group(rules), &[]);
    let from = |ip| [SSHD, ("message", "failed"), ("source.ip", ip)];
    let (scanner, other) = (from("192.0.2.7"), from("192.0.2.8"));
    assert_eq!(findings(&conversion, &[&other]).len(), 1);
    assert_eq!(findings(&conversion, &[&scanner]).len(), 0);
    // What is excepted is not counted either.
    assert_eq!(findings(&conversion, &[&scanner, &scanner, &other]).len(), 1);
    assert_eq!(findings(&conversion, &[&other, &other]).len(), 3);
}
