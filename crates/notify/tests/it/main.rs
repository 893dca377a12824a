//! Notifications at their public face, with real receivers.
#![allow(clippy::unwrap_used)]

mod configuration;
mod durability;
mod following;
mod http;
mod receivers;
mod smtp;
mod support;
