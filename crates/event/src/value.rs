//! Field values.

use std::borrow::Cow;

/// A field's value, borrowed from its batch.
///
/// Structures are flattened into dotted names before they get here; an array is several fields of
/// the same name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Present, and null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, an address, a date as the source wrote it.
    Str(&'a str),
}

impl<'a> Value<'a> {
    /// The text, if it is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one or is text that spells one.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(int),
            Value::Str(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The value as people write it; null is the empty text.
    #[inline]
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Value::Null => Cow::Borrowed(""),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::Int(int) => Cow::Owned(int.to_string()),
            Value::Float(float) => Cow::Owned(float.to_string()),
            Value::Str(text) => Cow::Borrowed(text),
        }
    }

    /// The value as JSON; a float that JSON cannot hold becomes its text.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(bool) => bool.into(),
            Value::Int(int) => int.into(),
            Value::Float(float) => {
                serde_json::Number::from_f64(float).map_or_else(|| float.to_string().into(), serde_json::Value::Number)
            }
            Value::Str(text) => text.into(),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Str(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}
