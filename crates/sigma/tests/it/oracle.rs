//! Generated rules on generated events: the engine finds what brute force finds.

use std::collections::HashSet;

use proptest::prelude::*;
use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};
use vedette_sigma::{Cell, Explainer, Mapping, Program, Wanted, explain, load_str};

use crate::naive::{Condition, Event, Item, Lit, Op, Rule, Selection, Val};

const FIELDS: usize = 4;
const SOURCES: usize = 3;

/// Short texts over few characters, so that rules and events meet.
fn text() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        6 => prop::sample::select(vec!['a', 'b', 'A', 'B']),
        2 => prop::sample::select(vec!['ä', 'Ä', 'Σ', 'ß', '1', '7']),
        2 => prop::sample::select(vec!['-', '/', '–', ' ', '\\', '.', '_']),
    ];
    prop::collection::vec(chars, 0..7).prop_map(String::from_iter)
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => text(),
        1 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        1 => prop::sample::select(vec!["\\*", "\\?", "\\\\", "\\\\*"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

fn address() -> impl Strategy<Value = String> {
    (prop::sample::select(vec![10, 192]), 0..4_u8, 0..4_u8).prop_map(|(a, b, c)| format!("{a}.0.{b}.{c}"))
}

fn base64_of() -> impl Strategy<Value = String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    text().prop_map(|text| STANDARD.encode(text))
}

fn val() -> impl Strategy<Value = Val> {
    prop_oneof![
        8 => text().prop_map(Val::Text),
        1 => address().prop_map(Val::Text),
        1 => base64_of().prop_map(Val::Text),
        1 => prop::sample::select(vec!["*", "?", "a*b", "7"]).prop_map(|text| Val::Text(text.into())),
        1 => Just(Val::Null),
        1 => any::<bool>().prop_map(Val::Bool),
        2 => (-2..18_i64).prop_map(Val::Int),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let values = prop_oneof![3 => prop::collection::vec(val(), 1), 1 => prop::collection::vec(val(), 0..3)];
    (0..SOURCES, prop::collection::vec(values, FIELDS)).prop_map(|(source, fields)| Event { source, fields })
}

fn item() -> impl Strategy<Value = Item> {
    use Op::{
        Base64, Base64Offset, Cidr, Contains, EndsWith, Equals, Exists, FieldRef, FieldRefStartsWith, GreaterOrEqual,
        Less, Regex, StartsWith, Windash,
    };
    let regexes = vec!["^a", "b$", "a.b", "[ab]+", "(?i)ä", "a|7", r"\\"];
    let plain = pattern().prop_map(Lit::Text).boxed();
    let texts = |values: BoxedStrategy<Lit>| prop::collection::vec(values, 1..4).boxed();
    let exact = prop_oneof![
        8 => pattern().prop_map(Lit::Text),
        1 => Just(Lit::Null),
        1 => any::<bool>().prop_map(Lit::Bool),
        1 => (-2..18_i64).prop_map(Lit::Int),
    ];
    let field = || (0..FIELDS).prop_map(Some).boxed();
    let network = (address(), 8..33_u8).prop_map(|(address, length)| Lit::Text(format!("{address}/{length}")));
    let reference = (0..FIELDS).prop_map(|other| Lit::Text(format!("F{other}")));
    let encoded = "[abAB ]{3,6}".prop_map(Lit::Text);
    let changing = prop::sample::select(vec![Contains, StartsWith, EndsWith, Windash])
        .prop_flat_map(move |op| (Just(op), texts(pattern().prop_map(Lit::Text).boxed())));
    let of_a_field = prop_oneof![
        4 => (Just(Equals), texts(exact.boxed())),
        6 => changing,
        1 => (Just(Regex), texts(prop::sample::select(regexes).prop_map(|regex| Lit::Text(regex.into())).boxed())),
        1 => (prop::sample::select(vec![Less, GreaterOrEqual]), texts((-2..18_i64).prop_map(Lit::Int).boxed())),
        1 => (Just(Exists), prop::collection::vec(any::<bool>().prop_map(Lit::Bool), 1).boxed()),
        1 => (Just(Cidr), texts(network.boxed())),
        1 => (prop::sample::select(vec![FieldRef, FieldRefStartsWith]), texts(reference.boxed())),
        1 => (prop::sample::select(vec![Base64, Base64Offset]), texts(encoded.boxed())),
    ];
    let keyword = (prop::sample::select(vec![Equals, Contains, Windash]), texts(plain))
        .prop_filter("an empty keyword is refused", |(_, values)| {
            values.iter().all(|value| !matches!(value, Lit::Text(text) if text.is_empty()))
        });
    let fields = (field(), of_a_field);
    let keywords = (Just(None).boxed(), keyword);
    let both = prop_oneof![6 => fields.boxed(), 1 => keywords.boxed()];
    (both, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        |((field, (op, values)), all, neq, cased)| {
            let takes_case = !matches!(op, Regex | Less | GreaterOrEqual | Exists | Cidr);
            let plain = op == Exists;
            Item { field, op, all: all && !plain, neq: neq && !plain, cased: cased && takes_case, values }
        },
    )
}

/// Items of one map have different keys.
fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(item(), 1..3).prop_map(|mut items| {
        let mut seen = Vec::new();
        items.retain(|item| {
            let key = format!("{:?}{:?}{}{}{}", item.field, item.op, item.all, item.neq, item.cased);
            let new = !seen.contains(&key);
            seen.push(key);
            new
        });
        items
    })
}

fn selection() -> impl Strategy<Value = Selection> {
    prop_oneof![
        3 => items().prop_map(Selection::Map),
        1 => prop::collection::vec(items(), 1..3).prop_map(Selection::List),
    ]
}

fn condition(selections: usize) -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        6 => (0..selections).prop_map(Condition::Selection),
        1 => (1..=selections).prop_map(Condition::AtLeast),
        1 => Just(Condition::AllOfThem),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Or),
            inner.prop_map(|term| Condition::Not(Box::new(term))),
        ]
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    (prop::option::weighted(0.8, 0..SOURCES), prop::collection::vec(selection(), 1..4)).prop_flat_map(
        |(source, selections)| {
            condition(selections.len()).prop_map(move |condition| Rule {
                source,
                selections: selections.clone(),
                condition,
            })
        },
    )
}

fn batch(first: u64, events: &[Event]) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for (seq, event) in (first..).zip(events) {
        batch.begin(seq, Time::from_secs(0), b"{}");
        // The log source's field is one that keywords are not searched in.
        batch.push("event.dataset", Value::Str(&format!("p.c{}", event.source)));
        for (number, values) in event.fields.iter().enumerate() {
            for value in values {
                let value = match value {
                    Val::Null => Value::Null,
                    Val::Int(int) => Value::Int(*int),
                    Val::Bool(bool) => Value::Bool(*bool),
                    Val::Text(text) => Value::Str(text),
                };
                batch.push(&format!("F{number}"), value);
            }
        }
    }
    batch.finish()
}

fn mapping() -> Mapping {
    let sources: String = (0..SOURCES)
        .map(|source| format!("  - {{product: p, category: c{source}, when: {{event.dataset: p.c{source}}}}}\n"))
        .collect();
    Mapping::parse("mapping", &format!("logsources:\n{sources}")).unwrap()
}

fn check(rules: &[Rule], events: &[Event]) -> Result<usize, TestCaseError> {
    let yaml: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.yaml(number)).collect();
    let loaded = load_str("generated", &yaml.join("---\n"));
    prop_assert_eq!(&loaded.refused, &vec![], "{}", yaml.join("---\n"));
    let mapping = mapping();
    let explainers: Vec<Explainer> =
        loaded.rules.iter().map(|rule| Explainer::new(rule, &mapping)).collect::<Result<_, _>>().unwrap();
    let (program, refused) = Program::compile(loaded.rules, &mapping);
    prop_assert_eq!(refused, vec![]);
    let mut findings = Vec::new();
    program.run(&batch(0, events), &mut findings);
    // However a source's events are cut into batches, the findings are the same.
    let mut alone = Vec::new();
    for (seq, event) in (0..).zip(events) {
        program.run(&batch(seq, std::slice::from_ref(event)), &mut alone);
    }
    prop_assert_eq!(&findings, &alone);
    let got: Vec<(u64, String)> =
        findings.iter().map(|finding| (finding.events[0].seq, finding.rule.id.clone())).collect();
    let mut want = Vec::new();
    for (seq, event) in (0..).zip(events) {
        let matching = rules.iter().enumerate().filter(|(_, rule)| rule.matches(event));
        want.extend(matching.map(|(number, _)| (seq, format!("r{number}"))));
    }
    prop_assert_eq!(&got, &want, "{}", yaml.join("---\n"));
    let batch = batch(0, events);
    let matching: HashSet<u64> = got.iter().map(|(seq, _)| *seq).collect();
    sifts_soundly(&program, &batch, &matching)?;
    for event in batch.events() {
        for (number, explainer) in explainers.iter().enumerate() {
            let explanation = explainer.explain(event);
            let matches = want.contains(&(event.seq(), format!("r{number}")));
            prop_assert_eq!(explanation.matched, matches, "{}\n{}", yaml[number], explanation);
            prop_assert!(is_coherent(&explanation), "{}\n{:#?}", yaml[number], explanation);
        }
    }
    Ok(want.len())
}

/// No sieve leaves out an event that matches, whichever fields its table has; nor do the texts that events must have.
fn sifts_soundly(program: &Program, batch: &Batch, matching: &HashSet<u64>) -> Result<(), TestCaseError> {
    for known in 0..1_u32 << FIELDS {
        let is_column = |name: &str| match name.strip_prefix('F').and_then(|number| number.parse::<u32>().ok()) {
            Some(number) => known >> number & 1 == 1,
            None => name == "event.dataset",
        };
        let mut sieve = program.sieve(is_column);
        let columns: Vec<String> = sieve.columns().map(str::to_owned).collect();
        for event in batch.events() {
            let mut classes = Vec::new();
            for (at, name) in columns.iter().enumerate() {
                let values: Vec<String> = event.all(name).map(|value| value.to_text().into_owned()).collect();
                let has_null = event.all(name).any(|value| value == Value::Null);
                let cell = match values.as_slice() {
                    [] => Cell::Missing,
                    [text] if !has_null => Cell::Text(text),
                    _ => Cell::Unknown,
                };
                classes.push(sieve.class(at, cell));
            }
            let possible = sieve.may_match(&classes);
            prop_assert!(possible || !matching.contains(&event.seq()), "{known:b} {columns:?} {classes:?}");
        }
    }
    for event in batch.events().filter(|event| matching.contains(&event.seq())) {
        prop_assert!(has_texts(&program.wanted(), &event), "{:?}", program.wanted());
    }
    Ok(())
}

fn has_texts(wanted: &Wanted, event: &vedette_event::Event<'_>) -> bool {
    match wanted {
        Wanted::Anything => true,
        Wanted::All(all) => all.iter().all(|wanted| has_texts(wanted, event)),
        Wanted::Any(any) => any.iter().any(|wanted| has_texts(wanted, event)),
        Wanted::Text { text, begins, ends } => {
            let mut values = event.fields().map(|field| field.value.to_text().to_lowercase());
            let text = text.to_lowercase();
            values.any(|value| match (begins, ends) {
                (true, true) => value == text,
                (true, false) => value.starts_with(&text),
                (false, true) => value.ends_with(&text),
                (false, false) => value.contains(&text),
            })
        }
    }
}

/// What is told of the parts leads to what is told of the whole.
fn is_coherent(explanation: &explain::Explanation) -> bool {
    use vedette_sigma::explain::{Condition, Detection, Group, Item, Members, Term};
    fn item(item: &Item) -> bool {
        let holds = item.operands.iter().any(|operand| {
            let mut values = operand.values.iter().map(|value| value.passed);
            if item.all { values.all(|passed| passed) } else { values.any(|passed| passed) }
        });
        item.passed == (holds != item.negated)
    }
    fn group(told: &Group) -> bool {
        match &told.members {
            Members::All(items) => told.passed == items.iter().all(|item| item.passed) && items.iter().all(item),
            Members::Any(groups) => told.passed == groups.iter().any(|one| one.passed) && groups.iter().all(group),
        }
    }
    fn condition(told: &Condition, detection: &Detection) -> bool {
        let passed = |children: &[Condition]| children.iter().filter(|child| child.passed).count();
        let (want, children) = match &told.term {
            Term::Selection(at) => (detection.selections[*at].group.passed, &[][..]),
            Term::All(children) => (passed(children) == children.len(), children.as_slice()),
            Term::Any(children) => (passed(children) > 0, children.as_slice()),
            Term::AtLeast(least, children) => (passed(children) >= *least, children.as_slice()),
            Term::Not(child) => (!child.passed, std::slice::from_ref(&**child)),
        };
        told.passed == want && children.iter().all(|child| condition(child, detection))
    }
    explanation.logsource.feeds.iter().all(|feed| feed.when.iter().all(group))
        && explanation.detections.iter().all(|detection| {
            detection.passed == detection.condition.passed
                && condition(&detection.condition, detection)
                && detection.selections.iter().all(|selection| group(&selection.group))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_brute_force_finds(
        rules in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec(event(), 1..12),
    ) {
        check(&rules, &events)?;
    }
}

/// One item a rule, two letters: where wildcards overlap and texts end at each other's edges.
fn plain_rule() -> impl Strategy<Value = Rule> {
    let ops = vec![Op::Equals, Op::Contains, Op::StartsWith, Op::EndsWith];
    (prop::sample::select(ops), "[aab?*]{1,8}", any::<bool>()).prop_map(|(op, pattern, cased)| {
        let item = Item { field: Some(0), op, all: false, neq: false, cased, values: vec![Lit::Text(pattern)] };
        Rule { source: None, selections: vec![Selection::Map(vec![item])], condition: Condition::Selection(0) }
    })
}

fn plain_event() -> impl Strategy<Value = Event> {
    "[aabB]{0,9}".prop_map(|text| {
        let mut fields = vec![vec![Val::Text(text)]];
        fields.resize(FIELDS, Vec::new());
        Event { source: 0, fields }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wildcards_fit_as_brute_force_fits_them(
        rules in prop::collection::vec(plain_rule(), 24),
        events in prop::collection::vec(plain_event(), 24),
    ) {
        check(&rules, &events)?;
    }
}

/// The property is worth nothing if nothing ever matches.
#[test]
fn generated_rules_do_match() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut matches = 0;
    let mut possible = 0;
    for _ in 0..50 {
        let rules = prop::collection::vec(rule(), 10).new_tree(&mut runner).unwrap().current();
        let events = prop::collection::vec(event(), 10).new_tree(&mut runner).unwrap().current();
        matches += check(&rules, &events).unwrap();
        possible += 100;
    }
    println!("{matches} of {possible} generated pairs match");
    assert!(matches * 20 > possible, "{matches} of {possible}");
}
