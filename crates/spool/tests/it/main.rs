//! The spool at its public face.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod full_disk;
mod kill;
mod life;
mod support;
