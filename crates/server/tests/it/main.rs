//! The server at its public face.
#![allow(clippy::unwrap_used)]

mod access;
mod alerts;
mod console;
mod custody;
mod fields;
mod incidents;
mod openapi;
mod pages;
mod rooms;
mod rules;
mod search;
mod searches;
mod settings;
mod streams;
mod support;
mod transport;
