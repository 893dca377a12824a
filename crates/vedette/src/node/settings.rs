//! Settings that can be changed while Vedette runs. They lie in the data folder and go before the configuration file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use vedette_server::{Receiver, Retention, SettingsError, SettingsView};
use vedette_store::{Budget, Store};

use super::whole_file;
use crate::config::{Config, Storage};

/// The file in the data folder.
pub const FILE: &str = "settings.json";

/// What was changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Changed {
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<Retention>,
}

/// The settings as they are now.
#[derive(Clone, Debug)]
pub struct Settings {
    path: PathBuf,
    config_file: Option<String>,
    retention: Arc<Mutex<Retention>>,
    receivers: Arc<OnceLock<Vec<Receiver>>>,
}

impl Settings {
    /// Those of the configuration, and what was changed since.
    ///
    /// # Errors
    /// The file of changes cannot be read.
    pub fn load(dir: &Path, config: &Config) -> anyhow::Result<Settings> {
        let path = dir.join(FILE);
        let changed: Changed = whole_file::read_json(&path)?.unwrap_or_default();
        let Storage { max_age_days, max_bytes, max_disk_percent, .. } = config.storage;
        let configured = Retention { max_age_days, max_bytes, max_disk_percent };
        Ok(Settings {
            path,
            config_file: config.file.as_ref().map(|file| file.path.display().to_string()),
            retention: Arc::new(Mutex::new(changed.retention.unwrap_or(configured))),
            receivers: Arc::default(),
        })
    }

    /// How long the store keeps events, and on how much disk.
    pub fn kept(&self) -> (Option<Duration>, Budget) {
        kept(&self.retention.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says which receivers listen. Only the first word counts.
    pub fn listening(&self, receivers: Vec<Receiver>) {
        self.receivers.get_or_init(|| receivers);
    }

    /// What the server sees of them.
    pub fn view(&self, store: &Store) -> impl SettingsView + use<> {
        View { settings: self.clone(), store: store.clone() }
    }

    fn write(&self, changed: &Changed) -> io::Result<()> {
        whole_file::replace(&self.path, serde_json::to_string_pretty(changed)?.as_bytes())
    }
}

fn kept(retention: &Retention) -> (Option<Duration>, Budget) {
    let budget = match retention.max_bytes {
        Some(bytes) => Budget::Bytes(bytes),
        None => Budget::DiskShare(f64::from(retention.max_disk_percent) / 100.0),
    };
    (Some(Duration::from_secs(u64::from(retention.max_age_days) * 86_400)), budget)
}

struct View {
    settings: Settings,
    store: Store,
}

impl SettingsView for View {
    fn retention(&self) -> Retention {
        self.settings.retention.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_retention(&self, retention: &Retention) -> Result<(), SettingsError> {
        let Retention { max_age_days, max_bytes, max_disk_percent } = *retention;
        Storage { max_age_days, max_bytes, max_disk_percent, ..Storage::default() }
            .check()
            .map_err(SettingsError::Refused)?;
        let mut now = self.settings.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = Changed { retention: Some(retention.clone()) };
        self.settings.write(&changed).map_err(|error| SettingsError::Failed(format!("{FILE}: {error}")))?;
        *now = retention.clone();
        let (keep, budget) = kept(&now);
        self.store.keep(keep, budget);
        Ok(())
    }

    fn receivers(&self) -> Vec<Receiver> {
        self.settings.receivers.get().cloned().unwrap_or_default()
    }

    fn config_file(&self) -> Option<String> {
        self.settings.config_file.clone()
    }
}
