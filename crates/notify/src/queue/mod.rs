//! The durable queue: one SQLite file. What is offered is in it before [`Queue::offer`] returns, and leaves it when the other side
//! has it, when somebody discards it, or when it is replaced; every step is a transaction with its counter, so the account
//! always adds up.

mod letters;
mod offer;
mod position;
mod schema;
mod status;
mod take;

pub(crate) use offer::Channels;
pub(crate) use position::Followed;
pub(crate) use schema::Queue;
pub(crate) use take::{Given, Manner, Next, Taken};

#[cfg(test)]
mod tests;
