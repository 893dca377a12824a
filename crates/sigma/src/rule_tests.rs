//! A rule's own tests: `X.test.yml` beside `X.yml`.
//!
//! ```yaml
//! tests:
//!   - name: what it shows
//!     expect: match                  # or none
//!     source: file:/var/log/auth.log # optional; test:1 if not given
//!     raw: |-                        # a record; a map is a JSON record; a list is several records
//!       Nov 21 04:11:52 host sshd[811]: Failed password for root from 192.0.2.7 port 4711 ssh2
//! ```
//!
//! Running them needs parsers, so that whoever has those runs them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use vedette_event::Diagnostic;

use crate::yaml::{self, Data, Node, Problem, Scalar};

/// Largest test file.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Whether the rule must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// At least one of the records' events.
    Match,
    /// None of them.
    None,
}

/// One test of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// Where it stands in the file, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Whether the rule must match.
    pub expect: Expect,
    /// The source that the records come from; `test:1` if the file names none.
    pub source: String,
    /// The original records.
    pub records: Vec<Vec<u8>>,
}

/// The test file of a rule file: `X.test.yml` beside `X.yml`.
pub fn test_file(rule: &Path) -> PathBuf {
    rule.with_extension("test.yml")
}

/// Reads a test file.
pub fn tests(path: &Path) -> Result<Vec<RuleTest>, Diagnostic> {
    let file = path.to_string_lossy();
    let wrong = |reason: String| Diagnostic::new(file.clone(), 0, 0, reason);
    let size = fs::metadata(path).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
    if size > MAX_FILE_BYTES {
        return Err(wrong(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    tests_str(&file, &text)
}

/// Reads the tests of one text, as if it were the file `file`.
pub fn tests_str(file: &str, text: &str) -> Result<Vec<RuleTest>, Diagnostic> {
    read(text).map_err(|problem| Diagnostic::new(file, problem.place.line, problem.place.column, problem.reason))
}

fn read(text: &str) -> Result<Vec<RuleTest>, Problem> {
    let mut tests = Vec::new();
    for document in yaml::documents(text) {
        let document = document?;
        only_keys(&document, &["tests"])?;
        let Some(list) = document.get("tests") else {
            return Err(Problem::new(document.place, "`tests` is missing"));
        };
        for node in list.one_or_many() {
            tests.push(test(node)?);
        }
    }
    Ok(tests)
}

fn test(node: &Node) -> Result<RuleTest, Problem> {
    only_keys(node, &["name", "expect", "source", "raw"])?;
    let missing = |key: &str| Problem::new(node.place, format!("`{key}` is missing"));
    let text = |key: &str| {
        node.get(key).map(|value| {
            value.text().ok_or_else(|| {
                Problem::new(value.place, format!("`{key}` has {} where text is expected", value.kind()))
            })
        })
    };
    let expect = match text("expect").ok_or_else(|| missing("expect"))??.as_str() {
        "match" => Expect::Match,
        "none" => Expect::None,
        other => {
            let place = node.get("expect").map_or(node.place, |value| value.place);
            return Err(Problem::new(place, format!("`expect` is `match` or `none`, not `{other}`")));
        }
    };
    let raw = node.get("raw").ok_or_else(|| missing("raw"))?;
    let records: Vec<Vec<u8>> = raw.one_or_many().iter().map(record).collect::<Result<_, _>>()?;
    if records.is_empty() {
        return Err(Problem::new(raw.place, "`raw` holds no record"));
    }
    Ok(RuleTest {
        name: text("name").ok_or_else(|| missing("name"))??,
        line: node.place.line,
        column: node.place.column,
        expect,
        source: text("source").transpose()?.unwrap_or_else(|| "test:1".to_owned()),
        records,
    })
}

fn only_keys(node: &Node, known: &[&str]) -> Result<(), Problem> {
    let Some(entries) = node.map() else {
        return Err(Problem::new(node.place, format!("{} where a map is expected", node.kind())));
    };
    match entries.iter().find(|(key, _)| !known.contains(&key.text.as_str())) {
        Some((key, _)) => {
            let reason = format!("unknown key `{}`; there are: {}", key.text, known.join(", "));
            Err(Problem::new(key.place, reason))
        }
        None => Ok(()),
    }
}

fn record(node: &Node) -> Result<Vec<u8>, Problem> {
    match &node.data {
        Data::Scalar(Scalar::Null) | Data::List(_) => {
            Err(Problem::new(node.place, format!("{} where a record is expected", node.kind())))
        }
        Data::Scalar(scalar) => Ok(scalar.to_text().into_bytes()),
        Data::Map(_) => Ok(json(node).to_string().into_bytes()),
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.data {
        Data::Scalar(Scalar::Null) => serde_json::Value::Null,
        Data::Scalar(Scalar::Bool(bool)) => (*bool).into(),
        Data::Scalar(Scalar::Int(int)) => (*int).into(),
        Data::Scalar(Scalar::Float(float)) => (*float).into(),
        Data::Scalar(Scalar::Text(text)) => text.as_str().into(),
        Data::List(nodes) => nodes.iter().map(json).collect(),
        Data::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn records_are_text_json_or_several() {
        let text = "
tests:
  - name: one
    expect: match
    raw: |-
      Nov 21 04:11:52 host sshd[811]: x
  - name: two
    expect: none
    source: file:/a
    raw: {b: 1, a: [x, null, true]}
  - {name: three, expect: none, raw: [first, {k: v}]}
";
        let tests = read(text).unwrap();
        let records: Vec<Vec<String>> = tests
            .iter()
            .map(|test| test.records.iter().map(|record| String::from_utf8(record.clone()).unwrap()).collect())
            .collect();
        assert_eq!(records[0], ["Nov 21 04:11:52 host sshd[811]: x"]);
        assert_eq!(records[1], [r#"{"b":1,"a":["x",null,true]}"#]);
        assert_eq!(records[2], ["first", r#"{"k":"v"}"#]);
        assert_eq!((tests[0].line, tests[0].column, tests[0].expect), (3, 5, Expect::Match));
        assert_eq!((tests[0].source.as_str(), tests[1].source.as_str()), ("test:1", "file:/a"));
        assert_eq!(test_file(Path::new("a/b.yml")), Path::new("a/b.test.yml"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, want) in [
            ("a: 1", "unknown key `a`; there are: tests"),
            ("tests: [{name: x, raw: y}]", "`expect` is missing"),
            ("tests: [{name: x, expect: maybe, raw: y}]", "`expect` is `match` or `none`, not `maybe`"),
            ("tests: [{name: x, expect: none}]", "`raw` is missing"),
            ("tests: [{name: x, expect: none, raw: []}]", "`raw` holds no record"),
            ("tests: [{name: x, expect: none, raw: [[]]}]", "a list where a record is expected"),
        ] {
            assert_eq!(read(text).unwrap_err().reason, want, "{text}");
        }
    }
}
