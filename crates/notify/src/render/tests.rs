//! Payloads as they are, and what hostile texts do to them: nothing.

mod incidents;

use expect_test::{Expect, expect};
use vedette_alert::AlertId;
use vedette_event::{Entity, Level, Time};

use super::{Payload, payload};
use crate::{Happened, Held, Notice, Subject, config::Config, message::Message, ready::Setup, sample};

const NOW: Time = Time::from_secs(1_795_238_010);

fn setup(channel: &str) -> Setup {
    let text = format!("console: https://vedette.example:8443/\nchannels: [{{name: c, {channel}}}]\n");
    let config: Config = serde_norway::from_str(&text).unwrap();
    Setup::new(config).unwrap()
}

fn message(notices: Vec<Notice>) -> Message {
    Message { id: "vedette-5-18".into(), notices, held: Some(Held::QuietHours) }
}

fn written(channel: &str, notices: Vec<Notice>) -> String {
    match payload(&setup(channel).channels[0], &message(notices), NOW).unwrap() {
        Payload::Post(post) => {
            let text = String::from_utf8(post.body).unwrap();
            let body = match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
                Err(_) => text,
            };
            let headers: String = post.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            format!("{headers}{body}")
        }
        Payload::Mail(mail) => String::from_utf8(mail.formatted()).unwrap().replace("\r\n", "\n"),
        Payload::Lines(lines) => lines
            .join("\n")
            .replace(&format!(" vedette {} ", std::process::id()), " vedette PID ")
            .replace('\u{feff}', "BOM"),
    }
}

fn check(channel: &str, notices: Vec<Notice>, expected: Expect) {
    expected.assert_eq(&written(channel, notices));
}

/// Everything that anybody ever injected anywhere.
fn hostile() -> Notice {
    let evil = "<!channel> *b* [x](https://evil.example) {{ 7*7 }}\r\nBcc: v@evil.example\n.\r\nQUIT\u{202e}|\\=\"'&amp;\u{0}\u{1b}[31m";
    let mut notice = sample::notice();
    notice.rule.title = evil.into();
    notice.rule.id = evil.into();
    notice.rule.techniques = vec![evil.into()];
    notice.entity = Entity { kind: "user".into(), value: evil.into() };
    notice.entities = vec![notice.entity.clone()];
    notice.sources = vec![evil.into()];
    notice.who = Some(evil.into());
    notice.note = Some(evil.into());
    notice
}

fn several() -> Vec<Notice> {
    let mut low = sample::notice();
    low.subject = Subject::Alert(AlertId(18));
    low.rule.level = Level::Low;
    low.rule.id = "port-scan".into();
    low.rule.title = "Port scan".into();
    low.count = 3;
    vec![low, sample::notice(), sample::closed()]
}

const WEBHOOK: &str = r#"webhook: {url: "https://hook.example/x", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#;
const SLACK: &str = r#"slack: {url: "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX"}"#;
const TEAMS: &str = r#"teams: {url: "https://prod-1.westeurope.logic.azure.com:443/workflows/x"}"#;
const PAGERDUTY: &str = r#"pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}"#;
const NTFY: &str = r#"ntfy: {topic: "vedette-7d1f"}"#;
const ALERTMANAGER: &str = r#"alertmanager: {url: "http://am.example:9093", labels: {team: soc}, hold_hours: 24}"#;
const SMTP: &str = r#"smtp: {host: mail.example, from: "Vedette <vedette@example.org>", to: ["soc@example.org", "Ada <ada@example.org>"]}"#;
const CEF: &str = r#"syslog: {address: "siem.example:514", hostname: monitor}"#;
const TEXT: &str = r#"syslog: {address: "siem.example:514", hostname: monitor, format: text, facility: local0}"#;

#[test]
fn webhook() {
    check(
        WEBHOOK,
        vec![sample::notice()],
        expect![[r#"
            webhook-id: vedette-5-18
            webhook-timestamp: 1795238010
            webhook-signature: v1,Y5YDZEz1JQ2IVRPqn23BIQ0YgFB5Dn3xb/QPAUvv2uU=
            {
              "type": "alert.opened",
              "timestamp": "2026-11-21T05:13:20.000000Z",
              "data": {
                "what": "opened",
                "time": "2026-11-21T05:13:20.000000Z",
                "about": "alert",
                "alert": 17,
                "incident": 0,
                "revision": 40,
                "link": "https://vedette.example:8443/alerts/17",
                "level": "high",
                "rule": {
                  "id": "ssh-brute-force",
                  "title": "SSH brute force",
                  "author": "ada",
                  "techniques": [
                    "T1110"
                  ],
                  "tactics": [
                    "credential-access"
                  ]
                },
                "rules": [],
                "entity": {
                  "kind": "ip",
                  "value": "192.0.2.7"
                },
                "entities": [
                  {
                    "kind": "ip",
                    "value": "192.0.2.7"
                  },
                  {
                    "kind": "user",
                    "value": "root"
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
            }"#]],
    );
    let text = written(WEBHOOK, several());
    let mut digest: serde_json::Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    let notices = digest["data"].as_object_mut().unwrap().remove("notices").unwrap();
    let all: Vec<_> =
        notices.as_array().unwrap().iter().map(|one| (one["alert"].clone(), one["what"].clone())).collect();
    assert_eq!(all, [(18.into(), "opened".into()), (17.into(), "opened".into()), (17.into(), "closed".into())]);
    expect![[r#"{"type":"alert.digest","timestamp":"2026-11-21T05:13:20.000000Z","data":{"total":3,"alerts":2,"incidents":0,"level":"high","why":"quiet_hours","from":"2026-11-21T05:13:20Z","to":"2026-11-21T05:13:20Z","by_level":[{"level":"high","count":2},{"level":"low","count":1}],"by_rule":[{"title":"SSH brute force","level":"high","count":2},{"title":"Port scan","level":"low","count":1}],"link":"https://vedette.example:8443/alerts"}}"#]].assert_eq(&digest.to_string());
    let unsigned = r#"webhook: {url: "https://hook.example/x"}"#;
    let text = written(unsigned, vec![hostile()]);
    let exact: serde_json::Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    assert_eq!(exact["data"]["entity"]["value"], hostile().entity.value, "a machine gets it as it was");
}

#[test]
fn webhook_of_ones_own_making() {
    let channel = r#"webhook: {url: "https://chat.example/x"}, templates: {body: '{"content": "{{ level }}: {{ rule.title }}"}', digest_body: '{"content": "{{ total }}"}'}"#;
    check(
        channel,
        vec![hostile()],
        expect![[r#"
            webhook-id: vedette-5-18
            webhook-timestamp: 1795238010
            {
              "content": "high: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"
            }"#]],
    );
}

#[test]
fn slack() {
    check(
        SLACK,
        vec![sample::notice()],
        expect![[r#"
            {
              "text": "🟠 [HIGH] SSH brute force: 192.0.2.7",
              "blocks": [
                {
                  "type": "header",
                  "text": {
                    "type": "plain_text",
                    "text": "🟠 [HIGH] SSH brute force: 192.0.2.7",
                    "emoji": true
                  }
                },
                {
                  "type": "section",
                  "text": {
                    "type": "mrkdwn",
                    "text": "Alert 17 opened\nRule: SSH brute force (high)\nTechniques: T1110\nEntity: ip 192.0.2.7\nAlso named: user root\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
                    "verbatim": true
                  }
                },
                {
                  "type": "context",
                  "elements": [
                    {
                      "type": "mrkdwn",
                      "text": "<https://vedette.example:8443/alerts/17|Open in Vedette>"
                    }
                  ]
                }
              ],
              "unfurl_links": false,
              "unfurl_media": false
            }"#]],
    );
    check(
        SLACK,
        vec![hostile()],
        expect![[r#"
            {
              "text": "🟠 [HIGH] &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m: &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m",
              "blocks": [
                {
                  "type": "header",
                  "text": {
                    "type": "plain_text",
                    "text": "🟠 [HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m: <!channel> *b* [x](https://evil.example) {…",
                    "emoji": true
                  }
                },
                {
                  "type": "section",
                  "text": {
                    "type": "mrkdwn",
                    "text": "Alert 17 opened by &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m\nRule: &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m (high)\nTechniques: &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m\nEntity: user &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m\nSources: &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z\nNote: &lt;!channel&gt; *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;amp;��[31m",
                    "verbatim": true
                  }
                },
                {
                  "type": "context",
                  "elements": [
                    {
                      "type": "mrkdwn",
                      "text": "<https://vedette.example:8443/alerts/17|Open in Vedette>"
                    }
                  ]
                }
              ],
              "unfurl_links": false,
              "unfurl_media": false
            }"#]],
    );
    check(
        SLACK,
        several(),
        expect![[r#"
            {
              "text": "🟠 3 notices of 2 alerts, worst high (quiet hours)",
              "blocks": [
                {
                  "type": "header",
                  "text": {
                    "type": "plain_text",
                    "text": "🟠 3 notices of 2 alerts, worst high (quiet hours)",
                    "emoji": true
                  }
                },
                {
                  "type": "section",
                  "text": {
                    "type": "mrkdwn",
                    "text": "3 notices of 2 alerts, from 2026-11-21T05:13:20Z to 2026-11-21T05:13:20Z\nBy level: high 2, low 1\n\n[high] SSH brute force: 192.0.2.7, alert 17 opened, 12 findings\n[high] SSH brute force: 192.0.2.7, alert 17 closed, 12 findings\n[low] Port scan: 192.0.2.7, alert 18 opened, 3 findings",
                    "verbatim": true
                  }
                },
                {
                  "type": "context",
                  "elements": [
                    {
                      "type": "mrkdwn",
                      "text": "<https://vedette.example:8443/alerts|Open in Vedette>"
                    }
                  ]
                }
              ],
              "unfurl_links": false,
              "unfurl_media": false
            }"#]],
    );
}

#[test]
fn teams() {
    check(
        TEAMS,
        vec![sample::closed()],
        expect![[r#"
            {
              "type": "message",
              "attachments": [
                {
                  "contentType": "application/vnd.microsoft.card.adaptive",
                  "contentUrl": null,
                  "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": {
                      "width": "Full"
                    },
                    "fallbackText": "[HIGH] SSH brute force: 192.0.2.7 (closed)",
                    "body": [
                      {
                        "type": "RichTextBlock",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "[HIGH] SSH brute force: 192.0.2.7 (closed)",
                            "size": "Large",
                            "weight": "Bolder",
                            "color": "Attention"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Medium",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Alert 17 closed by ada: true_positive"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Rule: SSH brute force (high)"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Techniques: T1110"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Entity: ip 192.0.2.7"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Also named: user root"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Sources: file:/var/log/auth.log"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z"
                          }
                        ]
                      },
                      {
                        "type": "RichTextBlock",
                        "spacing": "Small",
                        "inlines": [
                          {
                            "type": "TextRun",
                            "text": "Note: blocked at the edge"
                          }
                        ]
                      }
                    ],
                    "actions": [
                      {
                        "type": "Action.OpenUrl",
                        "title": "Open in Vedette",
                        "url": "https://vedette.example:8443/alerts/17"
                      }
                    ]
                  }
                }
              ]
            }"#]],
    );
    // Nothing that knows Markdown.
    let card: serde_json::Value = serde_json::from_str(&written(TEAMS, vec![hostile()])).unwrap();
    let blocks = card["attachments"][0]["content"]["body"].as_array().unwrap();
    let shown: Vec<_> = blocks.iter().map(|block| format!("{} {}", block["type"], block["inlines"][0])).collect();
    assert!(blocks.iter().all(|block| block["inlines"].as_array().unwrap().len() == 1));
    expect![[r#"
        "RichTextBlock" {"type":"TextRun","text":"[HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m","size":"Large","weight":"Bolder","color":"Attention"}
        "RichTextBlock" {"type":"TextRun","text":"Alert 17 opened by <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"}
        "RichTextBlock" {"type":"TextRun","text":"Rule: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m (high)"}
        "RichTextBlock" {"type":"TextRun","text":"Techniques: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"}
        "RichTextBlock" {"type":"TextRun","text":"Entity: user <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"}
        "RichTextBlock" {"type":"TextRun","text":"Sources: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"}
        "RichTextBlock" {"type":"TextRun","text":"Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z"}
        "RichTextBlock" {"type":"TextRun","text":"Note: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m"}"#]].assert_eq(&shown.join("\n"));
}

#[test]
fn pagerduty() {
    check(
        PAGERDUTY,
        vec![sample::notice()],
        expect![[r#"
            {
              "routing_key": "0123456789abcdef0123456789abcdef",
              "event_action": "trigger",
              "dedup_key": "vedette-alert-17-660c26b46fc00",
              "payload": {
                "summary": "[HIGH] SSH brute force: 192.0.2.7",
                "source": "192.0.2.7",
                "severity": "error",
                "timestamp": "2026-11-21T05:13:10.000000Z",
                "component": "ip",
                "class": "ssh-brute-force",
                "custom_details": {
                  "alert": 17,
                  "rule": {
                    "id": "ssh-brute-force",
                    "title": "SSH brute force",
                    "author": "ada",
                    "techniques": [
                      "T1110"
                    ],
                    "tactics": [
                      "credential-access"
                    ]
                  },
                  "level": "high",
                  "entities": [
                    {
                      "kind": "ip",
                      "value": "192.0.2.7"
                    },
                    {
                      "kind": "user",
                      "value": "root"
                    }
                  ],
                  "sources": [
                    "file:/var/log/auth.log"
                  ],
                  "findings": 12,
                  "first": "2026-11-21T05:03:20Z",
                  "last": "2026-11-21T05:13:10Z",
                  "note": null
                }
              },
              "client": "Vedette",
              "client_url": "https://vedette.example:8443/alerts/17",
              "links": [
                {
                  "href": "https://vedette.example:8443/alerts/17",
                  "text": "Open in Vedette"
                }
              ]
            }"#]],
    );
    check(
        PAGERDUTY,
        vec![sample::closed()],
        expect![[r#"
        {
          "routing_key": "0123456789abcdef0123456789abcdef",
          "event_action": "resolve",
          "dedup_key": "vedette-alert-17-660c26b46fc00"
        }"#]],
    );
    let acknowledged = Notice { what: Happened::Acknowledged, ..sample::notice() };
    check(
        PAGERDUTY,
        vec![acknowledged],
        expect![[r#"
        {
          "routing_key": "0123456789abcdef0123456789abcdef",
          "event_action": "acknowledge",
          "dedup_key": "vedette-alert-17-660c26b46fc00"
        }"#]],
    );
    let event: serde_json::Value = serde_json::from_str(&written(PAGERDUTY, vec![hostile()])).unwrap();
    expect![[r#"[HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\="'&amp;��[31m: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\="'&amp;��[31m"#]].assert_eq(event["payload"]["summary"].as_str().unwrap());
    assert!(!event.to_string().contains("\\u00") && !event.to_string().contains("\\n"));
}

#[test]
fn ntfy() {
    check(
        NTFY,
        vec![sample::notice()],
        expect![[r#"
            {
              "topic": "vedette-7d1f",
              "title": "[HIGH] SSH brute force: 192.0.2.7",
              "message": "Alert 17 opened\nRule: SSH brute force (high)\nTechniques: T1110\nEntity: ip 192.0.2.7\nAlso named: user root\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
              "priority": 4,
              "tags": [
                "warning"
              ],
              "click": "https://vedette.example:8443/alerts/17"
            }"#]],
    );
    check(
        NTFY,
        vec![hostile()],
        expect![[r#"
            {
              "topic": "vedette-7d1f",
              "title": "[HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m",
              "message": "Alert 17 opened by <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m\nRule: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m (high)\nTechniques: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m\nEntity: user <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m\nSources: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z\nNote: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\\=\"'&amp;��[31m",
              "priority": 4,
              "tags": [
                "warning"
              ],
              "click": "https://vedette.example:8443/alerts/17"
            }"#]],
    );
}

#[test]
fn alertmanager() {
    check(
        ALERTMANAGER,
        vec![sample::notice()],
        expect![[r#"
            [
              {
                "labels": {
                  "team": "soc",
                  "alertname": "SSH brute force",
                  "alert_id": "17",
                  "entity": "192.0.2.7",
                  "entity_kind": "ip",
                  "rule_id": "ssh-brute-force",
                  "severity": "high",
                  "job": "vedette"
                },
                "annotations": {
                  "summary": "[HIGH] SSH brute force: 192.0.2.7",
                  "description": "Alert 17 opened\nRule: SSH brute force (high)\nTechniques: T1110\nEntity: ip 192.0.2.7\nAlso named: user root\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z",
                  "findings": "12",
                  "techniques": "T1110"
                },
                "startsAt": "2026-11-21T05:13:20.000000Z",
                "endsAt": "2026-11-22T05:13:30.000000Z",
                "generatorURL": "https://vedette.example:8443/alerts/17"
              }
            ]"#]],
    );
    check(
        ALERTMANAGER,
        vec![sample::closed()],
        expect![[r#"
            [
              {
                "labels": {
                  "team": "soc",
                  "alertname": "SSH brute force",
                  "alert_id": "17",
                  "entity": "192.0.2.7",
                  "entity_kind": "ip",
                  "rule_id": "ssh-brute-force",
                  "severity": "high",
                  "job": "vedette"
                },
                "annotations": {
                  "summary": "[HIGH] SSH brute force: 192.0.2.7 (closed)",
                  "description": "Alert 17 closed by ada: true_positive\nRule: SSH brute force (high)\nTechniques: T1110\nEntity: ip 192.0.2.7\nAlso named: user root\nSources: file:/var/log/auth.log\nFindings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z\nNote: blocked at the edge",
                  "findings": "12",
                  "techniques": "T1110"
                },
                "startsAt": "2026-11-21T05:13:20.000000Z",
                "endsAt": "2026-11-21T05:13:20.001000Z",
                "generatorURL": "https://vedette.example:8443/alerts/17"
              }
            ]"#]],
    );
}

#[test]
fn smtp() {
    check(
        SMTP,
        vec![sample::notice()],
        expect![[r#"
            From: Vedette <vedette@example.org>
            Date: Sat, 21 Nov 2026 05:13:30 +0000
            Subject: [HIGH] SSH brute force: 192.0.2.7
            Message-ID: <vedette-5-18@example.org>
            To: soc@example.org, Ada <ada@example.org>
            Auto-Submitted: auto-generated
            Importance: high
            X-Vedette-Level: high
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: 7bit

            Alert 17 opened
            Rule: SSH brute force (high)
            Techniques: T1110
            Entity: ip 192.0.2.7
            Also named: user root
            Sources: file:/var/log/auth.log
            Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z

            https://vedette.example:8443/alerts/17"#]],
    );
    check(
        SMTP,
        vec![hostile()],
        expect![[r#"
            From: Vedette <vedette@example.org>
            Date: Sat, 21 Nov 2026 05:13:30 +0000
            Subject: [HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc:
             v@evil.example .  =?utf-8?b?UVVJVO+/vXxcPSInJmFtcDvvv73vv71bMzFtOg==?=
             <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .
              =?utf-8?b?UVVJVO+/vXxcPSInJmFtcDvvv73vv71bMzFt?=
            Message-ID: <vedette-5-18@example.org>
            To: soc@example.org, Ada <ada@example.org>
            Auto-Submitted: auto-generated
            Importance: high
            X-Vedette-Level: high
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: quoted-printable

            Alert 17 opened by <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc:=
             v@evil.example .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m
            Rule: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.examp=
            le .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m (high)
            Techniques: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil=
            .example .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m
            Entity: user <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evi=
            l.example .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m
            Sources: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.ex=
            ample .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m
            Findings: 12, from 2026-11-21T05:03:20Z to 2026-11-21T05:13:10Z
            Note: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.examp=
            le .  QUIT=EF=BF=BD|\=3D"'&amp;=EF=BF=BD=EF=BF=BD[31m

            https://vedette.example:8443/alerts/17"#]],
    );
    check(
        SMTP,
        several(),
        expect![[r#"
            From: Vedette <vedette@example.org>
            Date: Sat, 21 Nov 2026 05:13:30 +0000
            Subject: 3 notices of 2 alerts, worst high (quiet hours)
            Message-ID: <vedette-5-18@example.org>
            To: soc@example.org, Ada <ada@example.org>
            Auto-Submitted: auto-generated
            Importance: high
            X-Vedette-Level: high
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: 7bit

            3 notices of 2 alerts, from 2026-11-21T05:13:20Z to 2026-11-21T05:13:20Z
            By level: high 2, low 1

            [high] SSH brute force: 192.0.2.7, alert 17 opened, 12 findings
            [high] SSH brute force: 192.0.2.7, alert 17 closed, 12 findings
            [low] Port scan: 192.0.2.7, alert 18 opened, 3 findings

            https://vedette.example:8443/alerts"#]],
    );
}

#[test]
fn syslog() {
    check(
        CEF,
        vec![sample::closed()],
        expect![
            "<107>1 2026-11-21T05:13:20.000000Z monitor vedette PID alert - CEF:0|Vedette|Vedette|0.1.0|ssh-brute-force|SSH brute force|8|rt=1795238000000 start=1795237400000 end=1795237990000 cnt=12 act=closed externalId=17 src=192.0.2.7 suser=root cs1=ip:192.0.2.7 cs1Label=entity cs2=T1110 cs2Label=techniques cs3=true_positive cs3Label=verdict cs4=https://vedette.example:8443/alerts/17 cs4Label=link msg=blocked at the edge"
        ],
    );
    check(
        CEF,
        vec![hostile()],
        expect![[
            r#"<107>1 2026-11-21T05:13:20.000000Z monitor vedette PID alert - CEF:0|Vedette|Vedette|0.1.0|<!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�\|\\="'&amp;��[31m|<!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�\|\\="'&amp;��[31m|8|rt=1795238000000 start=1795237400000 end=1795237990000 cnt=12 act=opened externalId=17 suser=<!channel> *b* [x](https://evil.example) {{ 7*7 }}\r\nBcc: v@evil.example\n.\r\nQUIT�|\\\="'&amp;��[31m cs1=user:<!channel> *b* [x](https://evil.example) {{ 7*7 }}\r\nBcc: v@evil.example\n.\r\nQUIT�|\\\="'&amp;��[31m cs1Label=entity cs2=<!channel> *b* [x](https://evil.example) {{ 7*7 }}\r\nBcc: v@evil.example\n.\r\nQUIT�|\\\="'&amp;��[31m cs2Label=techniques cs4=https://vedette.example:8443/alerts/17 cs4Label=link msg=<!channel> *b* [x](https://evil.example) {{ 7*7 }}\r\nBcc: v@evil.example\n.\r\nQUIT�|\\\="'&amp;��[31m"#
        ]],
    );
    check(
        TEXT,
        vec![sample::notice()],
        expect!["<131>1 2026-11-21T05:13:20.000000Z monitor vedette PID alert - BOM[HIGH] SSH brute force: 192.0.2.7"],
    );
    check(
        TEXT,
        vec![hostile()],
        expect![[
            r#"<131>1 2026-11-21T05:13:20.000000Z monitor vedette PID alert - BOM[HIGH] <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\="'&amp;��[31m: <!channel> *b* [x](https://evil.example) {{ 7*7 }}  Bcc: v@evil.example .  QUIT�|\="'&amp;��[31m"#
        ]],
    );
}

#[test]
fn limits_of_the_other_sides() {
    let long = || {
        let mut notice = sample::notice();
        for text in [&mut notice.rule.title, &mut notice.rule.id, &mut notice.entity.value] {
            *text = "\u{1F980}\"\\".repeat(170);
        }
        notice.note = Some("=".repeat(1024));
        notice.entities = vec![notice.entity.clone(); 16];
        notice.sources = vec!["\"".repeat(1024); 16];
        notice.bounded()
    };
    let many = || (0..500).map(|_| long()).collect::<Vec<_>>();
    for (channel, limit) in [(SLACK, 40_000), (TEAMS, 28 << 10), (NTFY, 10_000)] {
        for notices in [vec![long()], many()] {
            let text = written(channel, notices);
            let compact = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
            assert!(compact.len() <= limit, "{channel}: {}", compact.len());
        }
    }
    let slack: serde_json::Value = serde_json::from_str(&written(SLACK, many())).unwrap();
    assert!(slack["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
    assert!(slack["blocks"][1]["text"]["text"].as_str().unwrap().chars().count() <= 3000);
    let pagerduty: serde_json::Value = serde_json::from_str(&written(PAGERDUTY, vec![long()])).unwrap();
    assert!(pagerduty["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
    assert!(pagerduty["dedup_key"].as_str().unwrap().len() <= 255);
    assert!(pagerduty.to_string().len() <= 512 << 10);
    assert!(written(CEF, vec![long()]).len() <= 8000 + 10);
    assert!(written(SMTP, many()).len() <= 256 << 10);
}
