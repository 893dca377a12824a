//! A notice to check templates with; the tests use it too.

use vedette_alert::{AlertId, Verdict};
use vedette_event::{Entity, Level, RuleRef, Time};

use crate::{Happened, Notice};

/// With everything that a notice can have.
pub(crate) fn notice() -> Notice {
    let entity = Entity { kind: "ip".into(), value: "192.0.2.7".into() };
    Notice {
        what: Happened::Opened,
        time: Time::from_secs(1_795_238_000),
        alert: AlertId(17),
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
        entity: entity.clone(),
        entities: vec![entity, Entity { kind: "user".into(), value: "root".into() }],
        sources: vec!["file:/var/log/auth.log".into()],
        count: 12,
        first: Time::from_secs(1_795_237_400),
        last: Time::from_secs(1_795_237_990),
        who: None,
        note: None,
        verdict: None,
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
