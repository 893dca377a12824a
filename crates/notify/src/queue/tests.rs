//! The queue by itself, with a clock of the test's own.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use vedette_alert::{AlertId, IncidentId};
use vedette_event::{Level, Time};

use super::{Channels, Followed, Given, Manner, Next, Queue, Taken, schema::FORMAT};
use crate::{About, Counts, Happened, Held, Notice, Reason, Subject, config::Config, route, sample};

/// `chat` gathers, `pager` keeps states, `log` does neither.
struct Kinds;

impl Channels for Kinds {
    fn keeps_state(&self, channel: &str) -> bool {
        channel == "pager"
    }
    fn gathers(&self, channel: &str) -> bool {
        channel == "chat"
    }
    fn carries(&self, channel: &str, what: Happened) -> bool {
        channel != "log" || what != Happened::Reopened
    }
}

const CONFIG: &str = r#"
channels:
  - {name: chat, slack: {url: "https://chat.example/T0/B0"}}
  - {name: pager, pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}}
  - {name: log, syslog: {address: "log.example:514"}}
routes:
  - {name: all, channels: [log], continue: true, match: {level: low}}
  - {name: night, channels: [chat, pager], match: {rule: "night*"}, on: [opened, grew, acknowledged, closed, reopened], quiet: [{from: "00:00", to: "06:00", breaks_through: high}], continue: true}
  - {name: drop, channels: [chat], match: {rule: "drop*"}, quiet: [{from: "00:00", to: "12:00", then: drop}]}
  - {name: digest, channels: [chat], match: {rule: "digest*"}, digest: {minutes: 10}}
  - {name: page, channels: [pager], on: [opened, acknowledged, closed, reopened], match: {rule: "page*"}}
"#;

fn notice(alert: i64, what: Happened, rule: &str, level: Level, time: Time) -> Notice {
    let mut notice = sample::notice();
    (notice.subject, notice.what, notice.time) = (Subject::Alert(AlertId(alert)), what, time);
    notice.rule.id = rule.into();
    notice.rule.title = format!("Rule {rule}");
    notice.rule.level = level;
    notice
}

fn offer(queue: &Queue, config: &Config, notice: &Notice, now: Time) -> u64 {
    let shares = route::shares(&config.routes, notice, now);
    queue.offer(&[(notice, shares)], config.queue, &Kinds, now).unwrap()
}

fn manner(channel: &str, folds: bool) -> Manner {
    Manner { folds: folds && channel == "chat", in_order: channel == "pager" }
}

fn take(queue: &Queue, channel: &str, now: Time) -> Option<Taken> {
    match queue.take(channel, manner(channel, false), now).unwrap() {
        Next::Send(taken) => Some(taken),
        Next::Wait(_) => None,
    }
}

fn whats(taken: &Taken) -> Vec<(i64, Happened)> {
    taken.message.notices.iter().map(|notice| (notice.subject.alert(), notice.what)).collect()
}

fn counts(queue: &Queue) -> BTreeMap<(String, String), Counts> {
    queue.accounts().unwrap().into_iter().map(|account| ((account.channel, account.route), account.counts)).collect()
}

/// Noon and midnight of some day, so that quiet hours are where the cases say.
const NOON: Time = Time::from_secs(43_200);
const MIDNIGHT: Time = Time::from_secs(86_400);

#[test]
fn a_digest_is_one_message_and_stays_the_same() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    let minute = |minute: i64| NOON.plus_micros(minute * 60_000_000);
    for (number, at) in [(1, 0), (2, 4), (3, 9)] {
        let notice = notice(number, Happened::Opened, "digest", Level::Low, minute(at));
        assert_eq!(offer(&queue, &config, &notice, minute(at)), 1);
        assert_eq!(offer(&queue, &config, &notice, minute(at)), 0, "the same again");
    }
    assert!(take(&queue, "chat", minute(9)).is_none());
    let taken = take(&queue, "chat", minute(10)).unwrap();
    assert_eq!(whats(&taken), [(1, Happened::Opened), (2, Happened::Opened), (3, Happened::Opened)]);
    assert_eq!(taken.message.held, Some(Held::Digest));
    // One that comes meanwhile is for the next digest, and what is tried again is the same message.
    offer(&queue, &config, &notice(4, Happened::Opened, "digest", Level::Low, minute(11)), minute(11));
    let again = Given::Again { due: minute(12), error: "busy".into() };
    queue.finish(taken.id, &again, 100, minute(11)).unwrap();
    assert!(take(&queue, "chat", minute(11)).is_none());
    let second = take(&queue, "chat", minute(12)).unwrap();
    assert_eq!((second.message.clone(), second.attempts), (taken.message, 1));
    queue.finish(second.id, &Given::Sent, 100, minute(12)).unwrap();
    // A bad one breaks through.
    offer(&queue, &config, &notice(5, Happened::Opened, "digest", Level::Critical, minute(13)), minute(13));
    assert_eq!(whats(&take(&queue, "chat", minute(13)).unwrap()), [(5, Happened::Opened)]);
    let chat = &counts(&queue)[&("chat".into(), "digest".into())];
    assert_eq!((chat.offered, chat.sent, chat.queued), (5, 3, 2));
    assert_eq!(chat.held, [(Held::Digest, 4)].into());
}

#[test]
fn states_are_replaced_and_kept_in_order() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    let at = |seconds: i64| MIDNIGHT.plus_micros(seconds * 1_000_000);
    // Held for the night, then worse: it is sent now, and not again in the morning.
    offer(&queue, &config, &notice(1, Happened::Opened, "night", Level::Medium, at(0)), at(0));
    assert!(take(&queue, "pager", at(0)).is_none());
    offer(&queue, &config, &notice(1, Happened::Grew, "night", Level::Critical, at(5)), at(5));
    let taken = take(&queue, "pager", at(5)).unwrap();
    assert_eq!(whats(&taken), [(1, Happened::Grew)]);
    queue.finish(taken.id, &Given::Sent, 100, at(6)).unwrap();
    assert!(take(&queue, "pager", at(8 * 3600)).is_none());

    // Opened and closed before it could be sent: only the end is told.
    offer(&queue, &config, &notice(2, Happened::Opened, "page", Level::High, at(10)), at(10));
    offer(&queue, &config, &notice(2, Happened::Closed, "page", Level::High, at(11)), at(11));
    let taken = take(&queue, "pager", at(12)).unwrap();
    assert_eq!(whats(&taken), [(2, Happened::Closed)]);
    queue.finish(taken.id, &Given::Sent, 100, at(12)).unwrap();

    // What waits for its next try is passed by nothing newer of its alert, but by others.
    offer(&queue, &config, &notice(3, Happened::Closed, "page", Level::High, at(20)), at(20));
    let taken = take(&queue, "pager", at(20)).unwrap();
    queue.finish(taken.id, &Given::Again { due: at(60), error: "busy".into() }, 100, at(21)).unwrap();
    offer(&queue, &config, &notice(3, Happened::Reopened, "page", Level::High, at(22)), at(22));
    offer(&queue, &config, &notice(4, Happened::Opened, "page", Level::High, at(23)), at(23));
    let whole: Vec<_> = std::iter::from_fn(|| {
        let taken = take(&queue, "pager", at(24))?;
        queue.finish(taken.id, &Given::Sent, 100, at(24)).unwrap();
        Some(whats(&taken))
    })
    .collect();
    // The newer state of alert 3 took the place of the older, so its wait is over when that would have been tried.
    assert_eq!(whole, [vec![(3, Happened::Reopened)], vec![(4, Happened::Opened)]]);
    // An acknowledgement replaces nothing, and waits for what it acknowledges.
    offer(&queue, &config, &notice(5, Happened::Opened, "page", Level::High, at(30)), at(30));
    let opened = take(&queue, "pager", at(30)).unwrap();
    queue.finish(opened.id, &Given::Again { due: at(90), error: "busy".into() }, 100, at(31)).unwrap();
    offer(&queue, &config, &notice(5, Happened::Acknowledged, "page", Level::High, at(32)), at(32));
    assert!(take(&queue, "pager", at(33)).is_none(), "nothing to acknowledge yet");
    let opened = take(&queue, "pager", at(90)).unwrap();
    assert_eq!(whats(&opened), [(5, Happened::Opened)]);
    queue.finish(opened.id, &Given::Sent, 100, at(90)).unwrap();
    assert_eq!(whats(&take(&queue, "pager", at(90)).unwrap()), [(5, Happened::Acknowledged)]);

    let suppressed = queue.suppressed(10).unwrap();
    let superseded = suppressed.iter().filter(|one| one.reason == Reason::Superseded);
    let superseded: Vec<_> = superseded.map(|one| (one.subject.alert(), one.what)).collect();
    assert_eq!(superseded, [(3, Happened::Closed), (2, Happened::Opened), (1, Happened::Opened)]);
}

#[test]
fn an_acknowledgement_that_is_held_holds_up_nobody() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    let at = |seconds: i64| MIDNIGHT.plus_micros(seconds * 1_000_000);
    let offer = |alert, what, level, seconds| {
        assert_eq!(offer(&queue, &config, &notice(alert, what, "night", level, at(seconds)), at(seconds)), 1);
    };
    let send = |seconds| {
        let taken = take(&queue, "pager", at(seconds))?;
        queue.finish(taken.id, &Given::Sent, 100, at(seconds)).unwrap();
        Some(whats(&taken))
    };
    let morning = 6 * 3600;
    // Raised and acknowledged in the quiet, then much worse.
    offer(1, Happened::Opened, Level::Low, 0);
    offer(1, Happened::Acknowledged, Level::Low, 1);
    assert_eq!(send(2), None);
    offer(1, Happened::Grew, Level::Critical, 3);
    assert_eq!(send(4), Some(vec![(1, Happened::Grew)]));
    assert_eq!(send(5), None);
    // The acknowledgement alone waits now.
    offer(1, Happened::Reopened, Level::Critical, 6);
    assert_eq!(send(7), Some(vec![(1, Happened::Reopened)]));
    assert_eq!(send(morning), Some(vec![(1, Happened::Acknowledged)]));
    assert_eq!(send(morning + 1), None);
    // All of it held: what was raised last comes before the acknowledgement of what it replaces.
    let next = 86_400;
    offer(2, Happened::Opened, Level::Low, next);
    offer(2, Happened::Acknowledged, Level::Low, next + 1);
    offer(2, Happened::Grew, Level::Low, next + 2);
    assert_eq!(send(next + morning), Some(vec![(2, Happened::Grew)]));
    assert_eq!(send(next + morning), Some(vec![(2, Happened::Acknowledged)]));
    let pager = &counts(&queue)[&("pager".into(), "night".into())];
    assert_eq!((pager.offered, pager.sent, pager.queued), (7, 5, 0));
    assert_eq!(pager.suppressed, [(Reason::Superseded, 2)].into());
}

#[test]
fn a_flood_of_the_harmless_leaves_room_for_the_bad() {
    let queue = Queue::in_memory().unwrap();
    let config = Config { queue: 100, ..serde_norway::from_str(CONFIG).unwrap() };
    for number in 0..120 {
        offer(&queue, &config, &notice(number, Happened::Opened, "other", Level::Low, NOON), NOON);
    }
    for number in 200..240 {
        offer(&queue, &config, &notice(number, Happened::Opened, "other", Level::High, NOON), NOON);
    }
    let log = &counts(&queue)[&("log".into(), "all".into())];
    assert_eq!((log.offered, log.queued), (160, 100));
    assert_eq!(log.suppressed, [(Reason::QueueFull, 60)].into());
    let full = queue.suppressed(1000).unwrap();
    assert_eq!(full.iter().filter(|one| one.level == Level::High).count(), 15);
}

#[test]
fn dead_letters_are_few_and_can_be_sent_or_discarded() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    for number in 1..=4 {
        offer(&queue, &config, &notice(number, Happened::Opened, "other", Level::Low, NOON), NOON);
        let taken = take(&queue, "log", NOON).unwrap();
        queue.finish(taken.id, &Given::Up { error: format!("no {number}") }, 3, NOON.plus_micros(number)).unwrap();
    }
    let letters = queue.letters(10).unwrap();
    let shown: Vec<_> =
        letters.iter().map(|letter| (letter.subject.alert(), letter.error.as_str(), letter.attempts)).collect();
    assert_eq!(shown, [(4, "no 4", 1), (3, "no 3", 1), (2, "no 2", 1)]);
    queue.retry(letters[0].id, NOON).unwrap();
    queue.discard(letters[1].id, NOON).unwrap();
    assert!(queue.retry(letters[1].id, NOON).is_err());
    assert!(queue.discard(letters[0].id, NOON).is_err(), "it is no dead letter any more");
    let taken = take(&queue, "log", NOON).unwrap();
    assert_eq!((taken.id, taken.attempts), (letters[0].id, 0));
    queue.finish(taken.id, &Given::Sent, 3, NOON).unwrap();
    // A channel that is gone.
    offer(&queue, &config, &notice(9, Happened::Opened, "digest", Level::Low, NOON), NOON);
    assert_eq!(queue.orphan(&["log"], 3, NOON).unwrap(), 1);
    let log = &counts(&queue)[&("log".into(), "all".into())];
    assert_eq!((log.offered, log.sent, log.queued, log.dead), (5, 1, 1, 1));
    assert_eq!(log.suppressed, [(Reason::Discarded, 1), (Reason::TooManyDead, 1)].into());
    let chat = &counts(&queue)[&("chat".into(), "digest".into())];
    assert_eq!((chat.offered, chat.dead), (1, 1));
}

#[test]
fn too_fast_for_a_channel_becomes_one_message() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    for number in 1..=3 {
        offer(&queue, &config, &notice(number, Happened::Opened, "night", Level::Medium, NOON), NOON);
    }
    let taken = take(&queue, "chat", NOON).unwrap();
    assert_eq!(whats(&taken), [(1, Happened::Opened)]);
    queue.finish(taken.id, &Given::Sent, 100, NOON).unwrap();
    let Next::Send(taken) = queue.take("chat", manner("chat", true), NOON).unwrap() else { panic!() };
    assert_eq!(whats(&taken), [(2, Happened::Opened), (3, Happened::Opened)]);
    assert_eq!(taken.message.held, Some(Held::RateLimit));
    assert_eq!(counts(&queue)[&("chat".into(), "night".into())].held, [(Held::RateLimit, 2)].into());
}

#[test]
fn a_file_is_told_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.db");
    drop(Queue::open(&path).unwrap());
    drop(Queue::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 3).unwrap();
    assert!(Queue::open(&path).unwrap_err().to_string().contains("is newer than the 2"));
    db.pragma_update(None, "application_id", 7).unwrap();
    assert!(Queue::open(&path).unwrap_err().to_string().contains("not a notification file"));
}

/// A notice as version 1 of the file kept it.
const OLD_NOTICE: &str = r#"{"what":"opened","time":43200000000,"alert":17,"revision":40,"opened":43200000000,"rule":{"id":"page-1","title":"SSH brute force","level":"high","author":"ada","techniques":["T1110"],"tactics":["credential-access"]},"entity":{"kind":"ip","value":"192.0.2.7"},"entities":[{"kind":"ip","value":"192.0.2.7"},{"kind":"user","value":"root"}],"sources":["file:/var/log/auth.log"],"count":12,"first":43100000000,"last":43190000000,"who":null,"note":null,"verdict":null}"#;

/// The identity that version 1 gave it.
fn old_identity() -> Vec<u8> {
    let mut hashed = Vec::new();
    for number in [17_i64, 43_200_000_000, 0] {
        hashed.extend(number.to_le_bytes());
    }
    hashed.extend(b"opened");
    blake3::hash(&hashed).as_bytes()[..16].to_vec()
}

#[test]
fn a_file_of_version_1_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.db");
    let first = vedette_statefile::Format { versions: &FORMAT.versions[..1], ..FORMAT };
    drop(first.open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    let insert = "INSERT INTO deliveries (message, channel, route, alert, level, what, notice, offered, due)
         VALUES (1, 'pager', 'page', 17, 3, 'opened', ?1, 43200000000, 43200000000)";
    db.execute(insert, [OLD_NOTICE]).unwrap();
    db.execute("INSERT INTO told VALUES (?1, 43200000000)", [old_identity()]).unwrap();
    db.execute_batch(
        "INSERT INTO counts VALUES ('pager', 'page', 'offered', 1), ('', '', 'offered', 1), ('', '', 'suppressed:no_route', 1);
         INSERT INTO suppressed (time, channel, route, reason, alert, what, level, title)
             VALUES (43200000000, '', '', 'no_route', 4, 'grew', 1, 'Port scan');
         INSERT INTO position VALUES (43000000000, 40);
         INSERT INTO followed VALUES (17, 43200000000, 1, 1, 43200000000);",
    )
    .unwrap();
    drop(db);

    let (queue, config) = (Queue::open(&path).unwrap(), serde_norway::from_str::<Config>(CONFIG).unwrap());
    let later = NOON.plus_micros(1_000_000);
    assert_eq!(queue.position(About::Alert, 99, later).unwrap(), (Time::from_micros(43_000_000_000), 40));
    assert_eq!(queue.position(About::Incident, 5, later).unwrap(), (later, 5), "incidents begin now");
    let subject = Subject::Alert(AlertId(17));
    let followed = Followed { subject, opened: NOON, changes: 1, reach: 1, changed: NOON };
    assert_eq!(queue.followed(subject).unwrap(), Some(followed));
    assert_eq!(queue.followed(Subject::Incident(IncidentId(17))).unwrap(), None);
    let suppressed = queue.suppressed(10).unwrap();
    assert_eq!((suppressed[0].subject, suppressed[0].title.as_str()), (Subject::Alert(AlertId(4)), "Port scan"));

    // What waits can be sent, and was told already.
    let taken = take(&queue, "pager", later).unwrap();
    let [old] = taken.message.notices.as_slice() else { panic!("{taken:?}") };
    assert_eq!((old.subject, old.count, old.merged_into), (subject, 12, None));
    assert_eq!(serde_json::to_value(old).unwrap()["alert"], 17);
    assert_eq!(offer(&queue, &config, old, later), 0);
    queue.finish(taken.id, &Given::Again { due: later, error: "busy".into() }, 100, later).unwrap();
    // A newer state takes its place, as one of the same version would have.
    let closed = Notice { what: Happened::Closed, ..old.clone() };
    assert_eq!(offer(&queue, &config, &closed, later), 1);
    assert_eq!(whats(&take(&queue, "pager", later).unwrap()), [(17, Happened::Closed)]);
    assert!(queue.accounts().unwrap().iter().all(|account| account.counts.is_whole()));
}

#[test]
fn an_incident_and_an_alert_of_the_same_number_are_two() {
    let (queue, config) = (Queue::in_memory().unwrap(), serde_norway::from_str(CONFIG).unwrap());
    let at = |seconds: i64| NOON.plus_micros(seconds * 1_000_000);
    let of = |about: About, what, seconds: i64| Notice {
        subject: about.numbered(7),
        ..notice(7, what, "page", Level::High, at(seconds))
    };
    let opened = of(About::Alert, Happened::Opened, 0);
    assert_eq!(offer(&queue, &config, &opened, at(0)), 1);
    assert_eq!(offer(&queue, &config, &of(About::Incident, Happened::Opened, 0), at(0)), 1, "another identity");
    assert_eq!(offer(&queue, &config, &of(About::Incident, Happened::Opened, 0), at(0)), 0);
    assert!(queue.is_told(opened.identity()).unwrap());
    // The end of one takes the place of its beginning, not of the other's; and none waits for the other.
    offer(&queue, &config, &of(About::Incident, Happened::Closed, 1), at(1));
    let subjects = std::iter::from_fn(|| {
        let taken = take(&queue, "pager", at(2))?;
        queue.finish(taken.id, &Given::Again { due: at(60), error: "busy".into() }, 100, at(2)).unwrap();
        Some((taken.message.notices[0].subject, taken.message.notices[0].what))
    });
    let subjects: Vec<_> = subjects.collect();
    let (alert, incident) = (About::Alert.numbered(7), About::Incident.numbered(7));
    assert_eq!(subjects, [(alert, Happened::Opened), (incident, Happened::Closed)]);
    let suppressed = queue.suppressed(10).unwrap();
    assert_eq!((suppressed[0].subject, suppressed[0].reason), (incident, Reason::Superseded));
    assert_eq!(suppressed[0].title, "Incident 7: ip 192.0.2.7");
}

/// One thing that happens to the notifier.
#[derive(Clone, Debug)]
enum Step {
    Offer {
        alert: i64,
        what: Happened,
        rule: usize,
        level: usize,
    },
    /// An attempt of a channel, and what comes of it.
    Attempt {
        channel: usize,
        folds: bool,
        end: usize,
    },
    /// The process dies with attempts under way, and another opens the file.
    Restart,
    Wait {
        minutes: i64,
    },
    Letter {
        retried: bool,
    },
    Orphan,
}

fn step() -> impl Strategy<Value = Step> {
    use Happened::{Acknowledged, Closed, Grew, Opened, Reopened};
    let what = prop::sample::select(vec![Opened, Grew, Acknowledged, Closed, Reopened]);
    prop_oneof![
        8 => (1..12i64, what, 0..6usize, 0..5usize)
            .prop_map(|(alert, what, rule, level)| Step::Offer { alert, what, rule, level }),
        8 => (0..3usize, any::<bool>(), 0..5usize)
            .prop_map(|(channel, folds, end)| Step::Attempt { channel, folds, end }),
        1 => Just(Step::Restart),
        4 => (1..400i64).prop_map(|minutes| Step::Wait { minutes }),
        1 => any::<bool>().prop_map(|retried| Step::Letter { retried }),
        1 => Just(Step::Orphan),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: every notice that was offered is sent, suppressed and counted, waiting or dead;
    /// and none is sent to a channel twice, unless the process died before it was told.
    #[test]
    fn no_notice_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.db");
        let mut queue = Queue::open(&path).unwrap();
        let config = Config { queue: 100, ..serde_norway::from_str(CONFIG).unwrap() };
        let channels = ["chat", "pager", "log"];
        let mut now = MIDNIGHT;
        let mut identities = HashSet::new();
        let (mut shares, mut sent) = (0, 0);
        let mut delivered: HashSet<(&str, [u8; 16])> = HashSet::new();
        for step in steps {
            now = now.plus_micros(1_000_000);
            match step {
                Step::Offer { alert, what, rule, level } => {
                    let levels = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];
                    let rule = ["night", "drop", "digest", "page", "other", "none"][rule];
                    let about = [About::Alert, About::Incident][alert as usize % 2];
                    let subject = about.numbered(alert / 2 + 1);
                    let notice = Notice { subject, ..notice(alert, what, rule, levels[level], now) };
                    let is_new = identities.insert(notice.identity());
                    prop_assert_eq!(offer(&queue, &config, &notice, now), u64::from(is_new));
                    if is_new {
                        shares += route::shares(&config.routes, &notice, now).len() as u64;
                    }
                }
                Step::Attempt { channel, folds, end } => {
                    let channel = channels[channel];
                    if let Next::Send(taken) = queue.take(channel, manner(channel, folds), now).unwrap() {
                        prop_assert!(!taken.message.notices.is_empty());
                        let given = match end {
                            0 => Given::Again { due: now.plus_micros(90_000_000), error: "busy".into() },
                            1 => Given::Up { error: "no".into() },
                            _ => Given::Sent,
                        };
                        if given == Given::Sent {
                            sent += taken.message.notices.len() as u64;
                            for notice in &taken.message.notices {
                                let is_first = delivered.insert((channel, notice.identity()));
                                prop_assert!(is_first, "{} was told twice of {:?}", channel, notice);
                            }
                        }
                        queue.finish(taken.id, &given, 5, now).unwrap();
                    }
                }
                Step::Restart => {
                    for channel in channels {
                        let taken = queue.take(channel, manner(channel, true), now).unwrap();
                        let first = matches!(taken, Next::Send(_));
                        // Taken again by the next process, the same message.
                        queue = Queue::open(&path).unwrap();
                        if let (true, Next::Send(before)) = (first, taken) {
                            let Next::Send(after) = queue.take(channel, manner(channel, false), now).unwrap() else {
                                panic!("it is gone")
                            };
                            prop_assert_eq!(before.message, after.message);
                        }
                    }
                }
                Step::Wait { minutes } => now = now.plus_micros(minutes * 60_000_000),
                Step::Letter { retried } => {
                    if let Some(letter) = queue.letters(1).unwrap().first() {
                        if retried { queue.retry(letter.id, now).unwrap() } else { queue.discard(letter.id, now).unwrap() }
                    }
                }
                Step::Orphan => {
                    queue.orphan(&["chat", "log"], 5, now).unwrap();
                }
            }
            let accounts = queue.accounts().unwrap();
            for account in &accounts {
                prop_assert!(account.counts.is_whole(), "{account:?}");
            }
            let total = |of: fn(&Counts) -> u64| accounts.iter().map(|account| of(&account.counts)).sum::<u64>();
            prop_assert_eq!(total(|counts| counts.offered), shares);
            prop_assert_eq!(total(|counts| counts.sent), sent);
        }
        // In the end nothing waits for ever.
        for _ in 0..400 {
            now = now.plus_micros(3_600_000_000);
            for channel in channels {
                while let Next::Send(taken) = queue.take(channel, manner(channel, false), now).unwrap() {
                    queue.finish(taken.id, &Given::Sent, 5, now).unwrap();
                }
            }
            if queue.accounts().unwrap().iter().all(|account| account.counts.queued == 0) {
                return Ok(());
            }
        }
        prop_assert!(false, "something waits for ever: {:?}", queue.accounts().unwrap());
    }
}
