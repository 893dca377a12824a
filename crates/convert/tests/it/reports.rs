//! What is said of rules that could not be carried over, or not as they were.

use vedette_convert::wazuh::{Input, Outcome, convert};

use crate::{converted, group};

/// The report's lines of one file.
fn lines(text: &str) -> Vec<String> {
    converted(text, &[]).report.iter().map(ToString::to_string).collect()
}

#[test]
fn what_has_no_counterpart_is_named() {
    for (inside, why) in [
        ("<check_diff />", "`<check_diff>`: Sigma does not compare"),
        ("<if_fts />", "`<if_fts>`: Sigma does not know"),
        ("<weekday>monday</weekday>", "`<weekday>`: Sigma has no modifier"),
        ("<if_matched_level>5</if_matched_level>", "`<if_matched_level>` has no counterpart"),
        ("<something>x</something>", "unknown element `<something>`"),
        ("<match type=\"glob\">x</match>", "unknown type `glob`"),
        ("<match negate=\"maybe\">x</match>", "`negate` is yes or no, not `maybe`"),
        ("<regex type=\"pcre2\">a(?!b)</regex>", "a negative lookahead cannot be converted"),
        ("<regex>\\q</regex>", "osregex has no `\\q`"),
        ("<if_sid>5</if_sid>", "rule 5 is not in these files; give Wazuh's rules as parents"),
        ("<if_sid>five</if_sid>", "`five` is no rule id"),
        ("<if_group>none</if_group>", "`<if_group>` none: no rule of these files can be followed"),
        ("<srcip>host</srcip>", "`host` is neither an address nor a network"),
        ("<srcip>!192.0.2.1</srcip><srcip>192.0.2.2</srcip>", "`<srcip>` with and without `!`"),
        ("<list field=\"user\">etc/lists/x</list>", "the list `etc/lists/x` is not among those given"),
        ("<time>soon</time>", "`soon` is no part of a day"),
        ("<decoded_as>ossec</decoded_as>", "Wazuh's own messages have no counterpart"),
        ("<category>ossec</category>", "category `ossec` has no counterpart"),
        ("<match>x</match><if_sid>1</if_sid>", "rule 1 is a parent of itself"),
        ("<field>x</field>", "`<field>` has no name"),
        ("<field name=\"a|b\">x</field>", "`a|b` is no name of a field"),
        ("<field name=\"win.eventdata.\">x</field>", "`win.eventdata.` is no name of a field"),
        ("<decoded_as></decoded_as>", "`<decoded_as>` names no decoder"),
    ] {
        let text = group(&format!("<rule id=\"1\" level=\"3\">\n{inside}\n<description>t</description></rule>"));
        let report = lines(&text);
        assert!(
            report.len() == 1 && report[0].contains("not converted") && report[0].contains(why),
            "{inside}: {report:?}"
        );
        let line: u32 = report[0].split(':').nth(1).unwrap().parse().unwrap();
        assert!((2..=3).contains(&line), "{report:?}");
        assert!(report[0].contains("rule 1:"), "{report:?}");
    }
}

#[test]
fn what_differs_is_remarked() {
    let inside = "<decoded_as>sshd</decoded_as><match>x</match><description>t</description>";
    for (attributes, more, remark) in [
        ("ignore=\"60\"", "", "`ignore=\"60\"` is left out"),
        ("", "<options>no_full_log</options>", "option `no_full_log` is left out"),
        ("", "<extra_data>x</extra_data>", "field `extra_data` keeps its name"),
        ("", "<time>1-2</time>", "the time of day is in UTC"),
        ("", "<same_srcip />", "mean nothing without `frequency`"),
        ("", "<regex>\\w+\\d+x</regex>", "osregex does not go back"),
        ("frequency=\"2\" timeframe=\"9\"", "", "all that match it are counted"),
        ("frequency=\"2\"", "", "without `timeframe` Wazuh counts in 360 s"),
    ] {
        let report = lines(&group(&format!("<rule id=\"1\" level=\"3\" {attributes}>{inside}{more}</rule>")));
        assert!(report[0].contains("converted with a remark: ") && report[0].contains(remark), "{report:?}");
    }
    let conversion = converted(&group(&format!("<rule id=\"1\" level=\"3\">{inside}</rule>")), &[]);
    assert_eq!((conversion.report[0].outcome, conversion.report[0].notes.len()), (Outcome::Converted, 0));
}

#[test]
fn every_rule_is_in_the_report_once() {
    let text = group(
        r#"<rule id="1" level="0"><decoded_as>sshd</decoded_as><description>p</description></rule>
<rule id="2" level="3"><if_sid>1</if_sid><match>a</match><description>c</description></rule>
<rule id="2" level="3"><match>b</match><description>again</description></rule>
<rule level="3"><match>b</match></rule>
<rule id="4" level="3" frequency="x"><match>b</match></rule>
<rule id="5" level="3"><if_sid>6</if_sid></rule>
<rule id="6" level="3"><if_sid>5</if_sid></rule>
<other/>"#,
    );
    let report = lines(&text);
    assert_eq!(
        report,
        [
            "rules.xml:2: rule 1: parent only",
            "rules.xml:3: rule 2: converted",
            "rules.xml:4: rule 2: not converted: its id is already taken by rules.xml:3",
            "rules.xml:5: not converted: the rule has no `id`",
            "rules.xml:6: rule 4: not converted: `frequency` is a number up to 9999, not `x`",
            "rules.xml:7: rule 5: not converted: rule 5 is a parent of itself",
            "rules.xml:8: rule 6: not converted: rule 5 is a parent of itself",
            "rules.xml:9: not converted: `<other>` where a rule is expected",
        ]
    );
}

#[test]
fn a_sigma_rule_says_where_it_comes_from() {
    let text = group(
        r#"<rule id="100002" level="10"><decoded_as>sshd</decoded_as><match>POSSIBLE BREAK-IN</match>
<description>sshd: it's a break-in from $(srcip).</description><mitre><id>T1110</id></mitre>
<info type="link">https://example.org/a</info><info type="cve">CVE-2021-1</info><group>attack,pci_dss_11.4,</group></rule>"#,
    );
    let conversion = converted(&text, &[]);
    assert_eq!(conversion.files[0].name, "wazuh_100002.yml");
    assert_eq!(
        conversion.files[0].text,
        "title: 'sshd: it''s a break-in from $(srcip).'
id: '2efe22ee-1954-89e7-968a-9b96971ed4d7'
status: test
description: Converted from Wazuh rule 100002.
references:
  - 'https://example.org/a'
tags:
  - attack.t1110
  - cve.2021-1
logsource:
  product: linux
  service: sshd
detection:
  selection:
    message|contains: POSSIBLE BREAK-IN
  condition: selection
level: medium
wazuh:
  id: 100002
  level: 10
  groups:
    - local
    - test
    - attack
    - pci_dss_11.4
"
    );
}

#[test]
fn parents_of_other_files_are_read_and_not_written() {
    let base = group("<rule id=\"1\" level=\"3\"><decoded_as>sshd</decoded_as><description>p</description></rule>");
    let local =
        group("<rule id=\"2\" level=\"3\"><if_sid>1</if_sid><match>a</match><description>c</description></rule>");
    let input = Input { files: &[("local.xml", &local)], parents: &[("base.xml", &base)], lists: &[] };
    let conversion = convert(&input);
    assert_eq!(conversion.files.len(), 1);
    assert_eq!(conversion.report.len(), 1);
    assert_eq!(conversion.to_string().lines().count(), 4);
}

#[test]
fn hostile_rules_end_soon() {
    // Each rule has the two before as parents: 2^n chains.
    let rules: String = (3..400)
        .map(|id| format!("<rule id=\"{id}\" level=\"3\"><if_sid>{},{}</if_sid></rule>", id - 1, id - 2))
        .collect();
    let base = "<rule id=\"1\" level=\"3\"><match>a</match></rule><rule id=\"2\" level=\"3\"><match>b</match></rule>";
    let report = converted(&group(&format!("{base}{rules}")), &[]).report;
    assert_eq!(report.len(), 399);
    assert!(report.last().unwrap().notes[0].contains("more than 64 chains"), "{:?}", report.last());
    // A chain as long as the file, from its end to its beginning, and in a ring.
    let ring: String = (1..20_000)
        .map(|id| {
            format!("<rule id=\"{id}\" level=\"3\"><if_sid>{}</if_sid></rule>", if id == 19_999 { 1 } else { id + 1 })
        })
        .collect();
    let report = converted(&group(&ring), &[]).report;
    assert!(report.iter().all(|line| line.outcome == Outcome::Refused));
    // Variables that grow.
    let vars: String = (1..40).map(|n| format!("<var name=\"v{n}\">$v{0}$v{0}</var>", n - 1)).collect();
    let text = format!(
        "<var name=\"v0\">aaaaaaaaaa</var>{vars}{}",
        group("<rule id=\"1\" level=\"1\"><match>$v39</match></rule>")
    );
    assert!(converted(&text, &[]).report[0].notes[0].contains("variables make more than"));
    // All rules in one group, each of them asking for it.
    let all: String =
        (1..3_000).map(|id| format!("<rule id=\"{id}\" level=\"3\"><if_group>test</if_group></rule>")).collect();
    let report = converted(&group(&all), &[]).report;
    assert!(report.iter().all(|line| line.outcome == Outcome::Refused));
}

#[test]
fn the_book_shows_real_output() {
    let book = include_str!("../../../../docs/convert.md");
    let fenced = |kind: &str| {
        let (_, after) = book.split_once(&format!("```{kind}\n")).unwrap();
        after.split_once("\n```").unwrap().0
    };
    let rules = fenced("xml");
    let conversion = convert(&Input { files: &[("local_rules.xml", rules)], ..Input::default() });
    let files = conversion.files.iter().map(|file| format!("# {}\n{}", file.name, file.text)).collect::<Vec<_>>();
    assert_eq!(files.join("\n").trim_end(), fenced("yaml"));
    assert!(book.contains(&format!("and this report:\n```\n{}```", conversion)), "{conversion}");
}
