//! Searches against a naive evaluation of every event: what the engine prunes, pushes down and derives again must not
//! change an answer.

use proptest::prelude::*;
use serde_json::json;
use vedette_event::{Event, Value};
use vedette_query::{
    Request,
    syntax::{Binary, Bound, Pattern, Piece, Search, Test, parse},
};

use crate::fixture::{START, World, run};

const USERS: [&str; 6] = ["root", "Alice", "alice", "bob", "svc_backup", "ÄRGER"];
const ADDRESSES: [&str; 6] = ["10.0.0.1", "10.0.0.12", "10.1.2.3", "192.0.2.7", "2001:db8::7", "-"];
const PATHS: [&str; 5] = ["/etc/shadow", "C:\\Windows\\cmd.exe", "/var/log/auth.log", "a b c", "x\"y"];

/// A pool of events that share words, so that searches hit some of them.
fn event() -> impl Strategy<Value = Vec<u8>> {
    let user = prop::option::of(prop::sample::select(USERS.to_vec()));
    let address = prop::option::of(prop::sample::select(ADDRESSES.to_vec()));
    let path = prop::option::of(prop::sample::select(PATHS.to_vec()));
    (
        user,
        address,
        path,
        prop::option::of(0..5000i64),
        0..1000i64,
        prop::collection::vec(prop::sample::select(vec!["web", "db", "Web"]), 0..3),
    )
        .prop_map(|(user, address, path, port, at, kinds)| {
            let mut line = json!({"@timestamp": START + at * 1_000_000});
            let object = line.as_object_mut().unwrap();
            for (name, value) in
                [("user.name", user), ("source.ip", address), ("file.path", path), ("custom.path", path)]
            {
                if let Some(value) = value {
                    object.insert(name.to_owned(), value.into());
                }
            }
            if let Some(port) = port {
                object.insert("source.port".to_owned(), port.into());
                object.insert("custom.port".to_owned(), port.into());
            }
            if !kinds.is_empty() {
                object.insert("event.category".to_owned(), kinds.clone().into());
                object.insert("custom.kinds".to_owned(), kinds.into());
            }
            line.to_string().into_bytes()
        })
}

fn atom() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "root",
        "alice",
        "ALICE",
        "al*",
        "*ice",
        "*lic*",
        "b?b",
        "svc_backup",
        "svc",
        "backup",
        "ärger",
        "ä*",
        "10.0.0.1",
        "10.0.0.*",
        "10.*",
        "192.0.2.7",
        "/etc/shadow",
        "/etc/*",
        "etc",
        "shadow",
        "*.exe",
        "C:\\Windows\\cmd.exe",
        "\"a b\"",
        "\"a b c\"",
        "web",
        "w*b",
        "nothing",
        "custom",
        "2001:db8::7",
        "auth.log",
        "\"x\\\"y\"",
        "log*",
        "*og",
        "1",
        "12",
        "4*",
    ]);
    let field = prop::sample::select(vec![
        "user.name",
        "source.ip",
        "file.path",
        "custom.path",
        "event.category",
        "custom.kinds",
        "custom.port",
        "event.original",
    ]);
    let number = 0..5000i64;
    prop_oneof![
        4 => value.clone().prop_map(str::to_owned),
        6 => (field.clone(), value).prop_map(|(field, value)| format!("{field}:{value}")),
        1 => field.prop_map(|field| format!("{field}:*")),
        1 => prop::sample::select(vec!["source.ip:10.0.0.0/8", "source.ip:10.0.0.0/30", "source.ip:2001:db8::/32", "source.ip:0.0.0.0/0"]).prop_map(str::to_owned),
        1 => (prop::sample::select(vec!["source.port", "custom.port"]), prop::sample::select(vec![">", ">=", "<", "<="]), number.clone())
            .prop_map(|(field, operator, number)| format!("{field}{operator}{number}")),
        1 => (prop::sample::select(vec!["source.port", "custom.port"]), number.clone(), number)
            .prop_map(|(field, low, high)| format!("{field}:[{low} TO {high}}}")),
    ]
}

fn search() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not {a}")),
        ]
    })
}

// The naive evaluation: characters, no index, no columns.

fn lower(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Matches pieces against all of `text`.
fn whole(pieces: &[Piece], text: &[char], any_crosses_space: bool) -> bool {
    match pieces.split_first() {
        None => text.is_empty(),
        Some((Piece::Text(piece), rest)) => {
            let piece = lower(piece);
            text.starts_with(&piece) && whole(rest, &text[piece.len()..], any_crosses_space)
        }
        Some((Piece::One, rest)) => !text.is_empty() && whole(rest, &text[1..], any_crosses_space),
        Some((Piece::Any, rest)) => (0..=text.len())
            .take_while(|at| any_crosses_space || text[..*at].iter().all(|c| !c.is_whitespace()))
            .any(|at| whole(rest, &text[at..], any_crosses_space)),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Finds pieces as a word or phrase within `text`.
fn free(pattern: &Pattern, text: &str) -> bool {
    let escaped = Pattern {
        pieces: pattern
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Piece::Text(text.replace('\\', "\\\\").replace('"', "\\\"")),
                other => other.clone(),
            })
            .collect(),
        ..Default::default()
    };
    let text = lower(text);
    [pattern, &escaped].into_iter().any(|pattern| {
        let closed_left = !matches!(pattern.pieces.first(), Some(Piece::Any));
        let closed_right = !matches!(pattern.pieces.last(), Some(Piece::Any));
        let edge = |piece: Option<&Piece>, last: bool| match piece {
            Some(Piece::Text(text)) => {
                let chars = lower(text);
                is_word(if last { *chars.last().unwrap() } else { chars[0] })
            }
            _ => false,
        };
        let pieces: Vec<Piece> = pattern.pieces.clone();
        let inner = match (closed_left, closed_right) {
            (true, true) => &pieces[..],
            (false, true) => &pieces[1..],
            (true, false) => &pieces[..pieces.len() - 1],
            (false, false) => &pieces[1..pieces.len() - 1],
        };
        (0..=text.len()).any(|start| {
            (start..=text.len()).any(|end| {
                whole(inner, &text[start..end], false)
                    && !(closed_left && edge(inner.first(), false) && start > 0 && is_word(text[start - 1]))
                    && !(closed_right && edge(inner.last(), true) && end < text.len() && is_word(text[end]))
            })
        })
    })
}

fn in_network(address: &str, network: &str) -> bool {
    let (network, prefix) = network.split_once('/').unwrap();
    let bits = |text: &str| -> Option<(Vec<u8>, bool)> {
        let address: std::net::IpAddr = text.parse().ok()?;
        Some(match address {
            std::net::IpAddr::V4(address) => (address.octets().to_vec(), true),
            std::net::IpAddr::V6(address) => (address.octets().to_vec(), false),
        })
    };
    let (Some((a, a4)), Some((b, b4))) = (bits(address), bits(network)) else { return false };
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    a4 == b4 && (0..prefix.parse::<usize>().unwrap()).all(|at| bit(&a, at) == bit(&b, at))
}

fn passes(search: &Search, event: Event<'_>) -> bool {
    let original = String::from_utf8_lossy(event.raw()).into_owned();
    match search {
        Search::All => true,
        Search::Text(pattern) => free(pattern, &original),
        Search::Not(inner) => !passes(inner, event),
        Search::And(terms) => terms.iter().all(|term| passes(term, event)),
        Search::Or(terms) => terms.iter().any(|term| passes(term, event)),
        Search::Field(name, test) => {
            let name = name.text.as_str();
            if name == "event.original" {
                return match test {
                    Test::Exists => true,
                    Test::Is(pattern) => free(pattern, &original),
                    _ => unreachable!(),
                };
            }
            let mut values: Vec<String> = event
                .all(name)
                .filter(|value| *value != Value::Null)
                .map(|value| value.to_text().into_owned())
                .collect();
            if name == "source.ip" {
                values.retain(|value| value.parse::<std::net::IpAddr>().is_ok());
            }
            values.iter().any(|value| holds(name, test, value))
        }
    }
}

fn holds(name: &str, test: &Test, value: &str) -> bool {
    let number = |pattern: &Pattern| pattern.literal().unwrap().parse::<f64>().unwrap();
    match test {
        Test::Exists => true,
        Test::Is(pattern) => {
            let is_network = pattern.literal().is_some_and(|text| {
                name == "source.ip" && text.contains('/') && !text.starts_with('/') && !text.starts_with('C')
            });
            if is_network {
                return in_network(value, pattern.literal().unwrap());
            }
            whole(&pattern.pieces, &lower(value), true)
        }
        Test::Compare(operator, limit) => {
            let (value, limit) = (value.parse::<f64>().unwrap(), number(limit));
            match operator {
                Binary::Lt => value < limit,
                Binary::Le => value <= limit,
                Binary::Gt => value > limit,
                _ => value >= limit,
            }
        }
        Test::Range(low, high) => {
            let value: f64 = value.parse().unwrap();
            let above = match low {
                Bound::Included(limit) => value >= number(limit),
                Bound::Excluded(limit) => value > number(limit),
                Bound::Open => true,
            };
            let below = match high {
                Bound::Included(limit) => value <= number(limit),
                Bound::Excluded(limit) => value < number(limit),
                Bound::Open => true,
            };
            above && below
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_naive_evaluation(
        parts in prop::collection::vec(prop::collection::vec(event(), 0..12), 1..4),
        searches in prop::collection::vec(search(), 8),
    ) {
        let mut world = World::new();
        let mut batches = Vec::new();
        let last = parts.len() - 1;
        for (index, part) in parts.iter().enumerate() {
            batches.extend(world.add(part));
            if index < last {
                world.seal();
            }
        }
        for text in searches {
            // A slash makes a network of an address field's value.
            prop_assume!(!text.contains("source.ip:/") && !text.contains("source.ip:C"));
            let search = parse(&text).map_err(|errors| TestCaseError::fail(format!("{text}: {errors:?}")))?.search;
            let mut expected: Vec<(i64, u64)> = batches
                .iter()
                .flat_map(|batch| batch.events())
                .filter(|event| passes(&search, *event))
                .map(|event| (event.time().micros(), event.seq()))
                .collect();
            expected.sort();
            expected.reverse();
            let expected: Vec<String> = expected.iter().map(|(_, seq)| format!("1-{seq}")).collect();
            // Twice: the second time with what the first has learnt.
            for _ in 0..2 {
                let rows = run(world.rows(Request::hunt(text.clone())))
                    .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
                let found: Vec<&str> = rows.iter().map(|row| row["event.id"].as_str().unwrap()).collect();
                prop_assert_eq!(&found, &expected, "{}", text);
            }
        }
    }
}
