//! The server at its public face.
#![allow(clippy::unwrap_used)]

mod access;
mod alerts;
mod console;
mod custody;
mod openapi;
mod pages;
mod rooms;
mod rules;
mod search;
mod streams;
mod support;
mod transport;
