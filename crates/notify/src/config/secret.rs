//! Secrets: given as a value, a file or a variable, and shown to nobody.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A secret file holds at most this much.
const MAX_BYTES: u64 = 16 << 10;

/// A secret of the configuration: the value itself, `file:/path` or `env:NAME`. It prints as where it is, never as what
/// it is, and cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Reads it, without white space around it.
    ///
    /// # Errors
    /// There is no such file or variable, or it is empty; the text names where, not what.
    pub fn read(&self) -> Result<String, String> {
        let read = if let Some(path) = self.0.strip_prefix("file:") {
            let size =
                std::fs::metadata(path).map_err(|error| format!("cannot read the secret's file {path}: {error}"))?;
            if size.len() > MAX_BYTES {
                return Err(format!("the secret's file {path} is longer than {MAX_BYTES} bytes"));
            }
            std::fs::read_to_string(path).map_err(|error| format!("cannot read the secret's file {path}: {error}"))?
        } else if let Some(name) = self.0.strip_prefix("env:") {
            std::env::var(name).map_err(|_| format!("the secret's variable {name} is not set, or is no text"))?
        } else {
            self.0.clone()
        };
        let value = read.trim();
        if value.is_empty() {
            return Err(format!("the secret is empty ({self:?})"));
        }
        Ok(value.to_owned())
    }

    /// What stands for a secret wherever it would be shown.
    pub const BLOTTED: &str = "[secret]";

    /// The value, if the configuration has it itself.
    pub fn inline(&self) -> Option<&str> {
        self.reference().is_none().then_some(self.0.as_str())
    }

    /// Where it is, if it is not the value itself.
    pub fn reference(&self) -> Option<&str> {
        (self.0.starts_with("file:") || self.0.starts_with("env:")).then_some(self.0.as_str())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reference().unwrap_or(Secret::BLOTTED))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde quotes a value of another type in its error: so none of another type is taken.
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: text, `file:/path` or `env:NAME`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(text.to_owned()))
            }
            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom("a secret of digits only must be quoted"))
            }
            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom("a secret of digits only must be quoted"))
            }
            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom("a secret that looks like a number must be quoted"))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Settings that hold secrets: a map, and nothing else. Serde quotes what it finds in place of a map, and that may be the
/// secret itself (`slack: https://hooks.slack.com/…`).
pub(super) struct Unquoted<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unquoted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Map<T> {
            type Value = Unquoted<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings, `key: value`")
            }
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom("settings are expected here, `key: value`, not a text"))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Unquoted)
            }
        }
        deserializer.deserialize_any(Map(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_hides() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " hush\n").unwrap();
        let file = Secret(format!("file:{}", path.display()));
        assert_eq!(file.read().unwrap(), "hush");
        assert_eq!(format!("{file:?}"), format!("file:{}", path.display()));
        assert_eq!(Secret::from("hush").read().unwrap(), "hush");
        assert_eq!(format!("{:?}", Secret::from("hush")), "[secret]");
        let unset = Secret::from("env:VEDETTE_NO_SUCH_VARIABLE").read().unwrap_err();
        assert_eq!(unset, "the secret's variable VEDETTE_NO_SUCH_VARIABLE is not set, or is no text");
        let number = serde_norway::from_str::<Secret>("4711").unwrap_err().to_string();
        assert!(number.contains("quoted") && !number.contains("4711"), "{number}");
    }
}
