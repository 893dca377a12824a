//! One file per command.

pub mod alerts;
pub mod bench;
pub mod cases;
pub mod check;
pub mod custody;
pub mod desk;
pub mod detect;
pub mod doctor;
pub mod hunt;
pub mod import;
pub mod incidents;
pub mod indicators;
pub mod man;
pub mod replay;
pub mod restore;
pub mod rules;
mod rules_coverage;
mod rules_hunt;
mod rules_import;
pub mod rules_why;
pub mod sealer;
pub mod sources;
pub mod tail;
pub mod top;
pub mod up;
pub mod verify;
pub mod witness;
