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
use vedette_event::{Diagnostic, Fault};
use vedette_notify::{Notifier, NotifyError, config::Secret};
use vedette_server::{Receiver, Retention, Section, SectionText, SettingsError, SettingsView};
use vedette_store::{Budget, Store};

use super::{receivers::Receiving, whole_file};
use crate::config::{self, Config, FileRead, Receivers, Storage};

mod secrets;

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

    /// A section as it is in force, and whether it was changed here.
    fn section(&self, section: Section) -> (String, bool) {
        let changed = self.changed().section(section).clone();
        let is_changed = changed.is_some();
        (changed.unwrap_or_else(|| self.configured(section)), is_changed)
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

impl Parsed {
    /// Reads a text without checking what it says.
    fn read(section: Section, text: &str) -> Result<Parsed, Diagnostic> {
        Ok(match section {
            Section::Notifications => Parsed::Notifications(config::read(key(section), text)?),
            Section::Receivers => Parsed::Receivers(config::read(key(section), text)?),
        })
    }

    fn check(&self) -> Result<(), Fault> {
        match self {
            Parsed::Notifications(config) => config.check(),
            Parsed::Receivers(config) => config.check(),
        }
    }

    /// The secrets that stand in it.
    fn inline(&self) -> Vec<&str> {
        match self {
            Parsed::Notifications(config) => config.secrets().filter_map(Secret::inline).collect(),
            Parsed::Receivers(config) => config.secrets().filter_map(Secret::inline).collect(),
        }
    }
}

/// Reads and checks a text; where a secret is not shown in it, the one that stands there `before` is kept. Also the text
/// with these secrets. All places are those of the text as it is given.
fn parse(section: Section, text: &str, before: &str) -> Result<(Parsed, String), Diagnostic> {
    let mut parsed = Parsed::read(section, text)?;
    let mut whole = text.to_owned();
    if parsed.inline().contains(&Secret::BLOTTED) {
        let known = Parsed::read(section, before)?;
        whole = secrets::fill(text, before, &known.inline()).map_err(|fault| {
            let hint = "write the secret again, or where it is: `file:/path` or `env:NAME`";
            config::refused(key(section), text, &fault).hint(hint)
        })?;
        parsed = Parsed::read(section, &whole)?;
    }
    parsed.check().map_err(|fault| config::refused(key(section), text, &fault))?;
    Ok((parsed, whole))
}

/// The text without the secrets that stand in it. One that has some is written anew, and loses its comments.
fn shown(section: Section, text: String) -> String {
    let Ok(parsed) = Parsed::read(section, &text) else { return String::new() };
    match parsed.inline() {
        none if none.is_empty() => text,
        known => secrets::blot(&text, &known),
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
    /// `text` is what was read, for the places in it.
    fn put_into_force(&self, parsed: Parsed, text: &str) -> Result<(), SettingsError> {
        match parsed {
            Parsed::Notifications(config) => self.notifier.replace_config(config).map_err(|error| match error {
                NotifyError::Config(fault) => {
                    SettingsError::Wrong(vec![config::refused(key(Section::Notifications), text, &fault)])
                }
                error => SettingsError::Refused(error.to_string()),
            }),
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
        let (text, is_changed) = self.settings.section(section);
        SectionText { text: shown(section, text), is_changed }
    }

    fn check_section(&self, section: Section, text: &str) -> Vec<Diagnostic> {
        parse(section, text, &self.settings.section(section).0).err().into_iter().collect()
    }

    fn set_section(&self, section: Section, text: Option<&str>) -> Result<(), SettingsError> {
        let read =
            |text: &str, before: &str| parse(section, text, before).map_err(|wrong| SettingsError::Wrong(vec![wrong]));
        let _alone = self.settings.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.settings.section(section).0;
        let (given, (parsed, whole)) = match text {
            Some(text) => (text.to_owned(), read(text, &before)?),
            None => {
                let configured = self.settings.configured(section);
                let parsed = read(&configured, "")?;
                (configured, parsed)
            }
        };
        let (parsed_before, _) = read(&before, "")?;
        self.put_into_force(parsed, &given)?;
        let mut changed = self.settings.changed().clone();
        *changed.section(section) = text.is_some().then_some(whole);
        // What will not be there after the next start must not be there now.
        self.settings.write(changed).inspect_err(|_| {
            if let Err(error) = self.put_into_force(parsed_before, &before) {
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
