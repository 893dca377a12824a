//! What a value must hold for a test to be true of it: where to look, before the test itself is put.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::{
    check::Test,
    fold::{fold, fold_char},
    pattern::{Form, Pattern},
};

/// Most alternatives of a regular expression, and the shortest text, that are worth looking for.
const MAX_TEXTS: usize = 64;
const MIN_TEXT_BYTES: usize = 3;
/// Most spellings of a pattern with dashes that are looked for one by one.
const MAX_SPELLINGS: usize = 25;

/// Where a test can hold. All texts are folded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// The value is this.
    Exact(String),
    /// The value begins so.
    Prefix(String),
    /// The value ends so.
    Suffix(String),
    /// The value contains this.
    Contains(String),
    /// In any value.
    Open,
}

impl Gate {
    /// The gates of a test of one value, one of which a value must pass, and whether that is already the whole test.
    pub(super) fn of(test: &Test) -> (Vec<Gate>, bool) {
        match test {
            Test::Text { pattern, cased } => {
                let spellings = pattern.spellings(MAX_SPELLINGS);
                let spellings = spellings.as_deref().unwrap_or(std::slice::from_ref(pattern));
                let whole =
                    !cased && spellings.iter().all(|spelling| !matches!(spelling.form(), Form::Wild(_) | Form::Any));
                (spellings.iter().map(Gate::of_pattern).collect(), whole)
            }
            Test::Regex(expression) => match required(expression.0.as_str()) {
                Some(texts) => (texts.into_iter().map(Gate::Contains).collect(), false),
                None => (vec![Gate::Open], false),
            },
            _ => (vec![Gate::Open], false),
        }
    }

    fn of_pattern(pattern: &Pattern) -> Gate {
        // A cased pattern is not folded; folded values contain its folded text all the same.
        let folded = |text: &str| fold(text).into_owned();
        match pattern.form() {
            Form::Exact(text) => Gate::Exact(folded(text)),
            Form::Prefix(text) => Gate::Prefix(folded(text)),
            Form::Suffix(text) => Gate::Suffix(folded(text)),
            Form::Contains(text) => Gate::Contains(folded(text)),
            Form::Wild(text) if !text.is_empty() => Gate::Contains(folded(text)),
            Form::Wild(_) | Form::Any => Gate::Open,
        }
    }

    /// How often a test's gates are passed, as a guess.
    pub(super) fn guess(test: &Test) -> f32 {
        Gate::of(test).0.iter().map(Gate::weight).sum()
    }

    /// How often it will be passed, as a guess: longer texts are rarer.
    fn weight(&self) -> f32 {
        match self {
            Gate::Exact(text) | Gate::Prefix(text) | Gate::Suffix(text) | Gate::Contains(text) => {
                1.0 / (1.0 + text.len() as f32)
            }
            Gate::Open => 1.0,
        }
    }
}

/// Texts of which every match of a regular expression contains at least one, folded.
fn required(expression: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(expression).ok()?;
    let texts = required_by(&hir)?;
    let worth_it = texts.len() <= MAX_TEXTS && texts.iter().all(|text| text.len() >= MIN_TEXT_BYTES);
    worth_it.then_some(texts)
}

fn required_by(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut offer = |texts: Vec<String>| {
                if best.as_ref().is_none_or(|best| shortest(best) < shortest(&texts)) {
                    best = Some(texts);
                }
            };
            let mut run = String::new();
            for part in parts {
                if let Some(text) = fixed(part) {
                    run.push_str(&text);
                    continue;
                }
                if !run.is_empty() {
                    offer(vec![std::mem::take(&mut run)]);
                }
                required_by(part).into_iter().for_each(&mut offer);
            }
            if !run.is_empty() {
                offer(vec![run]);
            }
            best
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(required_by(part)?);
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Capture(capture) => required_by(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required_by(&repetition.sub),
        _ => fixed(hir).map(|text| vec![text]),
    }
}

fn shortest(texts: &[String]) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

/// The one folded text that every match of this part folds to.
fn fixed(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(fold(std::str::from_utf8(&literal.0).ok()?).into_owned()),
        HirKind::Class(Class::Unicode(class)) => {
            let mut chars = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(16);
            let first = fold_char(chars.next()?);
            // A class of sixteen or more characters is never one letter in its cases.
            let (mut count, mut same) = (1, true);
            for c in chars {
                count += 1;
                same &= fold_char(c) == first;
            }
            (same && count < 16).then(|| first.to_string())
        }
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(fixed).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_need_their_texts() {
        for (expression, want) in [
            ("abc", Some(vec!["abc"])),
            (r"^C:\\Users\\.*\\Temp$", Some(vec![r"c:\users\"])),
            ("(?i)PowerShell[0-9]+", Some(vec!["powershell"])),
            ("(foo|barbar).*x", Some(vec!["foo", "barbar"])),
            ("(foo)?bar{2}z", Some(vec!["ba"])),
            ("a(bc)+d", Some(vec!["bc"])),
            ("(abcd)+e", Some(vec!["abcd"])),
            ("[a-z]+", None),
            ("ab|", None),
            ("(?i)straße", Some(vec!["straße"])),
            (r"\d{3}-x", None),
        ] {
            let want: Option<Vec<String>> = want
                .map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>())
                .filter(|texts| texts.iter().all(|text| text.len() >= MIN_TEXT_BYTES));
            assert_eq!(required(expression), want, "{expression}");
        }
    }
}
