//! Reading and writing the language.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use vedette_query::parse;

/// The canonical text, or the diagnostics.
fn check(text: &str, expected: Expect) {
    let shown = match parse(text) {
        Ok(ast) => {
            let canonical = ast.to_string();
            assert_eq!(parse(&canonical).as_ref(), Ok(&ast), "{canonical}");
            canonical + "\n"
        }
        Err(errors) => errors.iter().map(|error| error.render(text)).collect(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn the_search_box_is_read() {
    for (text, canonical) in [
        ("", "*"),
        ("*", "*"),
        ("failed password", "failed password"),
        ("\"failed password\"", "\"failed password\""),
        ("a AND b OR NOT c", "(a b) or not c"),
        ("a (b or c) -d", "a (b or c) not d"),
        ("user.name:root", "user.name:root"),
        ("user.name: root", "user.name:root"),
        ("process.executable:\"C:\\Program Files\\\"*", "\"\""),
        ("source.ip:10.0.0.0/8", "source.ip:10.0.0.0/8"),
        ("source.port>=10", "source.port>=10"),
        ("source.port >= 10", "source.port>=10"),
        ("port:>10", "port>10"),
        ("source.port:[1 TO 1024}", "source.port:[1 TO 1024}"),
        ("@timestamp:[2026-01-01 to *]", "@timestamp:[2026-01-01 TO *]"),
        ("user.name:(root or adm* not admin)", "user.name:root or (user.name:adm* not user.name:admin)"),
        ("-user.name:(a b)", "not (user.name:a user.name:b)"),
        ("user.name:*", "user.name:*"),
        ("C:\\Windows\\*.exe", "\"C:\\\\Windows\\\\\"*.exe"),
        ("http://evil.example/x", "\"http://evil.example/x\""),
        ("process.name:(//sh)", "process.name:\"//sh\""),
        ("c:(/x)", "c:\"/x\""),
        ("sekurlsa::logonpasswords", "\"sekurlsa::logonpasswords\""),
        ("12:30:01", "\"12:30:01\""),
        ("uid=0", "\"uid=0\""),
        ("a -- b", "a \"--\" b"),
        ("\"or\"", "\"or\""),
    ] {
        if text.contains("Program Files") {
            // A backslash before the quote escapes it: the error says that the quote is not closed.
            assert!(parse(text).is_err());
            continue;
        }
        let ast = parse(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(ast.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical).as_ref(), Ok(&ast), "{text}");
    }
}

#[test]
fn stages_are_read() {
    check(
        r#"failed | where source.ip in cidr("10.0.0.0/8", "::1/128") and user.name !in~ ("root") or not a.b has "x""#,
        expect![[r#"
            failed | where ((source.ip in cidr("10.0.0.0/8", "::1/128")) and (user.name !in~ ("root"))) or (not (a.b has "x"))
        "#]],
    );
    check(
        "x | STATS n=count(), users=dcount(user.name) by source.ip, bin(@timestamp,5m) | filter n > 10 | sort n desc | limit 20",
        expect![[r#"
            x | summarize n = count(), users = dcount(user.name) by source.ip, bin(@timestamp, 5m) | where n > 10 | sort by n desc | take 20
        "#]],
    );
    check(
        r#"events | extend a = iff(x == 1, "one", strcat(y, 'z')), b = -c.d * (2 + 3) | keep a, b | top 3 by a asc"#,
        expect![[r#"
            * | extend a = iff(x == 1, "one", strcat(y, "z")), b = (-c.d) * (2 + 3) | project a, b | top 3 by a asc
        "#]],
    );
    check(
        "a | join kind=leftouter (b | count) on user.name, $left.x == $right.y | lookup t on host.name",
        expect![[r#"
            a | join kind=leftouter (b | count) on user.name, ['$left.x'] == ['$right.y'] | join kind=leftouter t on host.name
        "#]],
    );
    check(
        r#"a | where @timestamp between (ago(1h) .. datetime(2026-11-21T00:00:00Z)) | where p matches regex @"^\d+$" | where ['odd name']["#,
        expect![[r#"
            error: an index is a whole number from 0
              | 1:128
              | 00Z)) | where p matches regex @"^\d+$" | where ['odd name'][
              |                                                             ^
        "#]],
    );
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let cases = [
        "user.name:",
        "(failed password",
        "\"not closed",
        "a == b",
        "source.port:[1 2]",
        "x | wehre a == 1",
        "x | where a = 1 | take many | bogus",
        "x | where a contain \"b\"",
        "x | where \"C:\\Windows\" == a",
        "x | summarize user.name",
        "x | where a in ()",
        "x |",
        "x | take 5 5",
        "x | extend 5q = 1",
        "ünïcode | where ä ==",
        "x\n  | where\n  | count)",
    ];
    let shown: String = cases
        .iter()
        .map(|text| match parse(text) {
            Ok(ast) => format!("OK {ast}\n"),
            Err(errors) => errors.iter().map(|error| error.render(text)).collect::<String>(),
        })
        .collect();
    expect![[r#"
        error: `user.name` needs a value
          | 1:1
          | user.name:
          | ^^^^^^^^^
          = hint: `user.name:*` finds the events that have the field
        error: the parenthesis is not closed
          | 1:1
          | (failed password
          | ^
          = hint: add `)`
        error: the quote is not closed
          | 1:1
          | "not closed
          | ^
          = hint: add a closing "
        error: `==` is no operator of the search box
          | 1:3
          | a == b
          |   ^^
          = hint: write `field:value`, or `| where field == "value"`
        error: not a range
          | 1:13
          | source.port:[1 2]
          |             ^^
          = hint: ranges are written `[a TO b]`, `{a TO b}`, `[a TO *]`; quote text that begins with a bracket
        error: unknown stage `wehre`
          | 1:5
          | x | wehre a == 1
          |     ^^^^^
          = hint: did you mean `where`?
        error: `=` gives a name; it does not compare
          | 1:13
          | x | where a = 1 | take many | bogus
          |             ^
          = hint: compare with `==`, or `=~` without regard to case
        error: expected a number of rows
          | 1:24
          | x | where a = 1 | take many | bogus
          |                        ^^^^
        error: unknown stage `bogus`
          | 1:31
          | x | where a = 1 | take many | bogus
          |                               ^^^^^
          = hint: stages: where filter search extend eval project keep project-away drop project-rename rename summarize stats sort order take limit head top distinct count join lookup
        error: unknown operator `contain`
          | 1:13
          | x | where a contain "b"
          |             ^^^^^^^
          = hint: did you mean `contains`?
        error: `\W` is not an escape
          | 1:14
          | x | where "C:\Windows" == a
          |              ^^
          = hint: write `\\` for a backslash, or @"…" for text without escapes
        error: `user.name` is not an aggregate
          | 1:15
          | x | summarize user.name
          |               ^^^^^^^^^
          = hint: aggregates are written `count()`, `dcount(user.name)`, `n = countif(x > 1)`; groups come after `by`
        error: expected a value, found `)`
          | 1:17
          | x | where a in ()
          |                 ^
        error: expected a stage after `|`, found the end of the query
          | 1:4
          | x |
          |    ^
          = hint: stages: where filter search extend eval project keep project-away drop project-rename rename summarize stats sort order take limit head top distinct count join lookup
        error: expected `|` or the end of the query, found `5`
          | 1:12
          | x | take 5 5
          |            ^
        error: `5q` is not a number or timespan
          | 1:12
          | x | extend 5q = 1
          |            ^^
          = hint: timespans are written 10us, 500ms, 30s, 5m, 1h, 7d; quote other text
        error: expected a value, found the end of the query
          | 1:21
          | ünïcode | where ä ==
          |                     ^
        error: expected a value, found `|`
          | 3:3
          |   | count)
          |   ^
    "#]].assert_eq(&shown);
}

#[test]
fn depth_and_size_are_bounded() {
    for text in [
        "(".repeat(60_000),
        "not ".repeat(15_000) + "a",
        "-".repeat(60_000),
        "a | where ".to_owned() + &"(".repeat(60_000),
        "a | where ".to_owned() + &"not ".repeat(15_000) + "b",
        "a | where ".to_owned() + &"-".repeat(60_000) + "1",
        "a | where x == ".to_owned() + &"1+".repeat(30_000) + "1",
        "a | extend x = ".to_owned() + &"f(".repeat(30_000),
        "a | join (".repeat(6_000),
        "a ".repeat(30_000),
        "x".repeat(70_000),
        "f:(".repeat(20_000),
    ] {
        assert!(parse(&text).is_err() || text.starts_with("--"), "{}", &text[..20]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        if let Err(errors) = parse(&text) {
            errors.iter().for_each(|error| drop(error.render(&text)));
        }
    }

    #[test]
    fn near_queries_never_panic_and_round_trip(words in prop::collection::vec(prop::sample::select(vec![
        "a", "user.name", ":", "(", ")", "[", "]", "{", "TO", "*", "?", "\"", "'", "\\", "|", "where", "extend", "summarize", "by", "count()",
        "==", "=", "<", ">=", "-", "not", "and", "or", "in", "cidr", "10.0.0.0/8", ",", "1", "5m", "..", "between", "join", "on", "has", "@\"", "é", "//", "\n", "0x", "1.5", "$left.a",
    ]), 0..24), spaced in any::<bool>()) {
        let text = words.join(if spaced { " " } else { "" });
        match parse(&text) {
            Ok(ast) => prop_assert_eq!(parse(&ast.to_string()), Ok(ast)),
            Err(errors) => errors.iter().for_each(|error| drop(error.render(&text))),
        }
    }
}
