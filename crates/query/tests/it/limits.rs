//! Budgets, cancelling, progress, and early stops.

use serde_json::json;
use vedette_event::Time;
use vedette_query::{Cancel, Done, Options, Progress, QueryError, Request};

use crate::fixture::{START, World, office, run};

fn many(rows: i64) -> Vec<Vec<u8>> {
    let line = |n: i64| {
        let line = json!({"@timestamp": START + n * 1_000_000, "user.name": format!("user{}", n % 7), "n": n, "process.command_line": "x".repeat(100)});
        line.to_string().into_bytes()
    };
    (0..rows).map(line).collect()
}

#[test]
fn rows_and_bytes_are_bounded() {
    let world = office();
    run(async {
        let mut answer = world
            .engine
            .run(Request { limit: 3, ..Request::hunt("*") }, &Progress::default(), &Cancel::default())
            .await
            .unwrap();
        assert_eq!(answer.collect().await.unwrap().len(), 3);
        assert!(answer.truncated());
        let mut answer = world
            .engine
            .run(Request { limit: 8, ..Request::hunt("*") }, &Progress::default(), &Cancel::default())
            .await
            .unwrap();
        assert_eq!(answer.collect().await.unwrap().len(), 8);
        assert!(!answer.truncated());
        let error = world.rows(Request { max_bytes: 100, ..Request::hunt("*") }).await.unwrap_err();
        assert!(matches!(error, QueryError::Bytes(100)), "{error}");
    });
}

#[test]
fn memory_is_bounded() {
    let mut world = World::with(Options { memory_bytes: 64 << 10, ..Options::default() });
    world.add(&many(20_000));
    let error = run(world.rows(Request::hunt("* | summarize hits = count() by n, process.command_line"))).unwrap_err();
    assert!(matches!(error, QueryError::Memory(_)), "{error}");
}

#[test]
fn a_query_can_be_cancelled() {
    let mut world = World::new();
    world.add(&many(5_000));
    let cancel = Cancel::default();
    cancel.cancel();
    run(async {
        let result = world.engine.run(Request::hunt("*"), &Progress::default(), &cancel).await;
        assert!(matches!(result, Err(QueryError::Cancelled)));
        let cancel = Cancel::default();
        let mut answer =
            world.engine.run(Request::hunt("x | summarize count() by n"), &Progress::default(), &cancel).await.unwrap();
        cancel.cancel();
        assert!(matches!(answer.next().await, Err(QueryError::Cancelled)));
    });
}

/// Twenty granules in one segment, one after the other in time.
fn long() -> World {
    let mut world = World::with(Options { threads: 1, ..Options::default() });
    world.add(&many(20 * 4096));
    world.seal();
    world
}

#[test]
fn work_is_saved_and_reported() {
    let world = long();
    let done = |text: &str, from: Option<i64>, to: Option<i64>| -> (Done, usize) {
        run(async {
            let progress = Progress::default();
            let time = |secs: i64| Time::from_micros(START + secs * 1_000_000);
            let request = Request { from: from.map(time), to: to.map(time), limit: 100_000, ..Request::hunt(text) };
            let mut answer = world.engine.run(request, &progress, &Cancel::default()).await.unwrap();
            let rows = answer.collect().await.unwrap().len();
            (progress.read(), rows)
        })
    };
    // The index names the granule of a word.
    let (needle, rows) = done("n:4242", None, None);
    assert_eq!((needle.granules, needle.scanned, rows), (20, 1, 1));
    // Granules outside of the time range are not read.
    let (narrow, rows) = done("*", Some(5000), Some(5010));
    assert_eq!((narrow.wanted, narrow.scanned, rows), (1, 1, 10));
    // `take` reads the newest granules and stops.
    let (newest, rows) = done("* | take 10", None, None);
    assert_eq!((newest.wanted, rows), (20, 10));
    assert!(newest.scanned <= 16 && newest.skipped >= 4, "{newest:?}");
    let (newest, _) = done("* | take 10 | project n", None, None);
    assert!(newest.scanned <= 16, "{newest:?}");
    // What was read without a match is not read again.
    let (first, rows) = done("user.name:>zzz", None, None);
    assert_eq!((first.scanned, rows), (20, 0));
    let (second, rows) = done("user.name:>zzz", Some(0), None);
    assert_eq!((second.wanted, second.scanned, rows), (0, 0, 0));
    // An event is found by its id without reading the rest.
    let (one, rows) = done("event.id:1-70000", None, None);
    assert_eq!((one.scanned, rows), (1, 1));
}

/// As deep as the language allows, on a thread with the usual stack.
#[test]
fn deep_queries_fit_the_stack() {
    let world = office();
    let nest = |open: &str, inner: &str, close: &str, depth: usize| open.repeat(depth) + inner + &close.repeat(depth);
    for text in [
        nest("(a or (b ", "c", "))", 23),
        nest("not (a or ", "c", ")", 23),
        "* | where ".to_owned() + &nest("(user.name == \"a\" or (host.name == \"b\" and ", "true", "))", 20),
        "* | where source.port > ".to_owned() + &nest("(1 + ", "1", ")", 44),
        "* | extend x = ".to_owned() + &nest("tolower(", "user.name", ")", 44),
        "* | where ".to_owned() + &vec!["user.name == \"a\""; 900].join(" or "),
        "* | extend x = 1".to_owned() + &", x = x + 1".repeat(100),
        "*".to_owned() + &" | where user.name != \"x\"".repeat(100),
        "*".to_owned() + &" | project user.name".repeat(100),
        nest("* | join (", "*", ") on user.name", 6),
    ] {
        let answer = world.hunt(&text);
        assert!(!answer.contains("Join Error"), "{}: {answer}", &text[..40]);
    }
    for text in [
        format!("SELECT 1{} AS n", "+1".repeat(200)),
        format!("SELECT count(*) FROM events WHERE {}", vec!["user.name = 'a'"; 200].join(" OR ")),
        format!("SELECT count(*) FROM events WHERE {} user.name = 'a'", "NOT ".repeat(40)),
        format!("SELECT {}", nest("(", "1", ")", 40)),
        nest("SELECT * FROM (", "SELECT 1 AS a", ") AS t", 30),
        vec!["SELECT 1 AS a"; 100].join(" UNION ALL "),
    ] {
        let answer = world.sql(&text);
        assert!(!answer.contains("Join Error"), "{}: {answer}", &text[..40]);
    }
}
