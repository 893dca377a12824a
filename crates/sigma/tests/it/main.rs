//! The crate at its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod arrivals;
mod cases;
mod conformance;
mod correlation_oracle;
mod correlation_size;
mod correlations;
mod data;
mod explain;
mod hostile;
mod mapping;
mod naive;
mod oracle;
mod pipelines;
mod sigmahq;
mod windows;
