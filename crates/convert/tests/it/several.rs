//! Rules with `frequency`.

use crate::{converted, findings, group};

const FAILED: &str = r#"
<rule id="1" level="0"><decoded_as>sshd</decoded_as><description>sshd</description></rule>
<rule id="2" level="4"><if_sid>1</if_sid><match>failed</match><description>failed</description><group>fails,</group></rule>"#;

/// An event: at, source, user, host.
type Seen<'a> = (&'a str, &'a str, &'a str, &'a str);

/// How often the rule with `inside` fires, given with its attributes.
fn fires(attributes: &str, inside: &str, seen: &[Seen<'_>]) -> usize {
    let rules =
        format!("{FAILED}<rule id=\"3\" level=\"10\" {attributes}>{inside}<description>many</description></rule>");
    let conversion = converted(&group(&rules), &[]);
    let events: Vec<Vec<(&str, &str)>> = seen
        .iter()
        .map(|(at, ip, user, host)| {
            vec![
                ("event.dataset", "linux.sshd"),
                ("message", "failed"),
                ("at", *at),
                ("source.ip", *ip),
                ("user.name", *user),
                ("host.name", *host),
            ]
        })
        .collect();
    let events: Vec<&[(&str, &str)]> = events.iter().map(Vec::as_slice).collect();
    let found = findings(&conversion, &events);
    // The rule that is counted goes on making findings of its own.
    assert_eq!(found.iter().filter(|finding| finding.rule.title == "failed").count(), seen.len());
    found.iter().filter(|finding| finding.rule.title == "many").count()
}

const THREE: &str = "frequency=\"3\" timeframe=\"60\"";
const SAME: &[Seen<'_>] = &[("10", "a", "u", "h"), ("20", "a", "u", "h"), ("30", "a", "u", "h")];

#[test]
fn a_frequency_is_a_number_of_events() {
    let sid = "<if_matched_sid>2</if_matched_sid>";
    assert_eq!(fires(THREE, sid, SAME), 1);
    assert_eq!(fires(THREE, sid, &SAME[..2]), 0);
    assert_eq!(fires("frequency=\"3\" timeframe=\"15\"", sid, SAME), 0);
    // Then it counts anew.
    assert_eq!(fires(THREE, sid, &[SAME, SAME].concat()), 2);
    assert_eq!(fires(THREE, "<if_matched_group>fails</if_matched_group>", SAME), 1);
    // Without a rule to be counted, the rule's own events are.
    assert_eq!(fires(THREE, "<if_sid>2</if_sid>", SAME), 1);
    assert_eq!(fires(THREE, "<if_sid>2</if_sid><match>accepted</match>", SAME), 0);
    // What it asks itself
    assert_eq!(fires(THREE, "<if_matched_sid>2</if_matched_sid><user>^u$</user>", SAME), 1);
    assert_eq!(fires(THREE, "<if_matched_sid>2</if_matched_sid><user>^v$</user>", SAME), 0);
}

#[test]
fn same_and_different_fields() {
    let sid = |more: &str| format!("<if_matched_sid>2</if_matched_sid>{more}");
    let ips: &[Seen<'_>] = &[("10", "a", "u", "h"), ("20", "b", "u", "h"), ("30", "c", "u", "h")];
    for (more, seen, want) in [
        ("<same_srcip />", SAME, 1),
        ("<same_source_ip />", ips, 0),
        ("<same_user />", ips, 1),
        ("<same_field>srcuser</same_field>", ips, 1),
        ("<different_srcip />", ips, 1),
        ("<not_same_field>srcip</not_same_field>", SAME, 0),
        ("<different_field>srcip</different_field><same_user />", ips, 1),
        ("<different_srcip /><same_user />", &ips[..2], 0),
    ] {
        assert_eq!(fires(THREE, &sid(more), seen), want, "{more}");
    }
    // Events of several agents are counted together only if the rule says so.
    let hosts: &[Seen<'_>] = &[("10", "a", "u", "h"), ("20", "a", "u", "i"), ("30", "a", "u", "j")];
    assert_eq!(fires(THREE, &sid(""), hosts), 0);
    assert_eq!(fires(THREE, &sid("<global_frequency />"), hosts), 1);
}
