//! Windows events in one normal form, whatever shipped them.
//!
//! Inputs: the JSON that the `evtx` crate renders, Winlogbeat 7 and later (`winlog.*`), Winlogbeat 6
//! (`event_data.*`), flat records with native names (`EventID`, `Image`, …), Azure's `SecurityEvent`, and the
//! XML of `wevtutil` or Sysmon for Linux. Output: `winlog.*` with `winlog.event_data.<Name>` and
//! `winlog.user_data.<Name>`, and the few fields that all Windows events share.

use super::{
    date::Format,
    draft::{Draft, Name, Span, Val},
    emit,
    steps::NotMine,
    vocabulary::Vocabulary,
    xml,
};

/// Who rendered the event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Evtx,
    Winlogbeat,
    Winlogbeat6,
    Flat,
}

/// Where a field goes.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    Keep,
    Drop,
    To(&'static str),
    Under(&'static str, &'a str),
}

/// Where a field of a known name goes.
#[derive(Clone, Copy, Debug)]
enum Move {
    Keep,
    To(Name),
    /// In no list, and to a name that no parser mentions.
    Spell,
}

/// For every shape and every known name where its field goes, worked out once.
#[derive(Debug)]
pub(crate) struct Moves([Vec<Move>; 4]);

impl Moves {
    /// Adds the names under which each shape has the fields that parsers mention; after this, the vocabulary may not
    /// change any more.
    pub fn new(vocabulary: &mut Vocabulary) -> Moves {
        let data: Vec<String> = vocabulary
            .names()
            .filter_map(|name| name.strip_prefix("winlog.event_data."))
            .flat_map(|leaf| [format!("Event.EventData.{leaf}"), format!("event_data.{leaf}"), leaf.to_owned()])
            .collect();
        for name in data {
            vocabulary.intern(&name);
        }
        for (name, place) in [EVTX, WINLOGBEAT, WINLOGBEAT6, FLAT].into_iter().flatten() {
            vocabulary.intern(name);
            match place {
                Place::Keep | Place::Drop => continue,
                Place::To(name) => vocabulary.intern(name),
                Place::Under(prefix, leaf) => vocabulary.intern(&format!("{prefix}{leaf}")),
            };
        }
        let moves = |shape| vocabulary.names().map(|name| known(vocabulary, shape, name)).collect();
        Moves([Shape::Evtx, Shape::Winlogbeat, Shape::Winlogbeat6, Shape::Flat].map(moves))
    }
}

/// Where the field of a known name goes.
fn known(vocabulary: &Vocabulary, shape: Shape, name: &str) -> Move {
    let list: &[(&str, Place<'static>)] = match shape {
        Shape::Evtx => EVTX,
        Shape::Winlogbeat => WINLOGBEAT,
        Shape::Winlogbeat6 => WINLOGBEAT6,
        Shape::Flat => FLAT,
    };
    let listed = list.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
    let new = match listed.unwrap_or_else(|| place(shape, name)) {
        Place::Keep => return Move::Keep,
        Place::Drop => return Move::To(Name::Gone),
        Place::To(name) => vocabulary.find(name),
        Place::Under(prefix, leaf) => vocabulary.find(&format!("{prefix}{leaf}")),
    };
    new.map_or(Move::Spell, |sym| Move::To(Name::Sym(sym)))
}

/// Renames the fields of a Windows event.
pub(crate) fn normalise(draft: &mut Draft, vocabulary: &Vocabulary, moves: &Moves) -> Result<(), NotMine> {
    let known = vocabulary.known;
    let shape = if draft.has(known.evtx_event_id) || draft.has(known.evtx_event_id_text) {
        Some(Shape::Evtx)
    } else if draft.has(known.winlog_event_id) || draft.has(known.winlog_channel) {
        Some(Shape::Winlogbeat)
    } else if draft.has(known.beat6_event_id) && draft.has(known.beat6_log_name) {
        Some(Shape::Winlogbeat6)
    } else if draft.has(known.flat_event_id) {
        Some(Shape::Flat)
    } else {
        None
    };
    match shape {
        Some(shape) => rename(draft, vocabulary, moves, shape),
        None => {
            let span = draft.text_of(known.message).ok_or(NotMine)?;
            draft.remove(known.message);
            if !xml::event(draft, vocabulary, span) {
                return Err(NotMine);
            }
        }
    }
    if shape == Some(Shape::Flat) {
        event_type(draft, vocabulary);
    }
    if shape == Some(Shape::Flat)
        && let Some(data) = draft.text_of(known.flat_event_data)
        && draft.str(data).starts_with("<EventData")
        && xml::event(draft, vocabulary, data)
    {
        draft.remove(known.flat_event_data);
    }
    finish(draft, vocabulary)
}

/// What NXLog's `EventType` can be, <https://docs.nxlog.co/refman/current/im/msvistalog.html>.
const NXLOG_TYPES: [&str; 7] = ["CRITICAL", "ERROR", "AUDIT_FAILURE", "AUDIT_SUCCESS", "INFO", "WARNING", "VERBOSE"];

/// NXLog gives every event an `EventType`. Sysmon's events of the registry and of pipes have one of their own.
fn event_type(draft: &mut Draft, vocabulary: &Vocabulary) {
    let known = vocabulary.known;
    if let (Some(at), Some(kind)) = (draft.position(known.winlog_record_type), draft.text_of(known.winlog_record_type))
        && !NXLOG_TYPES.contains(&draft.str(kind))
    {
        draft.rename_at(at, Name::Sym(known.winlog_event_type));
    }
}

fn rename(draft: &mut Draft, vocabulary: &Vocabulary, moves: &Moves, shape: Shape) {
    let moves = &moves.0[shape as usize];
    let mut name = String::new();
    for at in 0..draft.slots.len() {
        let slot = draft.slots[at];
        if !slot.own {
            continue;
        }
        let moved = match slot.name {
            Name::Gone => continue,
            Name::Sym(sym) => moves[sym.index()],
            Name::Text(_) => Move::Spell,
        };
        let new = match moved {
            Move::Keep => continue,
            Move::To(name) => name,
            Move::Spell => {
                name.clear();
                name.push_str(draft.name_at(at, vocabulary));
                match place(shape, &name) {
                    Place::Keep => continue,
                    Place::Drop => Name::Gone,
                    Place::To(name) => draft.name(vocabulary, &[name]),
                    Place::Under(prefix, leaf) => draft.name(vocabulary, &[prefix, leaf]),
                }
            }
        };
        draft.rename_at(at, new);
    }
}

/// The last part of a dotted name.
fn leaf(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, leaf)| leaf)
}

/// Where a field goes that is in no list.
fn place(shape: Shape, name: &str) -> Place<'_> {
    match shape {
        Shape::Evtx => evtx(name),
        Shape::Winlogbeat => winlogbeat(name),
        Shape::Winlogbeat6 => winlogbeat6(name),
        Shape::Flat => flat(name),
    }
}

/// Where the fields go that a shape has for all events.
type List = &'static [(&'static str, Place<'static>)];

const EVTX: List = &[
    ("Event.System.Provider.#attributes.Name", Place::To("winlog.provider_name")),
    ("Event.System.Provider.#attributes.Guid", Place::To("winlog.provider_guid")),
    ("Event.System.Provider.#attributes.EventSourceName", Place::To("winlog.event_source_name")),
    ("Event.System.EventID", Place::To("winlog.event_id")),
    ("Event.System.EventID.#text", Place::To("winlog.event_id")),
    ("Event.System.EventID.#attributes.Qualifiers", Place::To("winlog.qualifiers")),
    ("Event.System.Channel", Place::To("winlog.channel")),
    ("Event.System.Computer", Place::To("winlog.computer_name")),
    ("Event.System.EventRecordID", Place::To("winlog.record_id")),
    ("Event.System.TimeCreated.#attributes.SystemTime", Place::To("@timestamp")),
    ("Event.System.Execution.#attributes.ProcessID", Place::To("winlog.process.pid")),
    ("Event.System.Execution.#attributes.ThreadID", Place::To("winlog.process.thread.id")),
    ("Event.System.Security.#attributes.UserID", Place::To("winlog.user.identifier")),
    ("Event.System.Correlation.#attributes.ActivityID", Place::To("winlog.activity_id")),
    ("Event.System.Correlation.#attributes.RelatedActivityID", Place::To("winlog.related_activity_id")),
    ("Event.System.Level", Place::To("winlog.level")),
    ("Event.System.Task", Place::To("winlog.task")),
    ("Event.System.Opcode", Place::To("winlog.opcode")),
    ("Event.System.Keywords", Place::To("winlog.keywords")),
    ("Event.System.Version", Place::To("winlog.version")),
    ("Event.RenderingInfo.Message", Place::To("message")),
    ("Event.EventData.Data", Place::To("winlog.event_data.Data")),
    ("Event.EventData.Data.#text", Place::To("winlog.event_data.Data")),
    ("Event.EventData.#attributes.xmlns", Place::Drop),
    ("Event.EventData.#attributes.Name", Place::Drop),
    // Empty elements and namespaces: syntax, not data.
    ("Event.System.Security", Place::Drop),
    ("Event.System.Correlation", Place::Drop),
    ("Event.System.Execution", Place::Drop),
    ("Event.EventData", Place::Drop),
    ("Event.UserData", Place::Drop),
];

fn evtx(name: &str) -> Place<'_> {
    let Some(rest) = name.strip_prefix("Event.") else { return Place::Keep };
    if let Some(rest) = rest.strip_prefix("EventData.") {
        return Place::Under("winlog.event_data.", rest.strip_suffix(".#text").unwrap_or(rest));
    }
    if let Some(rest) = rest.strip_prefix("UserData.") {
        return match leaf(rest) {
            "#attributes" => Place::Drop,
            "#text" => Place::Under("winlog.user_data.", leaf(rest.trim_end_matches(".#text"))),
            leaf if leaf.starts_with("xmlns") => Place::Drop,
            leaf => Place::Under("winlog.user_data.", leaf),
        };
    }
    match rest.contains("xmlns") {
        true => Place::Drop,
        false => Place::Under("winlog.", rest),
    }
}

const WINLOGBEAT: List = &[("winlog.process.thread", Place::To("winlog.process.thread.id"))];

fn winlogbeat(name: &str) -> Place<'_> {
    match name.strip_prefix("winlog.user_data.") {
        Some("xml_name") => Place::Drop,
        Some(rest) if rest.contains('.') => Place::Under("winlog.user_data.", leaf(rest)),
        _ => Place::Keep,
    }
}

const WINLOGBEAT6: List = &[
    ("event_id", Place::To("winlog.event_id")),
    ("log_name", Place::To("winlog.channel")),
    ("computer_name", Place::To("winlog.computer_name")),
    ("source_name", Place::To("winlog.provider_name")),
    ("provider_guid", Place::To("winlog.provider_guid")),
    ("record_number", Place::To("winlog.record_id")),
    ("record_id", Place::To("winlog.record_id")),
    ("process_id", Place::To("winlog.process.pid")),
    ("thread_id", Place::To("winlog.process.thread.id")),
    ("level", Place::To("log.level")),
    ("task", Place::To("winlog.task")),
    ("opcode", Place::To("winlog.opcode")),
    ("keywords", Place::To("winlog.keywords")),
    ("activity_id", Place::To("winlog.activity_id")),
    ("related_activity_id", Place::To("winlog.related_activity_id")),
    ("version", Place::To("winlog.version")),
    ("user_data.xml_name", Place::Drop),
];

fn winlogbeat6(name: &str) -> Place<'_> {
    if let Some(rest) = name.strip_prefix("event_data.") {
        Place::Under("winlog.event_data.", rest)
    } else if let Some(rest) = name.strip_prefix("user_data.") {
        Place::Under("winlog.user_data.", leaf(rest))
    } else if let Some(rest) = name.strip_prefix("user.") {
        Place::Under("winlog.user.", rest)
    } else {
        Place::Keep
    }
}

const FLAT: List = &[
    ("EventID", Place::To("winlog.event_id")),
    ("Channel", Place::To("winlog.channel")),
    ("Hostname", Place::To("winlog.computer_name")),
    ("Computer", Place::To("winlog.computer_name")),
    ("ComputerName", Place::To("winlog.computer_name")),
    ("MachineName", Place::To("winlog.computer_name")),
    ("SourceName", Place::To("winlog.provider_name")),
    ("ProviderName", Place::To("winlog.provider_name")),
    ("Provider_Name", Place::To("winlog.provider_name")),
    ("Provider", Place::To("winlog.provider_name")),
    ("EventSourceName", Place::To("winlog.provider_name")),
    ("ProviderGuid", Place::To("winlog.provider_guid")),
    ("Provider_Guid", Place::To("winlog.provider_guid")),
    ("RecordNumber", Place::To("winlog.record_id")),
    ("EventRecordID", Place::To("winlog.record_id")),
    ("RecordID", Place::To("winlog.record_id")),
    ("ExecutionProcessID", Place::To("winlog.process.pid")),
    ("ThreadID", Place::To("winlog.process.thread.id")),
    ("ExecutionThreadID", Place::To("winlog.process.thread.id")),
    ("Level", Place::To("winlog.level")),
    ("Keywords", Place::To("winlog.keywords")),
    ("Task", Place::To("winlog.task")),
    ("Opcode", Place::To("winlog.opcode")),
    ("Message", Place::To("message")),
    ("TimeCreated", Place::To("winlog.time_created")),
    ("EventTime", Place::To("winlog.time_created")),
    ("TimeGenerated", Place::To("winlog.time_created")),
    ("SystemTime", Place::To("winlog.time_created")),
    ("OpcodeValue", Place::Under("winlog.record.", "OpcodeValue")),
    ("SeverityValue", Place::Under("winlog.record.", "SeverityValue")),
    ("Severity", Place::Under("winlog.record.", "Severity")),
    ("EventType", Place::Under("winlog.record.", "EventType")),
    ("SourceModuleName", Place::Under("winlog.record.", "SourceModuleName")),
    ("SourceModuleType", Place::Under("winlog.record.", "SourceModuleType")),
    ("EventReceivedTime", Place::Under("winlog.record.", "EventReceivedTime")),
    ("Category", Place::Under("winlog.record.", "Category")),
    ("ActivityID", Place::Under("winlog.record.", "ActivityID")),
    ("Version", Place::Under("winlog.record.", "Version")),
    ("Activity", Place::Under("winlog.record.", "Activity")),
    ("TimeCollected", Place::Under("winlog.record.", "TimeCollected")),
    ("TenantId", Place::Under("winlog.record.", "TenantId")),
    ("MG", Place::Under("winlog.record.", "MG")),
    ("SourceSystem", Place::Under("winlog.record.", "SourceSystem")),
    ("ManagementGroupName", Place::Under("winlog.record.", "ManagementGroupName")),
    ("SourceComputerId", Place::Under("winlog.record.", "SourceComputerId")),
    ("EventOriginId", Place::Under("winlog.record.", "EventOriginId")),
    ("Type", Place::Under("winlog.record.", "Type")),
    ("_ResourceId", Place::Under("winlog.record.", "_ResourceId")),
    ("EventData", Place::Keep),
    // What the shipper added, in its own names.
    ("@timestamp", Place::Keep),
    ("@version", Place::Keep),
    ("tags", Place::Keep),
    ("host", Place::Keep),
    ("port", Place::Keep),
    ("message", Place::Keep),
    ("type", Place::Keep),
    ("fields", Place::Keep),
];

fn flat(name: &str) -> Place<'_> {
    let is_shippers = name.starts_with('@') || name.contains('.') && name.as_bytes()[0].is_ascii_lowercase();
    if is_shippers { Place::Keep } else { Place::Under("winlog.event_data.", name) }
}

/// The fields that all Windows events share.
fn finish(draft: &mut Draft, vocabulary: &Vocabulary) -> Result<(), NotMine> {
    let known = vocabulary.known;
    // The number itself, and as text for `event.code`.
    let id = match draft.get(known.winlog_event_id) {
        Some(Val::Int(int)) => Some(int),
        Some(Val::Str(span)) => emit::integer(draft.str(span)),
        _ => None,
    };
    if let Some(id) = id {
        draft.set(known.winlog_event_id, Val::Int(id));
        draft.set(known.code, Val::Int(id));
    }
    if let Some(provider) = draft.get(known.winlog_provider) {
        draft.set(known.provider, provider);
    }
    if let Some(computer) = draft.get(known.winlog_computer) {
        // A collector puts its own name into host.name.
        if let (Some(host), Val::Str(name)) = (draft.text_of(known.host), computer)
            && !draft.str(host).eq_ignore_ascii_case(draft.str(name))
        {
            draft.set(known.observer, Val::Str(host));
        }
        draft.set(known.host, computer);
    }
    time(draft, vocabulary);
    // Analytic logs have no channel; their provider names the data set.
    if let Some(span) = draft.text_of(known.winlog_channel).or_else(|| draft.text_of(known.winlog_provider)) {
        dataset(draft, vocabulary, span);
    }
    Ok(())
}

fn time(draft: &mut Draft, vocabulary: &Vocabulary) {
    let known = vocabulary.known;
    // Flat records often have `TimeCreated` in the machine's own zone without naming it; Sysmon's UtcTime is sure.
    for sym in [known.timestamp, known.winlog_utc_time, known.winlog_time] {
        if let Some(span) = draft.text_of(sym)
            && let Some(time) = Format::Iso.read(draft.str(span), draft.received, &jiff::tz::TimeZone::UTC)
        {
            draft.time = Some(time);
            return;
        }
    }
}

/// `Microsoft-Windows-Sysmon/Operational` → `windows.sysmon_operational`.
fn dataset(draft: &mut Draft, vocabulary: &Vocabulary, channel: Span) {
    let text = draft.str(channel);
    let short = text.strip_prefix("Microsoft-Windows-").unwrap_or(text);
    let mut name = String::with_capacity("windows.".len() + short.len());
    name.push_str("windows.");
    match text {
        "Windows PowerShell" => name.push_str("powershell"),
        "Linux-Sysmon/Operational" => name.push_str("sysmon_operational"),
        _ => name.extend(short.chars().take(128).map(|char| match char {
            'A'..='Z' => char.to_ascii_lowercase(),
            '/' | ' ' | '-' => '_',
            other => other,
        })),
    }
    let module = match name.as_str() {
        "windows.sysmon_operational" => "sysmon",
        "windows.security" => "security",
        "windows.powershell" | "windows.powershell_operational" => "powershell",
        _ => "windows",
    };
    draft.set_text(vocabulary.known.dataset, &name);
    draft.set_text(vocabulary.known.module, module);
}
