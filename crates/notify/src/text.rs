//! Texts of strangers: cut, cleaned, escaped.

/// Cuts at `max` bytes, at a character's edge; a cut text ends with `…`.
pub(crate) fn cut(text: &mut String, max: usize) {
    const MARK: char = '…';
    if text.len() > max {
        let mut end = max.saturating_sub(MARK.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push(MARK);
    }
}

/// The same for a text in characters, as most vendors count.
pub(crate) fn cut_chars(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// One line of visible text: line ends become spaces; other control characters, and characters that change the direction of
/// writing or cannot be seen, are replaced. So a value can neither end its line nor hide what comes after it.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if is_unseen(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The same for a text of several lines.
pub(crate) fn lines(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// How a value is written into a template's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is: the channel has no markup.
    Plain,
    /// Slack's three: `&`, `<`, `>`. Without them a text has no links and calls nobody.
    Slack,
    /// Inside of a JSON string.
    Json,
}

impl Escape {
    pub(crate) fn write(self, text: &str, out: &mut String) {
        match self {
            Escape::Plain => out.push_str(text),
            Escape::Slack => {
                for c in text.chars() {
                    match c {
                        '&' => out.push_str("&amp;"),
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str("&gt;"),
                        c => out.push(c),
                    }
                }
            }
            Escape::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_characters() {
        let cases = [("abc", 3, "abc"), ("abcd", 3, "…"), ("abcdef", 5, "ab…"), ("ääää", 7, "ää…"), ("äääää", 4, "…")];
        for (text, max, expected) in cases {
            let mut cutting = text.to_owned();
            cut(&mut cutting, max);
            assert_eq!(cutting, expected);
            assert!(cutting.len() <= max);
        }
        assert_eq!(cut_chars("äöü", 3), "äöü");
        assert_eq!(cut_chars("äöüß", 3), "äö…");
    }

    #[test]
    fn values_stay_on_their_line_and_visible() {
        assert_eq!(one_line("a\r\nBcc: b\u{202e}c\u{7f}\u{85}"), "a  Bcc: b�c��");
        assert_eq!(lines("a\nb\r\u{2028}"), "a\nb��");
    }

    #[test]
    fn escapes() {
        let escaped = |escape: Escape, text: &str| {
            let mut out = String::new();
            escape.write(text, &mut out);
            out
        };
        assert_eq!(escaped(Escape::Slack, "<!channel> & <u|t>"), "&lt;!channel&gt; &amp; &lt;u|t&gt;");
        assert_eq!(escaped(Escape::Json, "\"},{\"x\\"), "\\\"},{\\\"x\\\\");
    }
}
