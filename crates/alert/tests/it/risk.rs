//! Points, incidents, and what verdicts do to them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vedette_alert::{
    AlertError, AlertId, Alerts, Condition, Incident, IncidentFilter, IncidentId, IncidentState, MAX_RISK_ENTITIES,
    MAX_STEPS_PER_ENTITY_HOUR, MAX_STEPS_PER_INCIDENT, RiskFilter, RiskOptions, Sighting, Sort, Verdict,
};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};

use crate::support::{entity, record};

const LEVELS: [Level; 5] = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

fn at(hour: i64) -> Time {
    Time::from_secs(hour * 3600)
}

/// A finding of an hour; its number makes it another one than others of the rule.
fn seen(rule: &str, level: Level, tactic: &str, hour: i64, number: u64, entities: &[Entity]) -> Finding {
    let event = EventId { source: SourceId(1), seq: number };
    Finding {
        id: FindingId::of(rule, &[event]),
        rule: RuleRef {
            id: rule.into(),
            title: format!("Title of {rule}"),
            level,
            author: None,
            techniques: vec![],
            tactics: vec![tactic.into()],
        }
        .into(),
        time: Time::from_secs(hour * 3600 + (number % 3600) as i64),
        events: vec![event],
        entities: entities.to_vec(),
        matched: vec![],
    }
}

fn points(alerts: &Alerts, entity: &Entity, hour: i64) -> f64 {
    alerts.risk_of(entity, at(hour)).unwrap().points
}

fn incidents(alerts: &Alerts) -> Vec<Incident> {
    let filter = IncidentFilter { states: vec![], limit: 1000, ..Default::default() };
    let mut incidents = alerts.incidents(&filter).unwrap().incidents;
    incidents.sort_by_key(|incident| incident.id);
    incidents
}

/// The entities of each open incident, which is a way to say which incidents there are.
fn open(alerts: &Alerts) -> Vec<Vec<String>> {
    let open = incidents(alerts).into_iter().filter(|incident| incident.state == IncidentState::Open);
    let mut open: Vec<Vec<String>> = open
        .map(|incident| {
            let mut names: Vec<String> = incident.entities.into_iter().map(|entity| entity.value).collect();
            names.sort();
            names
        })
        .collect();
    open.sort();
    open
}

#[test]
fn findings_add_points_that_decay() {
    let alerts = Alerts::in_memory().unwrap();
    let (ada, web, file) = (entity("user", "ada"), entity("host", "web-1"), entity("file", "/etc/shadow"));
    let about = [file.clone(), ada.clone(), web.clone()];
    let findings = [
        seen("copy", Level::High, "credential-access", 100, 1, &about),
        seen("copy", Level::High, "credential-access", 100, 2, &about),
        seen("login", Level::Medium, "initial-access", 76, 3, std::slice::from_ref(&ada)),
        seen("note", Level::Informational, "impact", 100, 4, &about),
    ];
    record(&alerts, &findings, 1);
    // 40 and again 20; of 15 a day ago 7.5; two tactics a quarter more.
    let risk = alerts.risk_of(&ada, at(100)).unwrap();
    assert_eq!((risk.points, risk.factor), (84.375, 1.25));
    assert_eq!(risk.tactics, ["initial-access", "credential-access"]);
    let rules: Vec<_> = risk.rules.iter().map(|rule| (rule.title.as_str(), rule.points, rule.findings)).collect();
    assert_eq!(rules, [("Title of copy", 60.0, 2), ("Title of login", 7.5, 1)]);
    assert!(!risk.is_hub);

    assert_eq!(points(&alerts, &web, 100), 60.0);
    assert_eq!(points(&alerts, &web, 124), 30.0);
    assert_eq!(points(&alerts, &web, 99), 0.0, "it had not happened yet");
    assert_eq!(points(&alerts, &web, 173), 0.0, "beyond the window");
    assert_eq!(points(&alerts, &file, 100), 0.0, "a file carries no risk");
    assert_eq!(points(&alerts, &entity("user", "nobody"), 100), 0.0);

    record(&alerts, &findings, 2);
    assert_eq!(points(&alerts, &web, 100), 60.0, "the same findings again");
    let page = alerts.risk(&RiskFilter::default(), at(100)).unwrap();
    assert_eq!(page.entities.iter().map(|risk| risk.entity.clone()).collect::<Vec<_>>(), [ada.clone(), web.clone()]);
    let hosts = RiskFilter { kind: Some("host".into()), ..Default::default() };
    assert_eq!(alerts.risk(&hosts, at(100)).unwrap().entities[0].entity, web);
    let many = RiskFilter { min_points: 60.001, ..Default::default() };
    assert_eq!(alerts.risk(&many, at(100)).unwrap().total, 1);
    let second = RiskFilter { offset: 1, limit: 1, ..Default::default() };
    let second = alerts.risk(&second, at(100)).unwrap();
    assert_eq!((second.entities.len(), second.total, second.entities[0].entity.clone()), (1, 2, web));
    assert!(incidents(&alerts).is_empty());
    // As docs/risk.md tells it.
    let further = seen("move", Level::Medium, "lateral-movement", 100, 5, std::slice::from_ref(&ada));
    assert_eq!(record(&alerts, &[further], 3).incidents.len(), 1);
    assert_eq!((points(&alerts, &ada, 100), points(&alerts, &ada, 124)), (123.75, 61.875));
}

#[test]
fn a_finding_without_entities_is_about_its_host() {
    let alerts = Alerts::in_memory().unwrap();
    let bare = seen("r", Level::High, "impact", 1, 1, &[]);
    alerts.record(&[Sighting { finding: &bare, host: Some("web-1"), source: None }], Time::from_secs(1)).unwrap();
    assert_eq!(points(&alerts, &entity("host", "web-1"), 1), 40.0);
}

#[test]
fn an_incident_opens_above_the_threshold_and_gathers_what_is_linked() {
    let alerts = Alerts::in_memory().unwrap();
    let (eve, ada, web, db) =
        (entity("ip", "192.0.2.7"), entity("user", "ada"), entity("host", "web"), entity("host", "db"));
    record(&alerts, &[seen("login", Level::Medium, "initial-access", 10, 1, &[eve.clone(), ada.clone()])], 1);
    record(&alerts, &[seen("other", Level::High, "impact", 10, 2, &[entity("host", "far")])], 1);
    record(&alerts, &[seen("shell", Level::High, "execution", 11, 3, &[ada.clone(), web.clone()])], 1);
    assert!(incidents(&alerts).is_empty());
    // web: 40 and 40, two tactics: 100.
    let recorded =
        record(&alerts, &[seen("dump", Level::High, "credential-access", 11, 4, std::slice::from_ref(&web))], 2);
    assert_eq!(recorded.incidents, [IncidentId(1)]);
    assert_eq!(open(&alerts), [["192.0.2.7", "ada", "web"]]);
    // On through web, at once.
    let recorded =
        record(&alerts, &[seen("move", Level::Low, "lateral-movement", 30, 5, &[web.clone(), db.clone()])], 3);
    assert_eq!(recorded.incidents, []);
    // Too long after.
    record(&alerts, &[seen("late", Level::Low, "impact", 200, 6, std::slice::from_ref(&db))], 3);
    record(&alerts, &[seen("info", Level::Informational, "impact", 12, 7, std::slice::from_ref(&db))], 3);

    let detail = alerts.incident(IncidentId(1)).unwrap();
    let timeline: Vec<_> = detail.timeline.iter().map(|step| (step.rule.id.as_str(), step.findings)).collect();
    assert_eq!(timeline, [("login", 1), ("shell", 1), ("dump", 1), ("move", 1)]);
    assert_eq!(detail.timeline[3].entities, [db.clone(), web.clone()]);
    let incident = detail.incident;
    assert_eq!((incident.entity, incident.level, incident.findings, incident.steps), (web.clone(), Level::High, 4, 4));
    assert_eq!(incident.tactics, ["initial-access", "execution", "credential-access", "lateral-movement"]);
    assert_eq!((incident.first, incident.last), (Time::from_secs(36_001), Time::from_secs(30 * 3600 + 5)));
    assert_eq!(detail.history.iter().map(|change| change.what.as_str()).collect::<Vec<_>>(), ["opened"]);

    let filter = |filter: IncidentFilter| alerts.incidents(&filter).unwrap().total;
    assert_eq!(filter(IncidentFilter { entity: Some("db".into()), ..Default::default() }), 1);
    let kind = |kind: &str| IncidentFilter { entity_kind: Some(kind.into()), ..Default::default() };
    assert_eq!((filter(kind("ip")), filter(kind("file"))), (1, 0));
    assert_eq!(filter(IncidentFilter { entity: Some("db".into()), ..kind("user") }), 0);
    assert_eq!(filter(IncidentFilter { entity: Some("far".into()), ..Default::default() }), 0);
    assert_eq!(filter(IncidentFilter { alert: Some(AlertId(1)), sort: Sort::Worst, ..Default::default() }), 1);
    assert_eq!(filter(IncidentFilter { min_level: Some(Level::Critical), ..Default::default() }), 0);
    assert_eq!(filter(IncidentFilter { from: Some(at(31)), ..Default::default() }), 0);
    assert_eq!(filter(IncidentFilter { to: Some(at(10)), ..Default::default() }), 0);
    alerts.assign_incident(IncidentId(1), Some("ada"), "bob", Time::from_secs(4)).unwrap();
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().incident.assignee.as_deref(), Some("ada"));
    assert_eq!(filter(IncidentFilter { assignee: Some("ada".into()), ..Default::default() }), 1);
    assert_eq!(filter(IncidentFilter { assignee: Some("bob".into()), ..Default::default() }), 0);
    assert!(matches!(alerts.incident(IncidentId(9)), Err(AlertError::NoIncident(_))));
}

#[test]
fn incidents_that_come_to_be_linked_are_merged_into_the_first() {
    let alerts = Alerts::in_memory().unwrap();
    let hot = |number: u64, host: &str| {
        let host = [entity("host", host)];
        [seen("a", Level::High, "execution", 5, number, &host), seen("b", Level::High, "impact", 5, number + 1, &host)]
    };
    record(&alerts, &hot(10, "one"), 1);
    record(&alerts, &hot(20, "two"), 2);
    let case = alerts.open_case("two of them", "ada", Time::from_secs(3)).unwrap();
    assert!(alerts.add_incident_to_case(case, IncidentId(2), "ada", Time::from_secs(3)).unwrap());
    let both = [entity("host", "one"), entity("user", "eve"), entity("host", "two")];
    record(&alerts, &[seen("c", Level::Low, "collection", 9, 30, &both)], 4);

    let all = incidents(&alerts);
    assert_eq!(all[0].state, IncidentState::Open);
    assert_eq!((all[0].findings, all[0].steps), (5, 5));
    assert_eq!(all[1].state, IncidentState::Merged(IncidentId(1)));
    assert_eq!((all[1].findings, alerts.incident(IncidentId(2)).unwrap().timeline.len()), (0, 0));
    assert_eq!(alerts.case(case).unwrap().case.incidents, [IncidentId(1)]);
    assert_eq!(alerts.case(case).unwrap().history.last().unwrap().detail.as_deref(), Some("2 into 1"));
    let error = alerts.close_incident(IncidentId(2), Verdict::Benign, "ada", None, Time::from_secs(5)).unwrap_err();
    assert_eq!(error.to_string(), "incident 2 is merged into 1, not open");
    assert_eq!(alerts.incidents(&IncidentFilter::default()).unwrap().total, 1);
    // One call that opens two and merges them says the one that is left.
    let alerts = Alerts::in_memory().unwrap();
    let mut findings = [hot(10, "one"), hot(20, "two")].concat();
    findings.push(seen("c", Level::Low, "collection", 9, 30, &both));
    assert_eq!(record(&alerts, &findings, 1).incidents, [IncidentId(1)]);
}

#[test]
fn a_hub_links_nothing_but_has_its_own_incident() {
    let options = RiskOptions { hub_links: 4, ..RiskOptions::default() };
    let alerts = Alerts::in_memory().unwrap().with_risk(options).unwrap();
    let dc = entity("host", "dc");
    let user = |number: u64| entity("user", &format!("u{number}"));
    let logins = |range: std::ops::Range<u64>| -> Vec<Finding> {
        range.map(|number| seen("login", Level::Low, "discovery", 5, number, &[user(number), dc.clone()])).collect()
    };
    record(&alerts, &logins(0..6), 1);
    assert!(alerts.risk_of(&dc, at(5)).unwrap().is_hub);
    // A user in trouble: nobody else is, through the domain controller.
    let hot = [
        seen("a", Level::High, "execution", 5, 100, &[user(1), entity("host", "pc")]),
        seen("b", Level::High, "impact", 5, 101, &[user(1)]),
    ];
    record(&alerts, &hot, 2);
    assert_eq!(open(&alerts), [["dc", "pc", "u1"]]);
    assert_eq!(incidents(&alerts)[0].findings, 3);
    // The hub itself: a lone incident, which leaves the user's alone.
    let hot = [
        seen("c", Level::Critical, "persistence", 6, 102, std::slice::from_ref(&dc)),
        seen("d", Level::High, "impact", 6, 103, &[dc.clone(), user(1)]),
        seen("e", Level::High, "impact", 6, 104, std::slice::from_ref(&dc)),
    ];
    record(&alerts, &hot, 3);
    assert_eq!(open(&alerts), [vec!["dc", "pc", "u1"], vec!["dc", "u0", "u2", "u3", "u4", "u5"]]);
    assert_eq!(incidents(&alerts).iter().map(|incident| incident.findings).collect::<Vec<_>>(), [4, 7]);
    assert_eq!(incidents(&alerts)[1].entity, dc);
}

#[test]
fn an_entity_that_becomes_a_hub_keeps_its_incident() {
    let options = RiskOptions { hub_links: 4, ..RiskOptions::default() };
    let alerts = Alerts::in_memory().unwrap().with_risk(options).unwrap();
    let eve = entity("ip", "192.0.2.7");
    let spray: Vec<Finding> = (0..40)
        .map(|number| {
            let user = entity("user", &format!("u{number}"));
            seen(
                ["guess", "guess2"][number as usize % 2],
                Level::High,
                "credential-access",
                5,
                number,
                &[eve.clone(), user],
            )
        })
        .collect();
    record(&alerts, &spray, 1);
    let all = incidents(&alerts);
    assert_eq!((all.len(), all[0].entity.clone(), all[0].findings), (1, eve, 40));
}

#[test]
fn verdicts_take_points_back() {
    let alerts = Alerts::in_memory().unwrap();
    let web = [entity("host", "web")];
    let now = Time::from_secs(9);
    record(&alerts, &[seen("a", Level::High, "impact", 5, 1, &web), seen("b", Level::Medium, "impact", 5, 2, &web)], 1);
    assert_eq!(points(&alerts, &web[0], 5), 55.0);
    alerts.close(AlertId(1), Verdict::FalsePositive, "ada", None, now).unwrap();
    alerts.note(AlertId(1), "really", "ada", now).unwrap();
    assert_eq!(points(&alerts, &web[0], 5), 15.0);
    alerts.close(AlertId(2), Verdict::Benign, "ada", None, now).unwrap();
    assert_eq!(points(&alerts, &web[0], 5), 0.0);
    assert_eq!(alerts.risk(&RiskFilter::default(), at(5)).unwrap().total, 0);
    alerts.reopen(AlertId(1), "ada", now).unwrap();
    assert_eq!(points(&alerts, &web[0], 5), 40.0);
    alerts.close(AlertId(1), Verdict::TruePositive, "ada", None, now).unwrap();
    assert_eq!(points(&alerts, &web[0], 5), 40.0, "what was true is a risk");
    // What was taken back helps nothing over the threshold, nor does it link.
    record(&alerts, &[seen("b", Level::High, "discovery", 5, 3, &web)], 1);
    assert_eq!(open(&alerts), [["web"]]);
    assert_eq!(incidents(&alerts)[0].findings, 2, "the benign one is not in it");
}

#[test]
fn exceptions_take_points_back() {
    let alerts = Alerts::in_memory().unwrap();
    let host = |name: &str| [entity("host", name)];
    let findings = [
        seen("a", Level::High, "impact", 5, 1, &host("lab-1")),
        seen("a", Level::High, "impact", 5, 2, &host("web")),
        seen("b", Level::High, "impact", 5, 3, &host("lab-1")),
    ];
    record(&alerts, &findings, 1);
    let lab = Condition { field: "host.name".into(), value: "lab-*".into() };
    alerts.except("a", &[lab], "the lab", None, "ada", Time::from_secs(9)).unwrap();
    assert_eq!(points(&alerts, &host("lab-1")[0], 5), 40.0, "only b's");
    assert_eq!(points(&alerts, &host("web")[0], 5), 40.0);
    record(&alerts, &[seen("a", Level::High, "impact", 5, 4, &host("lab-1"))], 10);
    assert_eq!(points(&alerts, &host("lab-1")[0], 5), 40.0, "what is hidden adds nothing");
    alerts.acknowledge(AlertId(1), "ada", Time::from_secs(11)).unwrap();
    assert_eq!(points(&alerts, &host("lab-1")[0], 5), 40.0, "looking at it gives nothing back");
}

#[test]
fn a_judged_incident_has_spent_its_points() {
    let alerts = Alerts::in_memory().unwrap();
    let web = [entity("host", "web")];
    let hot = |number| {
        [seen("a", Level::High, "execution", 5, number, &web), seen("b", Level::High, "impact", 5, number + 1, &web)]
    };
    record(&alerts, &hot(1), 1);
    alerts.note_incident(IncidentId(1), "looking", "ada", Time::from_secs(2)).unwrap();
    let why = Some("a test of the red team");
    alerts.close_incident(IncidentId(1), Verdict::Benign, "ada", why, Time::from_secs(3)).unwrap();
    assert_eq!(points(&alerts, &web[0], 5), 0.0);
    let detail = alerts.incident(IncidentId(1)).unwrap();
    assert_eq!(detail.incident.state, IncidentState::Closed(Verdict::Benign));
    let history: Vec<_> =
        detail.history.iter().map(|change| (change.what.as_str(), change.detail.as_deref())).collect();
    assert_eq!(history, [("opened", None), ("noted", Some("looking")), ("closed", Some("benign")), ("noted", why)]);
    assert!(alerts.close_incident(IncidentId(1), Verdict::Benign, "ada", None, Time::from_secs(4)).is_err());
    // The same alerts in the same hour go on: that is new, and another incident.
    record(&alerts, &hot(1), 4);
    assert_eq!(incidents(&alerts).len(), 1);
    record(&alerts, &hot(3), 5);
    assert_eq!(incidents(&alerts).iter().map(|incident| incident.findings).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(points(&alerts, &web[0], 5), 100.0);
}

#[test]
fn what_attackers_choose_is_bounded_and_counted() {
    let alerts = Alerts::in_memory().unwrap();
    let many: Vec<Entity> = (0..50).map(|number| entity("ip", &format!("{number:02}"))).collect();
    record(&alerts, &[seen("many", Level::Low, "impact", 5, 1, &many)], 1);
    assert_eq!(alerts.risk(&RiskFilter::default(), at(5)).unwrap().total, MAX_RISK_ENTITIES as u64);
    assert_eq!(alerts.risk_cut().unwrap(), BTreeMap::from([("entities_of_finding".to_owned(), 42)]));

    let eve = entity("ip", "eve");
    let spray = |number| {
        let user = entity("user", &format!("u{number}"));
        seen("spray", Level::Low, "impact", 900, number, &[eve.clone(), user])
    };
    let limit = MAX_STEPS_PER_ENTITY_HOUR as u64;
    let findings: Vec<Finding> = (10..10 + limit + 100).map(spray).collect();
    record(&alerts, &findings, 1);
    assert_eq!(alerts.risk_cut().unwrap()["entities_beside_crowded"], 100);
    let risk = alerts.risk_of(&eve, at(900)).unwrap();
    assert_eq!((risk.is_hub, risk.rules[0].findings), (true, limit + 100), "no finding is lost");

    // The ends of time, a name without an end, an empty one.
    let mut odd =
        seen("odd", Level::Critical, "impact", 0, 9000, &[entity("user", &"x".repeat(100_000)), entity("ip", "")]);
    for (number, time) in [Time::MIN, Time::MAX, Time::from_micros(-1)].into_iter().enumerate() {
        odd.id = FindingId::of("odd", &[EventId { source: SourceId(2), seq: number as u64 }]);
        odd.time = time;
        record(&alerts, std::slice::from_ref(&odd), 1);
        let risk = alerts.risk(&RiskFilter::default(), time).unwrap();
        assert_eq!((risk.total, risk.entities[0].points), (1, 80.0));
        assert!(risk.entities[0].entity.value.len() < 5000);
    }
    for options in [
        RiskOptions { window_hours: 0, ..RiskOptions::default() },
        RiskOptions { half_life_hours: 0, ..RiskOptions::default() },
        RiskOptions { points: [0, 5, 4, 6, 7], ..RiskOptions::default() },
    ] {
        assert!(matches!(Alerts::in_memory().unwrap().with_risk(options), Err(AlertError::Risk(_))));
    }
}

#[test]
fn a_full_incident_takes_no_more_steps() {
    let alerts = Alerts::in_memory().unwrap();
    let web = [entity("host", "web")];
    let count = MAX_STEPS_PER_INCIDENT as u64 + 50;
    // A step each: 60 rules in every hour.
    let findings: Vec<Finding> = (0..count)
        .map(|number| seen(&format!("r{}", number % 60), Level::High, "impact", (number / 60) as i64, number, &web))
        .collect();
    for chunk in findings.chunks(500) {
        record(&alerts, chunk, 1);
    }
    let all = incidents(&alerts);
    assert_eq!((all[0].steps, all[0].is_full), (MAX_STEPS_PER_INCIDENT as u64, true));
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().timeline.len() as i64, MAX_STEPS_PER_INCIDENT);
    assert_eq!(all[1].steps, 50, "what goes on is the next incident");
    assert!(alerts.risk_cut().unwrap()["merges_of_incidents"] > 0);
    // A step that is there goes on counting.
    record(&alerts, &[seen("r0", Level::High, "impact", 0, 60_000_000, &web)], 2);
    assert_eq!(incidents(&alerts)[0].findings, MAX_STEPS_PER_INCIDENT as u64 + 1);
}

#[test]
fn retention() {
    let alerts = Alerts::in_memory().unwrap();
    let now = Time::from_secs(1);
    let (web, db) = ([entity("host", "web")], [entity("host", "db")]);
    record(
        &alerts,
        &[
            seen("a", Level::High, "execution", 5, 1, &web),
            seen("b", Level::High, "impact", 5, 2, &web),
            seen("c", Level::Low, "impact", 5, 3, &db),
            seen("d", Level::Low, "impact", 500, 4, &db),
        ],
        1,
    );
    for id in 1..=4 {
        alerts.close(AlertId(id), Verdict::TruePositive, "ada", None, now).unwrap();
    }
    let case = alerts.open_case("one", "ada", now).unwrap();
    alerts.add_incident_to_case(case, IncidentId(1), "ada", now).unwrap();
    alerts.add_alert_to_case(case, AlertId(4), "ada", now).unwrap();
    let pruned = alerts.prune_risk(at(400)).unwrap();
    assert_eq!((pruned.steps, pruned.incidents, pruned.cases, pruned.entities), (1, 0, 0, 0));
    assert_eq!(alerts.prune(at(1000)).unwrap(), 1, "only c's: the case has the others");
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().timeline.len(), 2);

    alerts.close_case(case, Verdict::TruePositive, "done", "ada", at(2)).unwrap();
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().incident.state, IncidentState::Closed(Verdict::TruePositive));
    let pruned = alerts.prune_risk(at(1000)).unwrap();
    assert_eq!((pruned.steps, pruned.incidents, pruned.cases, pruned.entities), (1, 1, 1, 2));
    assert_eq!(alerts.prune(at(1000)).unwrap(), 3);
    assert_eq!(alerts.prune_risk(at(1000)).unwrap(), Default::default());
}

#[test]
fn an_incident_says_what_its_time_line_has_lost() {
    let alerts = Alerts::in_memory().unwrap();
    let web = [entity("host", "web")];
    let old = [seen("a", Level::High, "execution", 5, 1, &web), seen("a", Level::High, "execution", 5, 2, &web)];
    record(&alerts, &old, 1);
    record(&alerts, &[seen("b", Level::High, "impact", 9, 3, &web)], 1);
    let now = Time::from_secs(2);
    alerts.close(AlertId(1), Verdict::TruePositive, "ada", None, now).unwrap();
    assert_eq!(alerts.prune(at(8)).unwrap(), 1);
    let incident = &incidents(&alerts)[0];
    assert_eq!((incident.findings, incident.pruned, incident.steps), (3, 2, 1));
    assert_eq!(alerts.incident(IncidentId(1)).unwrap().timeline.len(), 1);
}

#[test]
fn a_batch_that_fails_leaves_no_points() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON incidents BEGIN SELECT raise(ABORT, 'disk full'); END")
        .unwrap();
    let web = [entity("host", "web")];
    let hot = [seen("a", Level::High, "execution", 5, 1, &web), seen("b", Level::High, "impact", 5, 2, &web)];
    let sightings: Vec<_> = hot.iter().map(Sighting::from).collect();
    assert!(alerts.record(&sightings, Time::from_secs(1)).unwrap_err().to_string().contains("disk full"));
    assert_eq!((points(&alerts, &web[0], 5), alerts.has(hot[0].id).unwrap()), (0.0, false));
    // Nor does the recorder have any of it in mind.
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(record(&alerts, &hot[..1], 2).incidents, []);
    assert_eq!(record(&alerts, &hot[1..], 3).incidents, [IncidentId(1)]);
    assert_eq!(incidents(&alerts)[0].findings, 2);
}

#[test]
fn two_that_write_to_one_file_know_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let both = [Alerts::open(&path).unwrap(), Alerts::open(&path).unwrap()];
    let hosts = ["web", "db"].map(|name| entity("host", name));
    for number in 0..40 {
        let rule = format!("r{}", number % 7);
        let about = &hosts[..1 + number as usize % 2];
        record(&both[number as usize % 2], &[seen(&rule, Level::Medium, "impact", 5, number, about)], 1);
    }
    let alone = Alerts::in_memory().unwrap();
    for number in 0..40 {
        let (rule, about) = (format!("r{}", number % 7), &hosts[..1 + number as usize % 2]);
        record(&alone, &[seen(&rule, Level::Medium, "impact", 5, number, about)], 1);
    }
    assert_eq!(essence(&both[0]), essence(&alone));
    assert_eq!(incidents(&both[1]), incidents(&alone));
    assert_eq!(incidents(&alone).len(), 1, "seven rules with 15 points");
}

#[test]
fn what_is_old_but_was_learnt_lately_is_kept() {
    let alerts = Alerts::in_memory().unwrap();
    let web = [entity("host", "web")];
    let now = at(1000);
    // An import: of hour 5, recorded at hour 1000.
    let imported = [
        seen("a", Level::High, "execution", 5, 1, &web),
        seen("b", Level::High, "impact", 5, 2, &web),
        seen("c", Level::Low, "impact", 5, 3, &[entity("host", "db")]),
    ];
    record(&alerts, &imported, 1000 * 3600);
    (1..=3).for_each(|id| alerts.close(AlertId(id), Verdict::TruePositive, "ada", None, now).unwrap());
    alerts.close_incident(IncidentId(1), Verdict::TruePositive, "ada", None, now).unwrap();
    assert_eq!((alerts.prune_risk(at(900)).unwrap(), alerts.prune(at(900)).unwrap()), (Default::default(), 0));
    let pruned = alerts.prune_risk(at(1001)).unwrap();
    assert_eq!((pruned.steps, pruned.incidents, alerts.prune(at(1001)).unwrap()), (1, 1, 3));
}

/// What is the same in whatever order findings come: the points at every hour, and which steps are together.
type Essence = (Vec<Vec<(Entity, u64)>>, Vec<Vec<(String, i64, u64, Vec<Entity>)>>);

fn essence(alerts: &Alerts) -> Essence {
    let filter = RiskFilter { limit: 1000, ..Default::default() };
    let points = (0..200)
        .step_by(10)
        .map(|hour| {
            let page = alerts.risk(&filter, at(hour)).unwrap();
            let mut points: Vec<_> =
                page.entities.into_iter().map(|risk| (risk.entity, (risk.points * 1000.0) as u64)).collect();
            points.sort();
            points
        })
        .collect();
    let mut together = Vec::new();
    for incident in incidents(alerts) {
        let detail = alerts.incident(incident.id).unwrap();
        assert_eq!(incident.steps, detail.timeline.len() as u64);
        assert_eq!(incident.findings, detail.timeline.iter().map(|step| step.findings).sum::<u64>());
        if incident.state != IncidentState::Open {
            continue;
        }
        assert_eq!(Some(incident.first), detail.timeline.iter().map(|step| step.first).min());
        assert_eq!(Some(incident.last), detail.timeline.iter().map(|step| step.last).max());
        let mut steps: Vec<_> = detail
            .timeline
            .into_iter()
            .map(|step| (step.rule.id, step.first.micros(), step.findings, step.entities))
            .collect();
        steps.sort();
        together.push(steps);
    }
    together.sort();
    (points, together)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn order_and_repetition_do_not_matter(
        draws in prop::collection::vec((0..8_usize, 0..180_i64, prop::collection::vec(0..14_usize, 1..3)), 1..120),
        seed in any::<u64>(),
        cuts in 1..20_usize,
    ) {
        let tactics = ["execution", "impact", "discovery"];
        let findings: Vec<Finding> = draws
            .into_iter()
            .enumerate()
            .map(|(number, (rule, hour, about))| {
                let about: Vec<Entity> =
                    about.into_iter().map(|of| entity(["user", "host", "ip"][of % 3], &format!("e{of}"))).collect();
                seen(&format!("r{rule}"), LEVELS[1 + rule % 3], tactics[rule % 3], hour, number as u64, &about)
            })
            .collect();
        let mut shuffled = findings.clone();
        shuffled.sort_by_key(|finding| blake3::hash(format!("{seed}{}", finding.id).as_bytes()).to_hex());
        shuffled.extend_from_slice(&findings[..findings.len() / 2]);
        // Few links, and sometimes a window so short that incidents merge only through what lies between.
        let options = RiskOptions { window_hours: 6 + (seed % 60) as u32, threshold: 60, ..RiskOptions::default() };
        let of = || Alerts::in_memory().unwrap().with_risk(options).unwrap();
        let (straight, other, forgetful) = (of(), of(), of());
        record(&straight, &findings, 7);
        for chunk in shuffled.chunks(shuffled.len().div_ceil(cuts)) {
            record(&other, chunk, 7);
            record(&forgetful, chunk, 7);
            // Whatever else is written makes the recorder read anew what it had in mind.
            prop_assert_eq!(forgetful.prune(Time::MIN).unwrap(), 0);
        }
        prop_assert_eq!(essence(&straight), essence(&other));
        prop_assert_eq!(incidents(&other), incidents(&forgetful));
        prop_assert_eq!(essence(&other), essence(&forgetful));
    }
}
