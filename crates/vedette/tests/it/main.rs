//! The binary with real clients, real files, real kills.

mod bulk;
mod clients;
mod commands;
mod corpora;
mod durability;
mod harness;
mod imports;
