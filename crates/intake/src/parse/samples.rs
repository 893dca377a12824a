//! The samples inside the parser files, run as their tests.

use vedette_event::{BatchBuilder, Derive, Event, Source, SourceId, Time};

use super::{
    Parsers,
    spec::{Literal, Sample},
};

/// When a sample was received unless it says so.
const RECEIVED: &str = "2026-11-21T04:11:52Z";

/// What became of one sample of a parser file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleResult {
    /// The parser file.
    pub file: String,
    /// Its line, from 1; 0 if it was not found.
    pub line: u32,
    /// The parser whose file it is.
    pub parser: String,
    /// The sample's place in the file, from 1.
    pub number: usize,
    /// Every expectation that was not met; empty if all were.
    pub failures: Vec<String>,
}

impl SampleResult {
    /// True if everything that the sample expects came out.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Parsers {
    /// Runs the samples of all parser files.
    pub fn test(&self) -> Vec<SampleResult> {
        let mut results = Vec::new();
        for parser in &self.parsers {
            for (index, sample) in parser.samples.iter().enumerate() {
                let first: String = sample.raw.lines().next().unwrap_or_default().into();
                let line = parser.text.lines().position(|line| !first.is_empty() && line.contains(&*first));
                results.push(SampleResult {
                    file: parser.file.clone(),
                    line: line.map_or(0, |line| line as u32 + 1),
                    parser: parser.name.to_string(),
                    number: index + 1,
                    failures: self.run(&parser.name, sample),
                });
            }
        }
        results
    }

    fn run(&self, own: &str, sample: &Sample) -> Vec<String> {
        let received = sample.received.as_deref().unwrap_or(RECEIVED);
        let received: Time = match received.parse() {
            Ok(received) => received,
            Err(error) => return vec![format!("received: {error}")],
        };
        let name = sample.source.as_deref().unwrap_or("test:1");
        let source = Source::new(SourceId(1), name, name.split(':').next().unwrap_or(name));
        let mut batch = BatchBuilder::new(source.clone());
        self.derive(&source, 0, received, sample.raw.as_bytes(), &mut batch);
        let batch = batch.finish();
        compare(own, sample, batch.event(0))
    }
}

fn compare(own: &str, sample: &Sample, event: Event<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    let claimed = event.parser().map_or("none", |id| id.rsplit_once('@').map_or(&**id, |(name, _)| name));
    let wanted = sample.parser.as_deref().unwrap_or(own);
    if claimed != wanted {
        failures.push(format!("parser: expected {wanted}, got {claimed}"));
    }
    if let Some(time) = &sample.time {
        let got = event.time().to_string();
        let same = time.parse::<Time>().is_ok_and(|time| time == event.time());
        if !same {
            failures.push(format!("@timestamp: expected {time}, got {got}"));
        }
    }
    for (name, expected) in &sample.fields.0 {
        let got: Vec<vedette_event::Value<'_>> = event.all(name).collect();
        let expected = expected.clone().map(super::spec::OneOrMany::into_vec).unwrap_or_default();
        let same =
            got.len() == expected.len() && got.iter().zip(&expected).all(|(got, expected)| equal(*got, expected));
        if !same {
            failures.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    failures
}

fn equal(got: vedette_event::Value<'_>, expected: &Literal) -> bool {
    use vedette_event::Value;
    match (got, expected) {
        (Value::Bool(got), Literal::Bool(expected)) => got == *expected,
        (Value::Int(got), Literal::Int(expected)) => got == *expected,
        (Value::Float(got), Literal::Float(expected)) => got == *expected,
        (Value::Str(got), Literal::Text(expected)) => got == expected,
        _ => false,
    }
}
