//! Settings that can be changed while Vedette runs. They lie in the data folder and go before the configuration file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use vedette_event::Diagnostic;
use vedette_notify::Notifier;
use vedette_server::{Receiver, Retention, Section, SectionText, SettingsError, SettingsView};
use vedette_store::{Budget, Store};

use super::{receivers::Receiving, whole_file};
use crate::config::{self, Config, FileRead, Receivers, Storage};

/// The file in the data folder.
pub const FILE: &str = "settings.json";

/// What was changed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Changed {
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<Retention>,
    /// YAML, as all sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receivers: Option<String>,
}

impl Changed {
    fn section(&mut self, section: Section) -> &mut Option<String> {
        match section {
            Section::Notifications => &mut self.notifications,
            Section::Receivers => &mut self.receivers,
        }
    }
}

/// The settings as they are now. Cheap to clone.
#[derive(Clone)]
pub struct Settings(Arc<Inner>);

struct Inner {
    path: PathBuf,
    config_file: Option<FileRead>,
    retention: Retention,
    changed: Mutex<Changed>,
    /// Changes go one at a time, for they take a while.
    changing: Mutex<()>,
}

impl Settings {
    /// Those of the configuration, and what was changed since, which takes its place in `config`.
    ///
    /// # Errors
    /// The file of changes cannot be read, or a section in it is wrong.
    pub fn load(dir: &Path, config: &Config) -> anyhow::Result<(Settings, Config)> {
        let path = dir.join(FILE);
        let changed: Changed = whole_file::read_json(&path)?.unwrap_or_default();
        let mut config = config.clone();
        let wrong = || format!("{} has a section that is wrong; remove it from there to go on", path.display());
        if let Some(text) = &changed.notifications {
            config.notifications = config::read_notifications(text).with_context(wrong)?;
        }
        if let Some(text) = &changed.receivers {
            config.receivers = config::read_receivers(text).with_context(wrong)?;
        }
        let Storage { max_age_days, max_bytes, max_disk_percent, .. } = config.storage;
        let settings = Settings(Arc::new(Inner {
            path,
            config_file: config.file.clone(),
            retention: Retention { max_age_days, max_bytes, max_disk_percent },
            changed: Mutex::new(changed),
            changing: Mutex::default(),
        }));
        Ok((settings, config))
    }

    /// How long the store keeps events, and on how much disk.
    pub fn kept(&self) -> (Option<Duration>, Budget) {
        kept(&self.retention())
    }

    /// What the server sees of them.
    pub fn view(&self, store: &Store, notifier: &Notifier, receiving: Arc<Receiving>) -> impl SettingsView + use<> {
        let (store, notifier) = (store.clone(), notifier.clone());
        View { settings: self.clone(), store, notifier, receiving, runtime: Handle::current() }
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.0.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retention(&self) -> Retention {
        self.changed().retention.clone().unwrap_or_else(|| self.0.retention.clone())
    }

    /// What the configuration file says of a section.
    fn configured(&self, section: Section) -> String {
        self.0.config_file.as_ref().map(|file| file.section(key(section))).unwrap_or_default()
    }

    /// Writes changes down, and remembers them.
    fn write(&self, changed: Changed) -> Result<(), SettingsError> {
        let written = serde_json::to_vec_pretty(&changed).map_err(io::Error::from);
        let written = written.and_then(|bytes| whole_file::replace(&self.0.path, &bytes));
        written.map_err(|error| SettingsError::Failed(format!("{FILE}: {error}")))?;
        *self.changed() = changed;
        Ok(())
    }
}

fn kept(retention: &Retention) -> (Option<Duration>, Budget) {
    let budget = match retention.max_bytes {
        Some(bytes) => Budget::Bytes(bytes),
        None => Budget::DiskShare(f64::from(retention.max_disk_percent) / 100.0),
    };
    (Some(Duration::from_secs(u64::from(retention.max_age_days) * 86_400)), budget)
}

/// Its key in the configuration file.
fn key(section: Section) -> &'static str {
    match section {
        Section::Notifications => "notifications",
        Section::Receivers => "receivers",
    }
}

/// A section that was read.
enum Parsed {
    Notifications(vedette_notify::Config),
    Receivers(Receivers),
}

fn parse(section: Section, text: &str) -> Result<Parsed, Diagnostic> {
    match section {
        Section::Notifications => config::read_notifications(text).map(Parsed::Notifications),
        Section::Receivers => config::read_receivers(text).map(Parsed::Receivers),
    }
}

struct View {
    settings: Settings,
    store: Store,
    notifier: Notifier,
    receiving: Arc<Receiving>,
    runtime: Handle,
}

impl View {
    fn put_into_force(&self, parsed: Parsed) -> Result<(), SettingsError> {
        match parsed {
            Parsed::Notifications(config) => {
                self.notifier.replace_config(config).map_err(|error| SettingsError::Refused(error.to_string()))
            }
            Parsed::Receivers(config) => self
                .runtime
                .block_on(self.receiving.change(config))
                .map_err(|error| SettingsError::Refused(format!("{error:#}"))),
        }
    }
}

impl SettingsView for View {
    fn retention(&self) -> Retention {
        self.settings.retention()
    }

    fn set_retention(&self, retention: &Retention) -> Result<(), SettingsError> {
        let Retention { max_age_days, max_bytes, max_disk_percent } = *retention;
        Storage { max_age_days, max_bytes, max_disk_percent, ..Storage::default() }
            .check()
            .map_err(SettingsError::Refused)?;
        let _alone = self.settings.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = Changed { retention: Some(retention.clone()), ..self.settings.changed().clone() };
        self.settings.write(changed)?;
        let (keep, budget) = kept(retention);
        self.store.keep(keep, budget);
        Ok(())
    }

    fn section(&self, section: Section) -> SectionText {
        match self.settings.changed().section(section).clone() {
            Some(text) => SectionText { text, is_changed: true },
            None => SectionText { text: self.settings.configured(section), is_changed: false },
        }
    }

    fn check_section(&self, section: Section, text: &str) -> Vec<Diagnostic> {
        parse(section, text).err().into_iter().collect()
    }

    fn set_section(&self, section: Section, text: Option<&str>) -> Result<(), SettingsError> {
        let read = |text: &str| parse(section, text).map_err(|wrong| SettingsError::Wrong(vec![wrong]));
        let _alone = self.settings.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let configured = self.settings.configured(section);
        let parsed = read(text.unwrap_or(&configured))?;
        let before = read(&self.section(section).text)?;
        self.put_into_force(parsed)?;
        let mut changed = self.settings.changed().clone();
        *changed.section(section) = text.map(str::to_owned);
        // What will not be there after the next start must not be there now.
        self.settings.write(changed).inspect_err(|_| {
            if let Err(error) = self.put_into_force(before) {
                tracing::error!("{} is not as it was before: {error:?}", key(section));
            }
        })
    }

    fn receivers(&self) -> Vec<Receiver> {
        self.receiving.listening().receivers
    }

    fn config_file(&self) -> Option<String> {
        self.settings.0.config_file.as_ref().map(|file| file.path.display().to_string())
    }
}
