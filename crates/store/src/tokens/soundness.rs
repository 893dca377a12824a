//! Look-ups against brute force: no granule that holds a matching text is ever missed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{DictionaryWriter, Term, TermQuery, TokenBuilder, TokenIndex, fold, merge, split};

/// Texts whose pieces collide often: short words, joiners, addresses, times, letters that change when folded, words
/// longer than a token.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[ab1]{1,3}",
        4 => "[ .:@/\\\\_-]",
        2 => proptest::sample::select(vec![
            "10.1.2.3", "1.10.1.2", "::", "2001:db8::1", "12:34:56", "000123Z", "12z", "Äb", "ä", "İ", "ß", "Σ", "K",
            "5f3c9a1e-77aa-4be1-9c0d-0123456789ab", "2026-11-21T04:11:52.000123Z", "\u{fffd}", "日本", "\\\"", "\n",
        ]).prop_map(str::to_owned),
        1 => (100usize..300, "[ab]").prop_map(|(len, letter)| letter.repeat(len)),
        1 => (60usize..200).prop_map(|len| (0..len).map(|at| char::from(b'a' + (at * at % 23) as u8)).collect()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// An event: its original bytes and its values.
type Texts = (Vec<u8>, Vec<String>);

fn event() -> impl Strategy<Value = Texts> {
    let original = prop_oneof![
        4 => text().prop_map(String::into_bytes),
        1 => (text(), text()).prop_map(|(a, b)| [a.as_bytes(), b"\xff\xc3", b.as_bytes()].concat()),
    ];
    (original, proptest::collection::vec(text(), 0..4)).prop_map(|(original, mut values)| {
        // A value is often part of the original.
        let whole = String::from_utf8_lossy(&original).into_owned();
        values.push(whole.chars().skip(3).take(40).collect());
        (original, values)
    })
}

/// What [`Term`] promises, read literally.
fn matches(term: &Term, (original, values): &Texts) -> bool {
    let original = fold(&String::from_utf8_lossy(original)).into_owned();
    let values: Vec<String> = values.iter().map(|value| fold(value).into_owned()).collect();
    let anywhere = |text: &str, left: bool, right: bool| {
        let text = fold(text).into_owned();
        values.iter().chain([&original]).any(|whole| occurs(whole, &text, left, right))
    };
    match term {
        Term::Contains(text) => anywhere(text, false, false),
        Term::Word(text) => anywhere(text, true, true),
        Term::WordStart(text) => anywhere(text, true, false),
        Term::WordEnd(text) => anywhere(text, false, true),
        Term::Value(text) => values.iter().any(|value| *value == *fold(text)),
        Term::ValueStart(text) => values.iter().any(|value| value.starts_with(&*fold(text))),
        Term::ValueEnd(text) => values.iter().any(|value| value.ends_with(&*fold(text))),
    }
}

fn occurs(whole: &str, text: &str, left: bool, right: bool) -> bool {
    let is_word = |char: Option<char>| char.is_some_and(split::is_word_char);
    (0..=whole.len()).filter(|at| whole.is_char_boundary(*at) && whole[*at..].starts_with(text)).any(|start| {
        let (before, after) = (&whole[..start], &whole[start + text.len()..]);
        let cut_left = is_word(text.chars().next()) && is_word(before.chars().next_back());
        let cut_right = is_word(text.chars().next_back()) && is_word(after.chars().next());
        !(left && cut_left || right && cut_right)
    })
}

/// Builds a sidecar of granules of one event each.
fn index(dir: &std::path::Path, name: &str, events: &[Texts]) -> TokenIndex {
    let mut builder = TokenBuilder::default();
    for (granule, (original, values)) in events.iter().enumerate() {
        builder.original(granule as u32, original);
        values.iter().for_each(|value| builder.value(value));
    }
    let path = dir.join(name);
    let file = std::fs::File::create(&path).unwrap();
    builder.write(std::io::BufWriter::new(file), events.len() as u32, &[]).unwrap();
    TokenIndex::open(&path).unwrap()
}

fn terms(text: &str) -> [Term; 7] {
    let text = || text.to_owned();
    [
        Term::Contains(text()),
        Term::Word(text()),
        Term::WordStart(text()),
        Term::WordEnd(text()),
        Term::Value(text()),
        Term::ValueStart(text()),
        Term::ValueEnd(text()),
    ]
}

/// Parts of the events' own texts, so that there is something to find.
fn parts(events: &[Texts], cuts: &[(usize, usize, usize)]) -> Vec<String> {
    let texts: Vec<String> = events
        .iter()
        .flat_map(|(original, values)| {
            std::iter::once(String::from_utf8_lossy(original).into_owned()).chain(values.iter().cloned())
        })
        .collect();
    let part = |&(text, start, len): &(usize, usize, usize)| {
        let text = &texts[text % texts.len()];
        let count = text.chars().count().max(1);
        text.chars().skip(start % count).take(1 + len % count).collect::<String>()
    };
    cuts.iter().map(part).chain(texts.iter().cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_match_is_missed(
        events in proptest::collection::vec(event(), 1..10),
        cuts in proptest::collection::vec((0usize..1000, 0usize..1000, 0usize..60), 12),
        other in text(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let whole = index(dir.path(), "whole", &events);
        // The same events in two segments, merged again; the first granule of the second joins the last of the first.
        let half = events.len() / 2;
        let (first, second) = (index(dir.path(), "first", &events[..half]), index(dir.path(), "second", &events[half..]));
        let joined = |at: usize| if at < half { at } else { at.saturating_sub(usize::from(half > 0)) };
        let inputs = [
            merge::Input { index: &first, granules: (0..half).map(|at| joined(at) as u32).collect() },
            merge::Input { index: &second, granules: (half..events.len()).map(|at| joined(at) as u32).collect() },
        ];
        let path = dir.path().join("merged");
        let granules = joined(events.len() - 1) as u32 + 1;
        let mut writer = DictionaryWriter::new(std::fs::File::create(&path).unwrap(), granules).unwrap();
        merge::merge(&inputs, BTreeMap::new(), &mut writer, &path).unwrap();
        writer.finish(&[]).unwrap();
        let merged = TokenIndex::open(&path).unwrap();

        for text in parts(&events, &cuts).into_iter().chain([other]) {
            for term in terms(&text) {
                let found = whole.candidates(&TermQuery::Term(term.clone())).unwrap();
                let found_merged = merged.candidates(&TermQuery::Term(term.clone())).unwrap();
                for (granule, event) in events.iter().enumerate().filter(|(_, event)| matches(&term, event)) {
                    prop_assert!(found.contains(granule), "{term:?} misses {event:?}");
                    prop_assert!(found_merged.contains(joined(granule)), "{term:?} misses {event:?} after merging");
                }
            }
        }
    }

    /// Damage anywhere is found or harmless, never a panic.
    #[test]
    fn damage_is_found(events in proptest::collection::vec(event(), 1..4), at in 0usize..10_000, bit in 0u32..8) {
        let dir = tempfile::tempdir().unwrap();
        let sound = index(dir.path(), "sidecar", &events);
        let path = dir.path().join("sidecar");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        let read = TokenIndex::open(&path).and_then(|index| {
            let mut stream = index.stream()?;
            while stream.next()?.is_some() {}
            index.batches()
        });
        // Only the leading magic is not needed for reading.
        prop_assert!(read.is_err() || at < 8, "damage at {at} of {} not found", bytes.len());
        drop(sound);
    }
}

/// Every bit of a small file: the property above tries some of many files.
#[test]
fn every_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    drop(index(dir.path(), "sidecar", &[(b"one 192.0.2.1 two".to_vec(), vec!["three".to_owned()])]));
    let path = dir.path().join("sidecar");
    let sound = std::fs::read(&path).unwrap();
    for bit in 8 * 8..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let read = TokenIndex::open(&path).and_then(|index| {
            let mut stream = index.stream()?;
            while stream.next()?.is_some() {}
            index.batches()
        });
        assert!(read.is_err(), "bit {} of byte {} of {}", bit % 8, bit / 8, bytes.len());
    }
}
