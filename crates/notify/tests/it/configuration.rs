//! Wrong configurations are refused by name, and quote no secret.

use expect_test::{Expect, expect};
use vedette_notify::{Config, Notifier};

fn check(text: &str, expected: Expect) {
    let said = match serde_norway::from_str::<Config>(text) {
        Err(error) => error.to_string(),
        Ok(config) => match Notifier::open(&tempfile::tempdir().unwrap().path().join("notify.db"), config) {
            Ok(_) => "fine".into(),
            Err(error) => error.to_string(),
        },
    };
    assert!(!said.contains("hush"), "{said}");
    expected.assert_eq(&said);
}

fn channel(text: &str, expected: Expect) {
    check(&format!("channels: [{{name: c, {text}}}]"), expected);
}

#[test]
fn channels() {
    channel(r#"slack: {url: "https://h.example/hush"}"#, expect!["fine"]);
    channel(
        "rate: {messages: 1, per_seconds: 1}",
        expect![
            "channels: channel `c` says not what it speaks: one of webhook, smtp, slack, teams, pagerduty, ntfy, alertmanager, syslog at line 1 column 11"
        ],
    );
    channel(
        r#"slack: {url: "https://h.example/"}, teams: {url: "https://h.example/"}"#,
        expect!["channels: channel `c` is both slack and teams: make two of it at line 1 column 11"],
    );
    channel(
        r#"slack: {url: "https://h.example/", hush: 1}"#.replace("hush", "channel").as_str(),
        expect!["channels[0].slack: unknown field `channel`, expected `url` or `ca` at line 1 column 57"],
    );
    channel(
        r#"slack: {url: "http://h.example/hush"}"#,
        expect!["notifications.channels: `c`: a secret would go to h.example in the clear; use `https://`"],
    );
    channel(
        r#"slack: "https://h.example/hush""#,
        expect!["channels[0].slack: settings are expected here, `key: value`, not a text at line 1 column 29"],
    );
    channel(
        r#"webhook: {url: "https://h.example/", headers: hush}"#,
        expect![
            "channels[0].webhook.headers: settings are expected here, `key: value`, not a text at line 1 column 68"
        ],
    );
    channel(
        r#"slack: {url: [hush]}"#,
        expect![
            "channels[0].slack.url: invalid type: sequence, expected a secret: text, `file:/path` or `env:NAME` at line 1 column 35"
        ],
    );
    channel(
        r#"slack: {url: "hush"}"#,
        expect!["notifications.channels: `c`: url: this is no address of `http://` or `https://`"],
    );
    channel(
        r#"slack: {url: "https://hush:hush@h.example/"}"#,
        expect!["notifications.channels: `c`: url: user and password do not belong into an address"],
    );
    channel(
        r#"slack: {url: "env:VEDETTE_NO_SUCH"}"#,
        expect!["notifications.channels: `c`: url: the secret's variable VEDETTE_NO_SUCH is not set, or is no text"],
    );
    channel(
        r#"slack: {url: "file:/no/such/file"}"#,
        expect![
            "notifications.channels: `c`: url: cannot read the secret's file /no/such/file: No such file or directory (os error 2)"
        ],
    );
    channel(
        r#"slack: {url: "https://h.example/", ca: /no/such/ca.pem}"#,
        expect!["notifications.channels: `c`: ca: cannot read /no/such/ca.pem: No such file or directory (os error 2)"],
    );
    channel(
        r#"webhook: {url: "https://h.example/", secret: "whsec_hush!"}"#,
        expect!["notifications.channels: `c`: the secret after `whsec_` is no base64"],
    );
    channel(
        r#"webhook: {url: "https://h.example/", headers: {Host: x}}"#,
        expect!["notifications.channels: `c`: headers: `Host` is written by Vedette itself"],
    );
    channel(
        r#"webhook: {url: "https://h.example/", headers: {X-Token: "hush\nX-Evil: 1"}}"#,
        expect!["notifications.channels: `c`: headers: X-Token has characters that no header can have"],
    );
    channel(
        r#"pagerduty: {routing_key: 4711}"#,
        expect!["channels[0].pagerduty.routing_key: a secret of digits only must be quoted at line 1 column 47"],
    );
    channel(
        r#"ntfy: {topic: t, user: u}"#,
        expect!["notifications.channels: `c`: `user` and `password` belong together"],
    );
    channel(
        r#"ntfy: {url: "http://h.example", topic: t, token: hush}"#,
        expect!["notifications.channels: `c`: a secret would go to h.example in the clear; use `https://`"],
    );
    channel(
        r#"alertmanager: {url: "http://h.example", labels: {9x: y}}"#,
        expect!["notifications.channels: `c`: labels: `9x` is not a label's name"],
    );
    channel(
        r#"alertmanager: {url: "http://h.example", labels: {severity: y}}"#,
        expect!["notifications.channels: `c`: labels: `severity` is written by Vedette itself"],
    );
    channel(
        r#"smtp: {host: h.example, tls: none, from: a@example.org, to: [b@example.org]}"#,
        expect![
            "notifications.channels: `c`: mail would go to h.example in the clear; use `tls: starttls` or `tls: tls` (`none` is for this machine)"
        ],
    );
    channel(
        r#"smtp: {host: h.example, from: "a\nBcc: x@example.org", to: [b@example.org]}"#,
        expect![[r#"
        notifications.channels: `c`: `a
        Bcc: x@example.org` is no mail address: Invalid input"#]],
    );
    channel(
        r#"smtp: {host: h.example, from: a@example.org, to: []}"#,
        expect!["notifications.channels: `c`: to: 1 to 100 addresses"],
    );
    channel(
        r#"smtp: {host: h.example, user: u, from: a@example.org, to: [b@example.org]}"#,
        expect!["notifications.channels: `c`: `user` and `password` belong together"],
    );
    channel(
        r#"syslog: {address: h.example}"#,
        expect!["notifications.channels: `c`: `h.example` is no address, for example siem.example.org:6514"],
    );
    channel(
        r#"syslog: {address: "h.example:514", hostname: "a b"}"#,
        expect!["notifications.channels: `c`: hostname is 1 to 255 visible ASCII characters"],
    );
    channel(
        r#"syslog: {address: "h.example:514"}, templates: {subject: x}"#,
        expect!["notifications.channels: `c`: templates.subject is not used by syslog"],
    );
    channel(
        r#"slack: {url: "https://h.example/"}, templates: {body: "{{ rule.titel }}"}"#,
        expect!["notifications.channels: `c`: templates.body: undefined value (in body:1)"],
    );
    channel(
        r#"slack: {url: "https://h.example/"}, templates: {body: "{% for"}"#,
        expect![
            "notifications.channels: `c`: templates.body: syntax error: unexpected end of input, expected identifier (in body:1)"
        ],
    );
    channel(
        r#"slack: {url: "https://h.example/"}, templates: {body: "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}"}"#,
        expect!["notifications.channels: `c`: templates.body: engine ran out of fuel (in body:1)"],
    );
    channel(
        r#"webhook: {url: "https://h.example/"}, templates: {body: '{"a": {{ alert }}', digest_body: '{}'}"#,
        expect![
            "notifications.channels: `c`: templates: what the body says is no JSON: EOF while parsing an object at line 1 column 8"
        ],
    );
    // Written for alerts; it is JSON of incidents too.
    channel(
        r#"webhook: {url: "https://h.example/"}, templates: {body: '{"a": {{ alert }}, "b": "{{ rule.title }}"}', digest_body: '{}'}"#,
        expect!["fine"],
    );
    channel(
        r#"webhook: {url: "https://h.example/"}, templates: {body: '{}'}"#,
        expect!["notifications.channels: `c`: templates: `body` and `digest_body` belong together"],
    );
    channel(
        r#"slack: {url: "https://h.example/"}, rate: {messages: 0, per_seconds: 1}"#,
        expect!["notifications.channels: `c`: rate: messages is 1 to 10000, per_seconds 1 to 86400"],
    );
    check(
        "channels: [{name: a b, syslog: {address: \"h:1\"}}]",
        expect!["notifications.channels: `a b`: a name is 1 to 64 letters, digits, dots, hyphens and underscores"],
    );
}

#[test]
fn routes() {
    let route = |text: &str, expected: Expect| {
        check(
            &format!("channels: [{{name: log, syslog: {{address: \"h:1\"}}}}]\nroutes: [{{name: r, {text}}}]"),
            expected,
        );
    };
    route("channels: [log]", expect!["fine"]);
    route("channels: []", expect!["notifications.routes: `r`: it has no channels"]);
    route("channels: [chat]", expect!["notifications.routes: `r`: there is no channel `chat`"]);
    route("channels: [log], on: []", expect!["notifications.routes: `r`: `on` is empty: nothing would ever take it"]);
    route(
        "channels: [log], on: [exploded]",
        expect![
            "routes[0].on[0]: unknown variant `exploded`, expected one of `opened`, `grew`, `acknowledged`, `closed`, `reopened` at line 2 column 42"
        ],
    );
    route(
        "channels: [log], match: {level: bad}",
        expect![
            "routes[0].match.level: unknown variant `bad`, expected one of `informational`, `low`, `medium`, `high`, `critical` at line 2 column 52"
        ],
    );
    route(
        "channels: [log], match: {rule: \"[\"}",
        expect!["routes[0].match.rule: `[` is not a pattern: invalid range pattern at line 2 column 51"],
    );
    route("channels: [log], match: {about: incident}", expect!["fine"]);
    route(
        "channels: [log], match: {about: case}",
        expect!["routes[0].match.about: unknown variant `case`, expected `alert` or `incident` at line 2 column 52"],
    );
    route(
        "channels: [log], match: {tags: [x]}",
        expect![
            "routes[0].match: unknown field `tags`, expected one of `about`, `level`, `rule`, `techniques`, `tactics`, `entity`, `source` at line 2 column 45"
        ],
    );
    route(
        "channels: [log], digest: {minutes: 5}",
        expect![
            "notifications.routes: `r`: channel `log` (syslog) sends each notice alone; a digest needs a route of its own without it"
        ],
    );
    route(
        "channels: [log], quiet: [{from: \"22:00\", to: \"7:00\"}]",
        expect![[r#"routes[0].quiet[0]: `7:00` is not a time of day, for example "22:00" at line 2 column 45"#]],
    );
    route(
        "channels: [log], quiet: [{from: \"22:00\", to: \"22:00\"}]",
        expect!["notifications.routes: `r`: quiet: they never end: from Monday to Monday there is no time without"],
    );
    route(
        "channels: [log], quiet: [{from: \"22:00\", to: \"07:00\", time_zone: Berlin}]",
        expect!["notifications.routes: `r`: quiet: `Berlin` is no time zone, for example Europe/Berlin"],
    );
    check("queue: 1", expect!["notifications.queue is 1, not 100 to 1000000"]);
    check("retry: {attempts: 0}", expect!["notifications.retry.attempts is 0, not 1 to 100"]);
    check(
        "console: vedette.example",
        expect!["notifications.console: vedette.example: this is no address of `http://` or `https://`"],
    );
    check(
        "chanels: []",
        expect!["unknown field `chanels`, expected one of `console`, `queue`, `retry`, `channels`, `routes`"],
    );
}
