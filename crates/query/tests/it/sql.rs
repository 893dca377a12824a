//! SQL, and what it may not do.

use expect_test::expect;

use crate::fixture::office;

#[test]
fn dotted_names_are_fields() {
    let world = office();
    let answers: String = [
        "SELECT source.ip, count(*) AS n FROM events WHERE event.dataset = 'linux.sshd' GROUP BY source.ip ORDER BY n DESC, 1",
        "SELECT e.user.name AS u, e.ssh.key.bits FROM events AS e WHERE e.ssh.key.bits > '0'",
        "FROM events |> WHERE event.outcome = 'failure' |> AGGREGATE count(*) AS n GROUP BY user.name |> ORDER BY n DESC, user.name |> LIMIT 5",
        "WITH bad AS (SELECT source.ip AS ip FROM events WHERE event.outcome = 'failure') SELECT count(*) AS n FROM bad JOIN events ON bad.ip = events.source.ip",
        "SELECT winlog.event_data.IntegrityLevel, message FROM events WHERE process.pid >= 100 ORDER BY process.pid",
        "SELECT event.id, \"tags[]\" FROM events WHERE event.original LIKE '%powershell -enc%'",
        "SELECT user.name FROM events WHERE array_has(event.category, 'session')",
        "SELECT max(@timestamp) AS last FROM events",
    ]
    .iter()
    .map(|text| format!("-- {text}\n{}", world.sql(text)))
    .collect();
    expect![[r#"
        -- SELECT source.ip, count(*) AS n FROM events WHERE event.dataset = 'linux.sshd' GROUP BY source.ip ORDER BY n DESC, 1
        {"source.ip":"192.0.2.7","n":2}
        {"source.ip":"10.1.2.3","n":1}
        -- SELECT e.user.name AS u, e.ssh.key.bits FROM events AS e WHERE e.ssh.key.bits > '0'
        {"u":"alice","ssh.key.bits":"4096"}
        -- FROM events |> WHERE event.outcome = 'failure' |> AGGREGATE count(*) AS n GROUP BY user.name |> ORDER BY n DESC, user.name |> LIMIT 5
        {"user.name":"Alice","n":1}
        {"user.name":"root","n":1}
        -- WITH bad AS (SELECT source.ip AS ip FROM events WHERE event.outcome = 'failure') SELECT count(*) AS n FROM bad JOIN events ON bad.ip = events.source.ip
        {"n":4}
        -- SELECT winlog.event_data.IntegrityLevel, message FROM events WHERE process.pid >= 100 ORDER BY process.pid
        {"winlog.event_data.IntegrityLevel":"High","message":null}
        {"winlog.event_data.IntegrityLevel":"Medium","message":null}
        -- SELECT event.id, "tags[]" FROM events WHERE event.original LIKE '%powershell -enc%'
        {"event.id":"1-4","tags[]":["one","two"]}
        -- SELECT user.name FROM events WHERE array_has(event.category, 'session')
        {"user.name":"root"}
        -- SELECT max(@timestamp) AS last FROM events
        {"last":"2026-11-21T00:13:00.000000Z"}
    "#]].assert_eq(&answers);
}

#[test]
fn only_queries_over_known_tables_are_allowed() {
    let world = office();
    let answers: String = [
        "DROP TABLE events",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY events TO '/tmp/x.parquet'",
        "INSERT INTO events VALUES (1)",
        "DELETE FROM events",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT * INTO x FROM events",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        "SELECT * FROM evnts",
        "SELECT FROM WHERE",
        "SELECT count(* FROM events",
        "",
    ]
    .iter()
    .map(|text| format!("-- {text}\n{}", world.sql(text)))
    .collect();
    expect![[r#"
        -- DROP TABLE events
        error: `DROP` is not allowed
          | 1:1
          | DROP TABLE events
          | ^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- CREATE TABLE x AS SELECT 1
        error: `CREATE` is not allowed
          | 1:1
          | CREATE TABLE x AS SELECT 1
          | ^^^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'
        error: expected: fileformat, found: CSV
          | 1:35
          | CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'
          |                                   ^^^
        -- COPY events TO '/tmp/x.parquet'
        error: `COPY` is not allowed
          | 1:1
          | COPY events TO '/tmp/x.parquet'
          | ^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- INSERT INTO events VALUES (1)
        error: `INSERT` is not allowed
          | 1:1
          | INSERT INTO events VALUES (1)
          | ^^^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- DELETE FROM events
        error: `DELETE` is not allowed
          | 1:1
          | DELETE FROM events
          | ^^^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- SET datafusion.execution.batch_size = 1
        error: `SET` is not allowed
          | 1:1
          | SET datafusion.execution.batch_size = 1
          | ^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- SHOW TABLES
        error: `SHOW` is not allowed
          | 1:1
          | SHOW TABLES
          | ^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- EXPLAIN SELECT 1
        error: `EXPLAIN` is not allowed
          | 1:1
          | EXPLAIN SELECT 1
          | ^^^^^^^
          = hint: only SELECT (or FROM … |> …) over `events` is; data cannot be changed from here
        -- SELECT 1; SELECT 2
        error: one query at a time
          | 1:1
          | SELECT 1; SELECT 2
          | ^^^^^^^^^^^^^^^^^^
        -- SELECT * FROM '/etc/passwd'
        error: there is no table `/etc/passwd`
          | 1:16
          | SELECT * FROM '/etc/passwd'
          |                ^^^^^^^^^^^
          = hint: the table of events is `events`
        -- SELECT * FROM information_schema.tables
        error: `information_schema."tables"` is not allowed here
          | 1:1
          | SELECT * FROM information_schema.tables
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = hint: queries read `events` and the tables of the request, with SELECT alone
        -- SELECT * FROM generate_series(1, 10)
        error: `generate_series` is not allowed here
          | 1:15
          | SELECT * FROM generate_series(1, 10)
          |               ^^^^^^^^^^^^^^^
          = hint: queries read `events` and the tables of the request, with SELECT alone
        -- SELECT * INTO x FROM events
        error: `INTO` is not allowed here
          | 1:10
          | SELECT * INTO x FROM events
          |          ^^^^
          = hint: queries read `events` and the tables of the request, with SELECT alone
        -- WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t
        error: `RECURSIVE` is not allowed here
          | 1:6
          | WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t
          |      ^^^^^^^^^
          = hint: queries read `events` and the tables of the request, with SELECT alone
        -- SELECT * FROM evnts
        error: there is no table `evnts`
          | 1:15
          | SELECT * FROM evnts
          |               ^^^^^
          = hint: did you mean `events`?
        -- SELECT FROM WHERE
        error: there is no table `where`
          | 1:13
          | SELECT FROM WHERE
          |             ^^^^^
          = hint: the table of events is `events`
        -- SELECT count(* FROM events
        error: expected: ), found: FROM
          | 1:16
          | SELECT count(* FROM events
          |                ^^^^
        -- 
        error: there is no query
          | 1:1
          | 
          | ^
          = hint: SELECT count(*) FROM events
    "#]]
    .assert_eq(&answers);
    let deep = format!("SELECT {}1", "1+".repeat(20_000));
    assert!(world.sql(&deep).contains("more than"));
    let deep = format!("SELECT {}1", "not ".repeat(10_000));
    assert!(world.sql(&deep).contains("more than"));
}
