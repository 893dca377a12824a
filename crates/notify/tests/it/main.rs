//! Notifications at their public face, with real receivers.
#![allow(clippy::unwrap_used)]

mod configuration;
mod durability;
mod following;
mod following_incidents;
mod http;
mod receivers;
mod smtp;
mod support;
