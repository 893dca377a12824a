//! Case folding: what "case-insensitive for all of Unicode" means here.
//!
//! One character folds to one character (Unicode's simple case folding), so that `?` means the same in a
//! pattern and in a value. Rules are folded when they are compiled, values when they are matched, by this
//! one function.

use std::borrow::Cow;

/// A character's folded form.
pub(crate) fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // Upper-cases to `I`, but folds to itself: only Turkish thinks otherwise.
        'ı' => c,
        // Pairs that the standard library only joins by their upper case of several letters.
        '\u{390}' | '\u{1fd3}' => '\u{390}',
        '\u{3b0}' | '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' | '\u{fb06}' => '\u{fb06}',
        _ => {
            let upper = single(c.to_uppercase()).unwrap_or(c);
            single(upper.to_lowercase()).unwrap_or(c)
        }
    }
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// A text's folded form; borrowed if it is folded already.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_char).collect())
}

/// Writes a text's folded form over what `out` held.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().map(fold_char));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `regex` crate's case-insensitivity is Unicode's simple case folding; ours must be the same relation.
    #[test]
    fn folds_as_unicode_says() {
        // The two may be of different Unicode versions: only characters that both know.
        let assigned = regex::Regex::new(r"^\P{Cn}$").unwrap();
        let cased: Vec<char> = ('\u{80}'..=char::MAX)
            .filter(|c| assigned.is_match(&c.to_string()))
            .filter(|&c| fold_char(c) != c || c.is_alphabetic() && (c.is_lowercase() || c.is_uppercase()))
            .collect();
        for c in cased {
            let class = regex::Regex::new(&format!("(?i)^{}$", regex::escape(&c.to_string()))).unwrap();
            let folded = fold_char(c);
            assert!(class.is_match(&folded.to_string()), "{c:?} folds to {folded:?}");
            for other in c.to_lowercase().chain(c.to_uppercase()).filter(|other| class.is_match(&other.to_string())) {
                assert_eq!(fold_char(other), folded, "{c:?} and {other:?}");
            }
        }
    }

    #[test]
    fn known_pairs() {
        for (a, b) in
            [("STRASSE", "strasse"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("ÀÉÖ", "àéö"), ("ПРИВЕТ", "привет"), ("\u{212A}", "k")]
        {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        for (a, b) in [("ß", "ss"), ("ı", "i"), ("İ", "i")] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }
}
