//! The ledger at its public face, beside independent implementations.

mod crash;
mod life;
mod notes;
mod restarts;
mod support;
mod timestamps;
mod trees;
mod witnesses;
