//! Cases.

use vedette_alert::{
    AlertError, AlertId, Alerts, Bundle, CaseFilter, CaseId, CaseState, CaseStateName, EvidenceItem, IncidentId,
    MAX_PER_CASE, Verdict,
};
use vedette_event::{EventId, SourceId, Time};

use crate::support::{finding, record};

fn now(second: i64) -> Time {
    Time::from_secs(second)
}

fn bundle(name: &str, blake3: &str) -> EvidenceItem {
    EvidenceItem::Bundle(Bundle { name: name.into(), blake3: blake3.into() })
}

#[test]
fn the_life_of_a_case() {
    let dir = tempfile::tempdir().unwrap();
    let alerts = Alerts::open(&dir.path().join("alerts.db")).unwrap();
    record(&alerts, &[finding("a", "1", 1), finding("b", "1", 2)], 10);
    let revision = alerts.revision();
    let id = alerts.open_case("Guessed password", "ada", now(10)).unwrap();
    alerts.rename_case(id, "Guessed password of user1", "ada", now(11)).unwrap();
    alerts.assign_case(id, Some("bob"), "ada", now(12)).unwrap();
    alerts.note_case(id, "Looks real.", "bob", now(13)).unwrap();
    let block = alerts.add_task(id, "Block the address", "bob", now(14)).unwrap();
    let reset = alerts.add_task(id, "Reset the password", "bob", now(14)).unwrap();
    alerts.set_task(id, block, true, "eva", now(15)).unwrap();
    alerts.set_task(id, block, true, "bob", now(16)).unwrap();
    alerts.set_task(id, reset, true, "eva", now(17)).unwrap();
    alerts.set_task(id, reset, false, "eva", now(18)).unwrap();
    let event = EvidenceItem::Event(EventId { source: SourceId(3), seq: 1042 });
    let file = bundle("case-1.zip", &"0a".repeat(32));
    alerts.add_evidence(id, &event, Some("the log-in"), "bob", now(19)).unwrap();
    alerts.add_evidence(id, &event, Some("again"), "bob", now(20)).unwrap();
    alerts.add_evidence(id, &file, None, "bob", now(20)).unwrap();
    assert!(alerts.add_alert_to_case(id, AlertId(1), "bob", now(21)).unwrap());
    assert!(!alerts.add_alert_to_case(id, AlertId(1), "bob", now(21)).unwrap());
    assert!(alerts.add_alert_to_case(id, AlertId(2), "bob", now(22)).unwrap());
    assert!(alerts.remove_alert_from_case(id, AlertId(2), "bob", now(23)).unwrap());
    assert!(!alerts.remove_alert_from_case(id, AlertId(2), "bob", now(23)).unwrap());
    alerts.close_case(id, Verdict::TruePositive, "Guessed and used.", "bob", now(24)).unwrap();

    let closed = AlertError::CaseState { id, closed: true }.to_string();
    assert_eq!(closed, "case 1 is closed; reopen it first");
    let refused = [
        alerts.rename_case(id, "x", "ada", now(25)),
        alerts.assign_case(id, None, "ada", now(25)),
        alerts.add_task(id, "x", "ada", now(25)).map(drop),
        alerts.set_task(id, block, false, "ada", now(25)),
        alerts.add_evidence(id, &event, None, "ada", now(25)),
        alerts.add_alert_to_case(id, AlertId(2), "ada", now(25)).map(drop),
        alerts.remove_alert_from_case(id, AlertId(1), "ada", now(25)).map(drop),
        alerts.close_case(id, Verdict::Benign, "x", "ada", now(25)),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().to_string(), closed);
    }
    alerts.note_case(id, "Told the user.", "ada", now(26)).unwrap();

    let detail = alerts.case(id).unwrap();
    assert_eq!(detail.case.title, "Guessed password of user1");
    assert_eq!(detail.case.state, CaseState::Closed(Verdict::TruePositive));
    assert_eq!(detail.case.summary.as_deref(), Some("Guessed and used."));
    assert_eq!((detail.case.assignee.as_deref(), detail.case.open_tasks), (Some("bob"), 1));
    assert_eq!((detail.case.alerts.as_slice(), detail.case.changed), ([AlertId(1)].as_slice(), now(26)));
    let notes: Vec<_> = detail.notes.iter().map(|note| (note.author.as_str(), note.text.as_str())).collect();
    assert_eq!(notes, [("bob", "Looks real."), ("ada", "Told the user.")]);
    let done: Vec<_> = detail.tasks.iter().map(|task| (task.done_by.as_deref(), task.done_at)).collect();
    assert_eq!(done, [(Some("eva"), Some(now(15))), (None, None)]);
    let evidence: Vec<_> = detail.evidence.iter().map(|one| (one.item.clone(), one.comment.as_deref())).collect();
    assert_eq!(evidence, [(event, Some("the log-in")), (file, None)]);
    let history: Vec<String> = detail
        .history
        .iter()
        .map(|change| {
            let detail = change.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
            format!("{} {} {}{detail}", change.time.secs(), change.who, change.what)
        })
        .collect();
    expect_test::expect![[r#"
        10 ada opened: Guessed password
        11 ada renamed: Guessed password of user1
        12 ada assigned: bob
        13 bob noted
        14 bob task added: Block the address
        14 bob task added: Reset the password
        15 eva task done: Block the address
        17 eva task done: Reset the password
        18 eva task undone: Reset the password
        19 bob evidence added: {"event":"3-1042"}
        20 bob evidence added: {"bundle":{"name":"case-1.zip","blake3":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}}
        21 bob alert added: 1
        22 bob alert added: 2
        23 bob alert removed: 2
        24 bob closed: true_positive: Guessed and used.
        26 ada noted
    "#]]
    .assert_eq(&(history.join("\n") + "\n"));

    alerts.reopen_case(id, "ada", now(27)).unwrap();
    assert!(matches!(alerts.reopen_case(id, "ada", now(27)), Err(AlertError::CaseState { closed: false, .. })));
    assert_eq!(alerts.case(id).unwrap().case.state, CaseState::Open);
    assert_eq!(alerts.revision(), revision, "who waits for alerts is not woken by cases");
    let again = Alerts::open_read_only(&dir.path().join("alerts.db")).unwrap();
    assert_eq!(again.case(id).unwrap(), alerts.case(id).unwrap());
    assert!(matches!(again.open_case("x", "ada", now(1)), Err(AlertError::ReadOnly)));
    let json = serde_json::to_value(alerts.case(id).unwrap()).unwrap();
    assert_eq!((&json["state"], &json["verdict"]), (&"open".into(), &serde_json::Value::Null));
    assert_eq!(json["evidence"][0]["item"]["event"], "3-1042");
    assert_eq!(json["tasks"][0]["done_at"], "1970-01-01T00:00:15.000000Z");
}

#[test]
fn lists() {
    let alerts = Alerts::in_memory().unwrap();
    record(&alerts, &[finding("a", "1", 1)], 10);
    let ids: Vec<CaseId> =
        ["one", "two", "three"].iter().map(|title| alerts.open_case(title, "ada", now(1)).unwrap()).collect();
    alerts.assign_case(ids[0], Some("bob"), "ada", now(5)).unwrap();
    alerts.add_alert_to_case(ids[1], AlertId(1), "ada", now(4)).unwrap();
    alerts.close_case(ids[2], Verdict::Benign, "nothing", "ada", now(3)).unwrap();
    let list = |filter: CaseFilter| {
        let page = alerts.cases(&filter).unwrap();
        (page.cases.iter().map(|case| case.title.clone()).collect::<Vec<_>>(), page.total)
    };
    let names = |names: &[&str], total| (names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), total);
    assert_eq!(list(CaseFilter::default()), names(&["one", "two", "three"], 3));
    assert_eq!(list(CaseFilter { offset: 1, limit: 1, ..Default::default() }), names(&["two"], 3));
    assert_eq!(list(CaseFilter { states: vec![CaseStateName::Closed], ..Default::default() }), names(&["three"], 1));
    assert_eq!(list(CaseFilter { assignee: Some("bob".into()), ..Default::default() }), names(&["one"], 1));
    assert_eq!(list(CaseFilter { alert: Some(AlertId(1)), ..Default::default() }), names(&["two"], 1));
    assert_eq!(list(CaseFilter { incident: Some(IncidentId(1)), ..Default::default() }), names(&[], 0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let alerts = Alerts::in_memory().unwrap();
    let id = alerts.open_case("x", "ada", now(1)).unwrap();
    let long = "x".repeat(20_000);
    let missing = CaseId(9);
    let refused = [
        alerts.open_case(" ", "ada", now(2)).map(drop),
        alerts.open_case(&long, "ada", now(2)).map(drop),
        alerts.open_case("x", &long, now(2)).map(drop),
        alerts.note_case(id, "", "ada", now(2)),
        alerts.note_case(id, &long, "ada", now(2)),
        alerts.note_case(missing, "x", "ada", now(2)),
        alerts.add_task(id, "", "ada", now(2)).map(drop),
        alerts.set_task(id, 7, true, "ada", now(2)),
        alerts.assign_case(id, Some(&long), "ada", now(2)),
        alerts.add_alert_to_case(id, AlertId(1), "ada", now(2)).map(drop),
        alerts.add_incident_to_case(id, IncidentId(1), "ada", now(2)).map(drop),
        alerts.close_case(id, Verdict::Benign, "", "ada", now(2)),
        alerts.close_case(missing, Verdict::Benign, "x", "ada", now(2)),
        alerts.add_evidence(id, &bundle("../../etc/passwd", &"0a".repeat(32)), None, "ada", now(2)),
        alerts.add_evidence(id, &bundle("x.zip", &"0A".repeat(32)), None, "ada", now(2)),
        alerts.add_evidence(id, &bundle("x.zip", "0a"), None, "ada", now(2)),
    ];
    let refused: Vec<String> = refused.into_iter().map(|result| result.unwrap_err().to_string()).collect();
    expect_test::expect![[r#"
        case: a title is needed
        a title of 20000 bytes is longer than 1024
        the name of 20000 bytes is longer than 256
        case: a note is needed
        a note of 20000 bytes is longer than 16384
        there is no case 9
        case: a task is needed
        case 1 has no task 7
        the name of 20000 bytes is longer than 256
        there is no alert 1
        there is no incident 1
        case: a summary is needed
        there is no case 9
        case: `../../etc/passwd` is not a file's name without folders
        case: a bundle's hash has 64 hexadecimal digits in lower case
        case: a bundle's hash has 64 hexadecimal digits in lower case
    "#]]
    .assert_eq(&(refused.join("\n") + "\n"));
    let detail = alerts.case(id).unwrap();
    assert_eq!((detail.history.len(), detail.case.changed), (1, now(1)), "nothing of it left a trace");

    for number in 0..MAX_PER_CASE {
        alerts.note_case(id, &format!("{number}"), "ada", now(2)).unwrap();
    }
    let error = alerts.note_case(id, "one more", "ada", now(2)).unwrap_err().to_string();
    assert_eq!(error, "case: case 1 has 1000 notes, which is as many as it can have");
}
