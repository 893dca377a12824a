//! The binary with real clients, real files, real kills.

mod acknowledging;
mod anchors;
mod bulk;
mod clients;
mod clock;
mod commands;
mod console;
mod corpora;
mod custody;
mod durability;
mod full_disk;
mod generated_client;
mod harness;
mod hostile;
mod imports;
mod journal;
mod own_rules;
mod proofs;
mod quiet;
mod sealer_deaths;
mod settings;
mod shippers;
mod stopped_pipeline;
mod terminal;
mod webhooks;
mod witnessing;
