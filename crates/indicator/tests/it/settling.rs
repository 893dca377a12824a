//! What holds when feeds repeat, change and withdraw.

use vedette_event::Time;
use vedette_indicator::{Builder, Feed, Indicator, Indicators, Item, Kind, Observable, Options, Settled, Withdrawal};

use crate::support::{builder, feed, indicator, of};

fn version(text: &str, reference: &str, modified: i64) -> Indicator {
    Indicator { reference: reference.into(), modified: Some(Time::from_secs(modified)), ..indicator(text) }
}

fn withdrawal(reference: &str, modified: Option<i64>) -> Item {
    Item::Withdrawal(Withdrawal {
        feed: feed().name,
        reference: reference.into(),
        modified: modified.map(Time::from_secs),
    })
}

fn values(set: &Indicators) -> Vec<String> {
    let mut values: Vec<String> = set.observables().map(|known| known.observable().to_string()).collect();
    values.sort();
    values
}

#[test]
fn of_the_versions_of_a_reference_the_newest_holds_whatever_the_order() {
    let items = [
        Item::Indicator(version("a.example", "i1", 10)),
        Item::Indicator(version("b.example", "i1", 10)),
        Item::Indicator(version("b.example", "i1", 20)),
        Item::Indicator(version("c.example", "i1", 20)),
        Item::Indicator(version("d.example", "i2", 10)),
        withdrawal("i2", Some(30)),
        Item::Indicator(version("e.example", "i3", 40)),
        withdrawal("i3", Some(30)),
        Item::Indicator(version("f.example", "i4", 40)),
        withdrawal("i4", None),
        Item::Indicator(indicator("g.example")),
        // The same reference of another feed is another.
        Item::Indicator(Indicator { reference: "i2".into(), ..of(&Feed::new("other"), "h.example") }),
    ];
    for turn in 0..items.len() {
        let mut builder = builder();
        items.iter().cycle().skip(turn).take(items.len()).for_each(|item| builder.add(item));
        let (set, settled) = builder.finish();
        assert_eq!(values(&set), ["b.example", "c.example", "e.example", "g.example", "h.example"], "from {turn}");
        assert_eq!((settled.indicators, settled.superseded, settled.withdrawn), (5, 2, 2), "from {turn}");
    }
}

#[test]
fn what_is_said_again_is_kept_once() {
    let mut builder = builder();
    let named = |name: &str, reference: &str| Indicator {
        name: name.into(),
        reference: reference.into(),
        ..indicator("evil.example")
    };
    builder.push(&named("one", ""));
    builder.push(&named("one", ""));
    builder.push(&named("two", ""));
    builder.push(&named("one", "r"));
    builder.push(&named("three", "r"));
    let (set, settled) = builder.finish();
    assert_eq!((settled.indicators, settled.repeated), (3, 2));
    let known = set.get(&Observable::read(Kind::Domain, "evil.example").unwrap()).unwrap();
    let names: Vec<String> = known.indicators().map(|indicator| indicator.name).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

#[test]
fn everything_pushed_is_in_the_set_or_in_a_count() {
    let mut builder = Builder::new(Options { indicators: 200, ..Options::default() });
    for number in 0..100 {
        builder.push(&Indicator { name: format!("{number}"), ..indicator("evil.example") });
    }
    for number in 0..150 {
        builder.push(&indicator(&format!("{number}.example.org")).clone());
    }
    let (set, settled) = builder.finish();
    assert_eq!(settled, Settled { indicators: 164, crowded: 36, over_limit: 50, ..Settled::default() });
    assert_eq!((set.len(), set.count(Kind::Domain), set.count(Kind::Address)), (164, 101, 0));

    let mut builder = Builder::new(Options { text_bytes: 100, ..Options::default() });
    (0..100).for_each(|number| builder.push(&indicator(&format!("{number}.example.org"))));
    let (set, settled) = builder.finish();
    assert!(set.len() < 10 && settled.over_limit + settled.indicators == 100, "{settled:?}");
}

#[test]
fn what_goes_in_comes_out() {
    let full = Indicator {
        port: Some(443),
        confidence: 7,
        level: Some(vedette_event::Level::Critical),
        valid_from: Some(Time::from_secs(1)),
        valid_until: Some(Time::from_secs(2)),
        name: "name".into(),
        labels: vec!["a b".into(), "c".into()],
        reference: "reference".into(),
        ..indicator("198.51.100.7")
    };
    let set = Indicators::compile([full.clone(), indicator("evil.example")]);
    let known = set.get(&full.observable).unwrap();
    assert_eq!(known.indicators().collect::<Vec<_>>(), [full]);
    assert_eq!(set.feeds(), [feed().name]);
    assert!(set.bytes() > 0);
}
