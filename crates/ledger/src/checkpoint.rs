//! Checkpoints: what a log says of itself ([C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint)).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{FormatError, Hash};

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// Root hash of the tree over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}

impl FromStr for Checkpoint {
    type Err = FormatError;

    /// Reads a note's text. Extension lines are allowed and left alone.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bad = |what: &str| FormatError::new(format!("not a checkpoint: {what}"));
        let mut lines = text.strip_suffix('\n').ok_or_else(|| bad("it ends with a newline"))?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(bad("it has an origin, a size and a root"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(bad("no line is empty"));
        }
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: decimal(size).ok_or_else(|| bad("the size is a decimal number"))?,
            root: hash(root).ok_or_else(|| bad("the root is 32 bytes in base64"))?,
        })
    }
}

/// A number in its one decimal form: digits only, no leading zeroes.
pub fn decimal(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64.
pub fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
