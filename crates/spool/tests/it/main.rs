//! The spool at its public face.

mod crash;
mod damage;
mod full_disk;
mod kill;
mod life;
mod support;
