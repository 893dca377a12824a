//! The field names that the loaded parsers speak of, each with a small number.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use vedette_event::ecs;

/// A field name that some parser mentions. Other names of a record stay text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sym(u32);

impl Sym {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Place and type of a core column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    /// Its index in [`ecs::CORE`].
    pub index: u32,
    /// Its type.
    pub kind: ecs::Kind,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    core: Option<Core>,
}

/// All names; fixed once the parsers are loaded, so that records cannot make it grow.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    entries: Vec<Entry>,
    index: HashMap<Box<str>, Sym, FixedState>,
    /// The names that the engine itself uses.
    pub known: Known,
}

macro_rules! known {
    ($($ident:ident $name:literal),* $(,)?) => {
        /// Names that the engine itself uses.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Known { $(pub $ident: Sym),* }

        impl Known {
            fn new(index: &mut HashMap<Box<str>, Sym, FixedState>, entries: &mut Vec<Entry>) -> Self {
                Known { $($ident: add(index, entries, $name)),* }
            }
        }
    };
}

known! {
    timestamp "@timestamp",
    original "event.original",
    message "message",
    kind "event.kind",
    module "event.module",
    dataset "event.dataset",
    code "event.code",
    provider "event.provider",
    level "log.level",
    host "host.name",
    observer "observer.name",
    process_name "process.name",
    process_pid "process.pid",
    user_id "user.id",
    command_line "process.command_line",
    executable "process.executable",
    args "process.args",
    priority "log.syslog.priority",
    facility "log.syslog.facility.code",
    syslog_severity "log.syslog.severity.code",
    procid "log.syslog.procid",
    msgid "log.syslog.msgid",
    limits "vedette.limits",
    cef_vendor "cef.device.vendor",
    cef_product "cef.device.product",
    cef_version "cef.device.version",
    cef_class "cef.device.event_class_id",
    cef_name "cef.name",
    cef_severity "cef.severity",
    leef_version "leef.version",
    leef_vendor "leef.device.vendor",
    leef_product "leef.device.product",
    leef_product_version "leef.device.version",
    leef_event "leef.device.event_id",
    journal_message "MESSAGE",
    journal_identifier "SYSLOG_IDENTIFIER",
    journal_comm "_COMM",
    journal_boot "_BOOT_ID",
    journal_time "__REALTIME_TIMESTAMP",
    journal_source_time "_SOURCE_REALTIME_TIMESTAMP",
    journal_host "_HOSTNAME",
    journal_pid "_PID",
    journal_syslog_pid "SYSLOG_PID",
    journal_uid "_UID",
    journal_exe "_EXE",
    journal_cmdline "_CMDLINE",
    journal_priority "PRIORITY",
    journal_facility "SYSLOG_FACILITY",
    evtx_event_id "Event.System.EventID",
    evtx_event_id_text "Event.System.EventID.#text",
    winlog_event_id "winlog.event_id",
    winlog_channel "winlog.channel",
    winlog_provider "winlog.provider_name",
    winlog_computer "winlog.computer_name",
    winlog_time "winlog.time_created",
    winlog_utc_time "winlog.event_data.UtcTime",
    winlog_event_type "winlog.event_data.EventType",
    winlog_record_type "winlog.record.EventType",
    flat_event_id "EventID",
    flat_event_data "EventData",
    beat6_event_id "event_id",
    beat6_log_name "log_name",
    audit_type "auditd.type",
    audit_sequence "auditd.sequence",
    audit_node "auditd.node",
    audit_saddr "auditd.data.saddr",
    destination_ip "destination.ip",
    destination_port "destination.port",
    file_path "file.path",
}

fn add(index: &mut HashMap<Box<str>, Sym, FixedState>, entries: &mut Vec<Entry>, name: &str) -> Sym {
    if let Some(sym) = index.get(name) {
        return *sym;
    }
    let sym = Sym(entries.len() as u32);
    let core = ecs::CORE
        .iter()
        .position(|column| column.name == name)
        .map(|at| Core { index: at as u32, kind: ecs::CORE[at].kind });
    entries.push(Entry { name: name.into(), core });
    index.insert(name.into(), sym);
    sym
}

impl Vocabulary {
    /// The core columns and the names that the engine uses.
    pub fn new() -> Self {
        let mut index = HashMap::with_hasher(FixedState::default());
        let mut entries = Vec::new();
        for column in ecs::CORE {
            add(&mut index, &mut entries, column.name);
        }
        let known = Known::new(&mut index, &mut entries);
        Vocabulary { entries, index, known }
    }

    /// The number of `name`, new if need be. Only while parsers are loaded.
    pub fn intern(&mut self, name: &str) -> Sym {
        add(&mut self.index, &mut self.entries, name)
    }

    /// The number of `name` if a parser mentions it.
    #[inline]
    pub fn find(&self, name: &str) -> Option<Sym> {
        self.index.get(name).copied()
    }

    /// The name.
    #[inline]
    pub fn name(&self, sym: Sym) -> &str {
        &self.entries[sym.index()].name
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    /// The core column of that name.
    #[inline]
    pub fn core(&self, sym: Sym) -> Option<Core> {
        self.entries[sym.index()].core
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
