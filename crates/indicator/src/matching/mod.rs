//! Events against the set.
//!
//! [`fields`] says which fields are looked at and as what, [`run`] looks, [`finding`] says what was found.

mod fields;
mod finding;
mod run;

pub use fields::{FIELDS, LAST_PARTS, look_of};
pub use finding::{RULE_PREFIX, Sighting, level_of};
