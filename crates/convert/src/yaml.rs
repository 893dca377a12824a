//! YAML, written: just what a Sigma document needs.

use std::fmt::Write;

/// A scalar that every reader takes for this text: plain where that is safe, else quoted.
pub(crate) fn scalar(text: &str) -> String {
    let plain_start = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '(' | '.'));
    let plain_char = |c: char| {
        c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '|' | '(' | ')' | ';' | '+' | '=' | '$')
    };
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let number = text.starts_with('.') || text.parse::<f64>().is_ok();
    if plain_start && text.chars().all(plain_char) && !text.ends_with(' ') && !word && !number {
        return text.to_owned();
    }
    if !text.chars().any(|c| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // A string takes whatever is written into it.
                write!(quoted, "\\u{:04x}", c as u32).unwrap_or_default();
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Lines with their indentation.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) String);

impl Lines {
    /// `key: value`, the value as it is.
    pub(crate) fn raw(&mut self, indent: usize, key: &str, value: &str) {
        self.line(indent, &format!("{key}: {value}"));
    }

    /// `key: value`, the value as a scalar.
    pub(crate) fn entry(&mut self, indent: usize, key: &str, value: &str) {
        self.raw(indent, key, &scalar(value));
    }

    /// `key:` with a list of scalars under it; nothing for none.
    pub(crate) fn list(&mut self, indent: usize, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        self.line(indent, &format!("{key}:"));
        for value in values {
            self.line(indent + 1, &format!("- {}", scalar(value)));
        }
    }

    /// A line.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        self.0.push_str(&"  ".repeat(indent));
        self.0.push_str(text);
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_yaml_would_read_something_else() {
        for (text, want) in [
            ("sshd: failed", "'sshd: failed'"),
            ("plain text", "plain text"),
            ("it's", "'it''s'"),
            ("true", "'true'"),
            ("5710", "'5710'"),
            ("0x10", "'0x10'"),
            (".5", "'.5'"),
            ("*x", "'*x'"),
            ("", "''"),
            ("a\nb\"\\\u{7}", "\"a\\nb\\\"\\\\\\u0007\""),
            (" x", "' x'"),
            ("x ", "'x '"),
        ] {
            assert_eq!(scalar(text), want);
        }
    }
}
