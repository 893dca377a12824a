//! What each channel is sent of an incident.

use expect_test::expect;
use vedette_alert::IncidentId;
use vedette_event::{Entity, Level};

use super::{ALERTMANAGER, CEF, NTFY, PAGERDUTY, SLACK, SMTP, TEAMS, TEXT, WEBHOOK, check, hostile, written};
use crate::{Happened, Notice, RuleName, Subject, sample};

/// Given by one person to another.
fn taken() -> Notice {
    Notice { what: Happened::Acknowledged, who: Some("bob".into()), assignee: Some("ada".into()), ..sample::incident() }
}

/// The JSON of a message, without its headers.
fn json(channel: &str, notices: Vec<Notice>) -> serde_json::Value {
    let text = written(channel, notices);
    serde_json::from_str(&text[text.find(['{', '[']).unwrap()..]).unwrap()
}

#[test]
fn webhook() {
    let body = json(WEBHOOK, vec![sample::incident()]);
    expect![[r#"
        {
          "type": "incident.grew",
          "timestamp": "2026-11-21T05:13:20.000000Z",
          "data": {
            "what": "grew",
            "time": "2026-11-21T05:13:20.000000Z",
            "about": "incident",
            "alert": 0,
            "incident": 12,
            "revision": 7,
            "link": "https://vedette.example:8443/incidents/12",
            "level": "high",
            "rule": {
              "id": "incident",
              "title": "Incident",
              "author": null,
              "techniques": [
                "T1110",
                "T1136.001"
              ],
              "tactics": [
                "initial-access",
                "persistence"
              ]
            },
            "rules": [
              {
                "id": "new-account",
                "title": "New account",
                "level": "high"
              },
              {
                "id": "ssh-brute-force",
                "title": "SSH brute force",
                "level": "medium"
              }
            ],
            "entity": {
              "kind": "host",
              "value": "web-1"
            },
            "entities": [
              {
                "kind": "host",
                "value": "web-1"
              },
              {
                "kind": "ip",
                "value": "192.0.2.7"
              },
              {
                "kind": "user",
                "value": "root"
              },
              {
                "kind": "user",
                "value": "eve"
              }
            ],
            "sources": [
              "file:/var/log/auth.log"
            ],
            "count": 12,
            "first": "2026-11-21T05:03:20.000000Z",
            "last": "2026-11-21T05:13:10.000000Z",
            "who": null,
            "assignee": null,
            "note": null,
            "verdict": null,
            "merged_into": null,
            "test": false
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&body).unwrap());
    let merged = json(WEBHOOK, vec![sample::merged()]);
    expect![[r#""incident.closed" 13 12"#]]
        .assert_eq(&format!("{} {} {}", merged["type"], merged["data"]["incident"], merged["data"]["merged_into"]));
    let digest = json(WEBHOOK, vec![sample::notice(), sample::incident(), taken()]);
    expect![[r#""alert.digest" 1 1"#]]
        .assert_eq(&format!("{} {} {}", digest["type"], digest["data"]["alerts"], digest["data"]["incidents"]));
    assert!(digest["data"].get("of").is_none(), "words are for people");
}

#[test]
fn chats() {
    let slack = json(SLACK, vec![sample::incident()]);
    expect![[r#"
        [
          {
            "type": "header",
            "text": {
              "type": "plain_text",
              "text": "🟠 [HIGH] Incident 12: host web-1, ip 192.0.2.7, user root (grew)",
              "emoji": true
            }
          },
          {
            "type": "section",
            "text": {
              "type": "mrkdwn",
              "text": "Incident 12 grew\nLevel: high\nTactics: initial-access, persistence\nRules: New account, SSH brute force\nTechniques: T1110, T1136.001\nEntity: host web-1\nAlso named: ip 192.0.2.7, user root, user eve\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
              "verbatim": true
            }
          },
          {
            "type": "context",
            "elements": [
              {
                "type": "mrkdwn",
                "text": "<https://vedette.example:8443/incidents/12|Open in Vedette>"
              }
            ]
          }
        ]"#]].assert_eq(&serde_json::to_string_pretty(&slack["blocks"]).unwrap());
    let teams = json(TEAMS, vec![sample::merged()]);
    let card = &teams["attachments"][0]["content"];
    let lines: Vec<_> =
        card["body"].as_array().unwrap().iter().map(|block| block["inlines"][0]["text"].as_str().unwrap()).collect();
    expect![[r#"
        [HIGH] Incident 13: host web-1, ip 192.0.2.7, user root (closed)
        Incident 13 closed: it is part of incident 12 now
        Level: high
        Tactics: initial-access, persistence
        Rules: New account, SSH brute force
        Techniques: T1110, T1136.001
        Entity: host web-1
        Also named: ip 192.0.2.7, user root, user eve
        Sources: file:/var/log/auth.log
        Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z
        "https://vedette.example:8443/incidents/13""#]]
    .assert_eq(&format!("{}\n{}", lines.join("\n"), card["actions"][0]["url"]));
    let ntfy = json(NTFY, vec![taken()]);
    expect![[r#"
        {
          "topic": "vedette-7d1f",
          "title": "[HIGH] Incident 12: host web-1, ip 192.0.2.7, user root (acknowledged)",
          "message": "Incident 12 acknowledged by bob\nAssignee: ada\nLevel: high\nTactics: initial-access, persistence\nRules: New account, SSH brute force\nTechniques: T1110, T1136.001\nEntity: host web-1\nAlso named: ip 192.0.2.7, user root, user eve\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
          "priority": 4,
          "tags": [
            "warning"
          ],
          "click": "https://vedette.example:8443/incidents/12"
        }"#]].assert_eq(&serde_json::to_string_pretty(&ntfy).unwrap());
}

#[test]
fn several_and_where_they_are() {
    let other = Notice { subject: Subject::Incident(IncidentId(14)), ..sample::incident() };
    check(
        SMTP,
        vec![sample::incident(), other.clone(), sample::notice()],
        expect![[r#"
        From: Vedette <vedette@example.org>
        Date: Sat, 21 Nov 2026 05:13:30 +0000
        Subject: 3 notices of 1 alert and 2 incidents, worst high (quiet hours)
        Message-ID: <vedette-5-18@example.org>
        To: soc@example.org, Ada <ada@example.org>
        Auto-Submitted: auto-generated
        Importance: high
        X-Vedette-Level: high
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        3 notices of 1 alert and 2 incidents, from 2026-11-21T05:13:20Z to 2026-11-=
        21T05:13:20Z
        By level: high 3

        [high] Incident 12: host web-1, grew, 12 findings
        [high] Incident 14: host web-1, grew, 12 findings
        [high] SSH brute force: 192.0.2.7, alert 17 opened, 12 findings

        https://vedette.example:8443/alerts"#]],
    );
    let link = |notices| json(NTFY, notices)["click"].as_str().unwrap().to_owned();
    assert_eq!(link(vec![sample::incident(), other.clone()]), "https://vedette.example:8443/incidents");
    assert_eq!(link(vec![sample::incident(), sample::notice()]), "https://vedette.example:8443/alerts");
    let subject = |notices| json(NTFY, notices)["title"].as_str().unwrap().to_owned();
    assert_eq!(subject(vec![sample::incident(), taken()]), "2 notices of 1 incident, worst high (quiet hours)");
    assert_eq!(subject(vec![sample::incident(), other]), "2 notices of 2 incidents, worst high (quiet hours)");
}

#[test]
fn mail() {
    check(
        SMTP,
        vec![taken()],
        expect![[r#"
        From: Vedette <vedette@example.org>
        Date: Sat, 21 Nov 2026 05:13:30 +0000
        Subject: [HIGH] Incident 12: host web-1, ip 192.0.2.7, user root
         (acknowledged)
        Message-ID: <vedette-5-18@example.org>
        To: soc@example.org, Ada <ada@example.org>
        Auto-Submitted: auto-generated
        Importance: high
        X-Vedette-Level: high
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit

        Incident 12 acknowledged by bob
        Assignee: ada
        Level: high
        Tactics: initial-access, persistence
        Rules: New account, SSH brute force
        Techniques: T1110, T1136.001
        Entity: host web-1
        Also named: ip 192.0.2.7, user root, user eve
        Sources: file:/var/log/auth.log
        Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z

        https://vedette.example:8443/incidents/12"#]],
    );
}

#[test]
fn pagerduty() {
    check(
        PAGERDUTY,
        vec![sample::incident()],
        expect![[r#"
        {
          "routing_key": "0123456789abcdef0123456789abcdef",
          "event_action": "trigger",
          "dedup_key": "vedette-incident-12-660c26b46fc00",
          "payload": {
            "summary": "[HIGH] Incident 12: host web-1, ip 192.0.2.7, user root (grew)",
            "source": "web-1",
            "severity": "error",
            "timestamp": "2026-11-21T05:13:10.000000Z",
            "component": "host",
            "class": "incident",
            "custom_details": {
              "incident": 12,
              "rule": {
                "id": "incident",
                "title": "Incident",
                "author": null,
                "techniques": [
                  "T1110",
                  "T1136.001"
                ],
                "tactics": [
                  "initial-access",
                  "persistence"
                ]
              },
              "level": "high",
              "entities": [
                {
                  "kind": "host",
                  "value": "web-1"
                },
                {
                  "kind": "ip",
                  "value": "192.0.2.7"
                },
                {
                  "kind": "user",
                  "value": "root"
                },
                {
                  "kind": "user",
                  "value": "eve"
                }
              ],
              "sources": [
                "file:/var/log/auth.log"
              ],
              "findings": 12,
              "first": "2026-11-21T05:03:20Z",
              "last": "2026-11-21T05:13:10Z",
              "note": null,
              "rules": [
                {
                  "id": "new-account",
                  "title": "New account",
                  "level": "high"
                },
                {
                  "id": "ssh-brute-force",
                  "title": "SSH brute force",
                  "level": "medium"
                }
              ]
            }
          },
          "client": "Vedette",
          "client_url": "https://vedette.example:8443/incidents/12",
          "links": [
            {
              "href": "https://vedette.example:8443/incidents/12",
              "text": "Open in Vedette"
            }
          ]
        }"#]],
    );
    // That of the alert of the same number is another one.
    let key = |notice| json(PAGERDUTY, vec![notice])["dedup_key"].clone();
    let alert = Notice { subject: crate::About::Alert.numbered(12), ..sample::notice() };
    assert_ne!(key(alert), key(sample::incident()));
    assert_eq!(key(taken()), key(sample::incident()));
    let merged = json(PAGERDUTY, vec![sample::merged()]);
    expect![[r#""resolve" "vedette-incident-13-660c26b46fc00""#]]
        .assert_eq(&format!("{} {}", merged["event_action"], merged["dedup_key"]));
}

#[test]
fn alertmanager() {
    check(
        ALERTMANAGER,
        vec![Notice { what: Happened::Opened, ..sample::incident() }],
        expect![[r#"
        [
          {
            "labels": {
              "team": "soc",
              "alertname": "Incident",
              "incident_id": "12",
              "entity": "web-1",
              "entity_kind": "host",
              "rule_id": "incident",
              "severity": "high",
              "job": "vedette"
            },
            "annotations": {
              "summary": "[HIGH] Incident 12: host web-1, ip 192.0.2.7, user root",
              "description": "Incident 12 opened\nLevel: high\nTactics: initial-access, persistence\nRules: New account, SSH brute force\nTechniques: T1110, T1136.001\nEntity: host web-1\nAlso named: ip 192.0.2.7, user root, user eve\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
              "findings": "12",
              "techniques": "T1110 T1136.001"
            },
            "startsAt": "2026-11-21T05:13:20.000000Z",
            "endsAt": "2026-11-22T05:13:30.000000Z",
            "generatorURL": "https://vedette.example:8443/incidents/12"
          }
        ]"#]],
    );
    // Whatever happens to it, it has the same labels but for its level; what has fired with a lower one has ended.
    let shown = |notice| {
        let alerts = json(ALERTMANAGER, vec![notice]);
        let alerts = alerts.as_array().unwrap().iter();
        let all: Vec<_> = alerts.map(|alert| format!("{} {}", alert["labels"]["severity"], alert["endsAt"])).collect();
        all.join("\n")
    };
    let mut worse = sample::incident();
    worse.rule.level = Level::Critical;
    expect![[r#"
        "critical" "2026-11-22T05:13:30.000000Z"
        "informational" "2026-11-21T05:13:20.001000Z"
        "low" "2026-11-21T05:13:20.001000Z"
        "medium" "2026-11-21T05:13:20.001000Z"
        "high" "2026-11-21T05:13:20.001000Z""#]]
    .assert_eq(&shown(worse));
    expect![[r#"
        "high" "2026-11-21T05:13:20.001000Z"
        "informational" "2026-11-21T05:13:20.001000Z"
        "low" "2026-11-21T05:13:20.001000Z"
        "medium" "2026-11-21T05:13:20.001000Z""#]]
    .assert_eq(&shown(sample::merged()));
    let labels = |notice| {
        let mut labels = json(ALERTMANAGER, vec![notice])[0]["labels"].clone();
        labels.as_object_mut().unwrap().remove("severity");
        labels
    };
    let mut later = sample::incident();
    later.rule.tactics.push("impact".into());
    later.entities.insert(1, Entity { kind: "host".into(), value: "db".into() });
    assert_eq!(labels(later), labels(sample::incident()));
    assert_eq!(json(ALERTMANAGER, vec![sample::closed()]).as_array().unwrap().len(), 1, "of an alert there is one");
}

#[test]
fn syslog() {
    check(
        CEF,
        vec![sample::merged()],
        expect![
            "<107>1 2026-11-21T05:13:20.000000Z monitor vedette PID incident - CEF:0|Vedette|Vedette|0.1.0|incident|Incident|8|rt=1795238000000 start=1795237400000 end=1795237990000 cnt=12 act=closed externalId=13 dvchost=web-1 src=192.0.2.7 suser=root cs1=host:web-1 cs1Label=entity cs2=T1110 T1136.001 cs2Label=techniques cs4=https://vedette.example:8443/incidents/13 cs4Label=link"
        ],
    );
    check(
        TEXT,
        vec![sample::incident()],
        expect![
            "<131>1 2026-11-21T05:13:20.000000Z monitor vedette PID incident - BOM[HIGH] Incident 12: host web-1, ip 192.0.2.7, user root (grew)"
        ],
    );
}

#[test]
fn hostile_texts_and_limits() {
    let evil = hostile();
    let name = |_| RuleName { id: evil.rule.id.clone(), title: evil.rule.title.clone(), level: Level::High };
    let notice = Notice {
        entity: evil.entity.clone(),
        entities: vec![evil.entity.clone(); 4],
        rules: (0..3).map(name).collect(),
        who: evil.who.clone(),
        assignee: Some("=\r\n?".into()),
        ..sample::incident()
    };
    let text = json(NTFY, vec![notice.clone()]);
    let lines: Vec<&str> = text["message"].as_str().unwrap().lines().collect();
    let begins = ["Incident 12 grew by ", "Assignee: ", "Level: ", "Tactics: ", "Rules: ", "Techniques: ", "Entity: "];
    assert!(begins.iter().zip(&lines).all(|(begin, line)| line.starts_with(begin)), "{lines:?}");
    assert_eq!(lines.len(), begins.len() + 3, "no value has made a line of its own: {lines:?}");
    let slack = json(SLACK, vec![notice]);
    let body = slack["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(body.contains("&lt;!channel&gt;") && !body.contains("<!channel>"), "{body}");

    let long = "\u{1F980}\"\\".repeat(170);
    let mut notice = sample::incident();
    notice.entity.value.clone_from(&long);
    notice.entities = vec![notice.entity.clone(); 70];
    notice.rules = vec![RuleName { id: long.clone(), title: long.clone(), level: Level::High }; 2000];
    notice.rule.techniques = vec![long.clone(); 2000];
    notice.assignee = Some("\"".repeat(2000));
    let notice = notice.bounded();
    for (channel, limit) in [(SLACK, 40_000), (TEAMS, 28 << 10), (NTFY, 10_000), (PAGERDUTY, 512 << 10), (CEF, 8010)] {
        let text = written(channel, vec![notice.clone()]);
        let compact = serde_json::from_str(&text).map_or(text, |json: serde_json::Value| json.to_string());
        assert!(compact.len() <= limit, "{channel}: {}", compact.len());
    }
}
