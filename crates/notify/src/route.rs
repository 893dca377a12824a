//! Routing: for one notice, which channels get it and when. Pure.

use vedette_event::Time;

use crate::{
    Held, Notice, Reason,
    config::{Match, Route},
    quiet::{self, Silence},
};

/// One channel's share of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share<'a> {
    /// The channel; none if no route leads to one.
    pub channel: &'a str,
    /// The route that led there.
    pub route: &'a str,
    /// What becomes of it.
    pub when: When,
}

/// When a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once.
    Now,
    /// At a time, with others of its route.
    At(Time, Held),
    /// With others of its route, when the first of them has waited for so many microseconds.
    Gathered(i64),
    /// Not at all.
    Never(Reason),
}

/// Decides who gets a notice. Every notice has at least one share, if only to say that nobody gets it; a channel gets it
/// once, by the first route that leads there.
pub(crate) fn shares<'a>(routes: &'a [Route], notice: &Notice, now: Time) -> Vec<Share<'a>> {
    let mut shares: Vec<Share<'a>> = Vec::new();
    let mut unwanted = None;
    for route in routes.iter().filter(|route| fits(&route.matches, notice)) {
        if !route.on.contains(&notice.what) {
            unwanted = unwanted.or(Some(route.name.as_str()));
            continue;
        }
        let when = when(route, notice, now);
        for channel in &route.channels {
            if !shares.iter().any(|share| share.channel == channel) {
                shares.push(Share { channel, route: &route.name, when });
            }
        }
        if !route.goes_on {
            break;
        }
    }
    if shares.is_empty() {
        let (route, reason) = unwanted.map_or(("", Reason::NoRoute), |route| (route, Reason::NotWanted));
        shares.push(Share { channel: "", route, when: When::Never(reason) });
    }
    shares
}

fn when(route: &Route, notice: &Notice, now: Time) -> When {
    match quiet::silence(&route.quiet, notice.level(), now) {
        Silence::Drop => return When::Never(Reason::QuietHours),
        Silence::Until(end) => return When::At(end, Held::QuietHours),
        Silence::No => {}
    }
    match &route.digest {
        Some(digest) if notice.level() < digest.breaks_through => {
            When::Gathered(i64::from(digest.minutes) * 60_000_000)
        }
        _ => When::Now,
    }
}

fn fits(matches: &Match, notice: &Notice) -> bool {
    let Match { about, level, rule, techniques, tactics, entity, source } = matches;
    let entities: Vec<String> = std::iter::once(&notice.entity)
        .chain(&notice.entities)
        .map(|entity| format!("{}:{}", entity.kind, entity.value))
        .collect();
    // An incident has the rules of its findings, and itself where an alert has its rule.
    let rules = notice.rules.iter().flat_map(|rule| [rule.id.as_str(), &rule.title]);
    about.is_none_or(|about| about == notice.subject.about())
        && notice.level() >= *level
        && rule.fit([notice.rule.id.as_str(), &notice.rule.title].into_iter().chain(rules))
        && techniques.fit(notice.rule.techniques.iter().map(String::as_str))
        && tactics.fit(notice.rule.tactics.iter().map(String::as_str))
        && entity.fit(entities.iter().map(String::as_str))
        && source.fit(notice.sources.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use vedette_event::{Entity, Level};

    use super::*;
    use crate::{Happened, config::Config, sample};

    const ROUTES: &str = r#"
channels: [{name: a, slack: {url: "https://x.example"}}, {name: b, slack: {url: "https://x.example"}}, {name: c, syslog: {address: "h:1"}}]
routes:
  - {name: archive, channels: [c], continue: true, on: [opened, grew, acknowledged, closed, reopened], match: {source: "syslog-*"}}
  - {name: root, channels: [a, b], match: {entity: ["user:root"], level: medium}, continue: true}
  - {name: brute, channels: [a], match: {rule: ["ssh*", "*brute*"], techniques: "t1110*"}, digest: {minutes: 10}}
  - {name: rest, channels: [b], match: {level: high, tactics: [impact]}, quiet: [{from: "00:00", to: "12:00"}]}
"#;

    fn check(change: impl Fn(&mut Notice), expected: Expect) {
        let config: Config = serde_norway::from_str(ROUTES).unwrap();
        config.check().unwrap();
        let mut notice = sample::notice();
        notice.entities.truncate(1);
        change(&mut notice);
        let shares = shares(&config.routes, &notice, Time::from_secs(3600));
        let shown: Vec<_> =
            shares.iter().map(|share| format!("{}/{}: {:?}", share.route, share.channel, share.when)).collect();
        expected.assert_eq(&shown.join("\n"));
    }

    #[test]
    fn the_first_that_fits_or_further_ones() {
        check(|_| {}, expect!["brute/a: Gathered(600000000)"]);
        check(|notice| notice.rule.level = Level::Critical, expect!["brute/a: Now"]);
        check(|notice| notice.rule.title = "Other".into(), expect!["brute/a: Gathered(600000000)"]);
        check(|notice| notice.rule.id = "other".into(), expect!["brute/a: Gathered(600000000)"]);
        check(|notice| notice.rule.techniques.clear(), expect!["/: Never(NoRoute)"]);
        check(|notice| notice.what = Happened::Acknowledged, expect!["brute/: Never(NotWanted)"]);
        // A channel gets it by the first route that leads there.
        check(
            |notice| {
                notice.sources = vec!["syslog-udp:192.0.2.1".into()];
                notice.entities.push(Entity { kind: "user".into(), value: "ROOT".into() });
            },
            expect![[r#"
                archive/c: Now
                root/a: Now
                root/b: Now"#]],
        );
        check(
            |notice| {
                notice.rule.techniques.clear();
                notice.rule.tactics = vec!["impact".into()];
            },
            expect!["rest/b: At(Time(43200000000), QuietHours)"],
        );
    }

    /// Of an incident, by routes that say nothing of it and by such that do.
    #[test]
    fn incidents_take_the_same_routes_unless_they_are_told_apart() {
        let shown = |routes: &str, notice: &Notice| {
            let channels = "channels: [{name: a, slack: {url: \"https://x.example\"}}]\nroutes:\n";
            let config: Config = serde_norway::from_str(&format!("{channels}{routes}")).unwrap();
            config.check().unwrap();
            shares(&config.routes, notice, Time::from_secs(3600))[0].route.to_owned()
        };
        let both = "  - {name: both, channels: [a], match: {level: high, entity: 'host:web-*'}}\n";
        assert_eq!(shown(both, &sample::incident()), "both");
        let apart = "  - {name: alerts, channels: [a], match: {about: alert}}\n  - {name: incidents, channels: [a], match: {about: incident}}\n";
        assert_eq!(shown(apart, &sample::notice()), "alerts");
        assert_eq!(shown(apart, &sample::incident()), "incidents");
        // It has the rules, techniques and tactics of its findings.
        for (matches, fits) in [
            ("rule: ssh-brute-force", true),
            ("rule: 'new acc*'", true),
            ("rule: incident", true),
            ("rule: port-scan", false),
            ("techniques: 't1136*'", true),
            ("tactics: [impact]", false),
            ("tactics: [impact, persistence]", true),
            ("entity: 'user:eve'", true),
            ("source: 'file:*'", true),
            ("level: critical", false),
        ] {
            let route = format!("  - {{name: one, channels: [a], match: {{{matches}}}}}\n");
            assert_eq!(shown(&route, &sample::incident()) == "one", fits, "{matches}");
        }
    }
}
