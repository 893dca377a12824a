//! A notice to check templates with; the tests use it too.

use vedette_alert::{AlertId, IncidentId, Verdict};
use vedette_event::{Entity, Level, RuleRef, Time};

use crate::{Happened, Notice, RuleName, Subject};

/// With everything that a notice can have.
pub(crate) fn notice() -> Notice {
    let entity = Entity { kind: "ip".into(), value: "192.0.2.7".into() };
    Notice {
        what: Happened::Opened,
        time: Time::from_secs(1_795_238_000),
        subject: Subject::Alert(AlertId(17)),
        revision: 40,
        opened: Time::from_secs(1_795_238_000),
        rule: RuleRef {
            id: "ssh-brute-force".into(),
            title: "SSH brute force".into(),
            level: Level::High,
            author: Some("ada".into()),
            techniques: vec!["T1110".into()],
            tactics: vec!["credential-access".into()],
        },
        rules: vec![],
        entity: entity.clone(),
        entities: vec![entity, Entity { kind: "user".into(), value: "root".into() }],
        sources: vec!["file:/var/log/auth.log".into()],
        count: 12,
        first: Time::from_secs(1_795_237_400),
        last: Time::from_secs(1_795_237_990),
        who: None,
        assignee: None,
        note: None,
        verdict: None,
        merged_into: None,
    }
}

/// The same alert, closed by somebody.
pub(crate) fn closed() -> Notice {
    Notice {
        what: Happened::Closed,
        who: Some("ada".into()),
        note: Some("blocked at the edge".into()),
        verdict: Some(Verdict::TruePositive),
        ..notice()
    }
}

/// An incident that has grown.
pub(crate) fn incident() -> Notice {
    let entity = |kind: &str, value: &str| Entity { kind: kind.into(), value: value.into() };
    let rule = |id: &str, title: &str, level| RuleName { id: id.into(), title: title.into(), level };
    let (id, title) = Notice::INCIDENT;
    Notice {
        what: Happened::Grew,
        subject: Subject::Incident(IncidentId(12)),
        revision: 7,
        rule: RuleRef {
            id: id.into(),
            title: title.into(),
            level: Level::High,
            author: None,
            techniques: vec!["T1110".into(), "T1136.001".into()],
            tactics: vec!["initial-access".into(), "persistence".into()],
        },
        rules: vec![
            rule("new-account", "New account", Level::High),
            rule("ssh-brute-force", "SSH brute force", Level::Medium),
        ],
        entity: entity("host", "web-1"),
        entities: vec![
            entity("host", "web-1"),
            entity("ip", "192.0.2.7"),
            entity("user", "root"),
            entity("user", "eve"),
        ],
        ..notice()
    }
}

/// Another one, which has become part of it.
pub(crate) fn merged() -> Notice {
    Notice {
        what: Happened::Closed,
        subject: Subject::Incident(IncidentId(13)),
        merged_into: Some(IncidentId(12)),
        ..incident()
    }
}
