//! The seam to indicators of compromise: what is looked for in events, and where it is from.

use serde::Serialize;
use utoipa::ToSchema;
use vedette_event::Time;

use crate::api::model::rfc3339_or_null;

/// The indicators in force. Every method may block on the disk.
pub trait IndicatorsView: Send + Sync {
    /// What is in force, and where it is from.
    fn status(&self) -> IndicatorStatus;

    /// What is known of a value: of an address also the networks around it, of a name those above it, of an URL its host.
    ///
    /// # Errors
    /// Why it is no address, network, domain, URL, hash or mail address.
    fn find(&self, value: &str) -> Result<Vec<KnownIndicator>, String>;
}

/// What is in force.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct IndicatorStatus {
    /// Indicators that hold, or will.
    pub indicators: u64,
    /// Values that they are of.
    pub values: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// Read, but left out: more than may be of one value, or in all.
    pub left_out: u64,
    /// The files that they are from.
    pub feeds: Vec<IndicatorFeed>,
    /// The servers that they are fetched from.
    pub servers: Vec<IndicatorServer>,
}

/// A file with indicators.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct IndicatorFeed {
    /// The feed's name, which findings say.
    pub name: String,
    /// The file.
    pub file: String,
    /// Indicators that were read.
    pub taken: u64,
    /// Indicators that it withdraws.
    pub withdrawn: u64,
    /// Entries that should be indicators and cannot be.
    pub refused: u64,
    /// The first of these, and why.
    pub refusals: Vec<String>,
    /// Why the file was not read to its end.
    pub failure: Option<String>,
}

/// A server that indicators are fetched from.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct IndicatorServer {
    /// The feed's name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Minutes between two polls.
    pub every_minutes: u32,
    /// When the last poll since the start ended well.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
    /// Why the last poll failed, if it did.
    pub failure: Option<String>,
}

/// An indicator that is in force.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct KnownIndicator {
    /// The value in one spelling.
    pub value: String,
    /// `address`, `network`, `domain`, `url`, `md5`, ..
    pub kind: String,
    /// The feed that knows it.
    pub feed: String,
    /// What it is about; may be empty.
    pub name: String,
    /// How sure the feed is, 0 to 100.
    pub confidence: u8,
    /// From when on it holds.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// Until when it holds.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    /// The feed's own reference.
    pub reference: String,
    /// Labels.
    pub labels: Vec<String>,
}
