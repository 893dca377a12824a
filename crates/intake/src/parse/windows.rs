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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Evtx,
    Winlogbeat,
    Winlogbeat6,
    Flat,
}

/// Where a field goes.
enum Place<'a> {
    Keep,
    Drop,
    To(&'static str),
    Under(&'static str, &'a str),
}

/// Renames the fields of a Windows event.
pub(crate) fn normalise(draft: &mut Draft, vocabulary: &Vocabulary) -> Result<(), NotMine> {
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
        Some(shape) => rename(draft, vocabulary, shape),
        None => {
            let span = draft.text_of(known.message).ok_or(NotMine)?;
            draft.remove(known.message);
            if !xml::event(draft, vocabulary, span) {
                return Err(NotMine);
            }
        }
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

fn rename(draft: &mut Draft, vocabulary: &Vocabulary, shape: Shape) {
    let mut name = String::new();
    for at in 0..draft.slots.len() {
        if !draft.slots[at].own || draft.slots[at].name == Name::Gone {
            continue;
        }
        name.clear();
        name.push_str(draft.name_at(at, vocabulary));
        let place = match shape {
            Shape::Evtx => evtx(&name),
            Shape::Winlogbeat => winlogbeat(&name),
            Shape::Winlogbeat6 => winlogbeat6(&name),
            Shape::Flat => flat(&name),
        };
        let new = match place {
            Place::Keep => continue,
            Place::Drop => Name::Gone,
            Place::To(name) => draft.name(vocabulary, &[name]),
            Place::Under(prefix, leaf) => draft.name(vocabulary, &[prefix, leaf]),
        };
        draft.rename_at(at, new);
    }
}

/// The last part of a dotted name.
fn leaf(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, leaf)| leaf)
}

fn evtx(name: &str) -> Place<'_> {
    let Some(rest) = name.strip_prefix("Event.") else { return Place::Keep };
    if let Some(rest) = rest.strip_prefix("EventData.") {
        return match rest {
            "Data" | "Data.#text" => Place::To("winlog.event_data.Data"),
            "#attributes.xmlns" | "#attributes.Name" => Place::Drop,
            rest => match rest.strip_suffix(".#text") {
                Some(rest) => Place::Under("winlog.event_data.", rest),
                None => Place::Under("winlog.event_data.", rest),
            },
        };
    }
    if let Some(rest) = rest.strip_prefix("UserData.") {
        return match leaf(rest) {
            "#attributes" | "xmlns" | "xmlns:auto-ns2" | "xmlns:auto-ns3" => Place::Drop,
            "#text" => Place::Under("winlog.user_data.", leaf(rest.trim_end_matches(".#text"))),
            leaf if leaf.starts_with("xmlns") => Place::Drop,
            leaf => Place::Under("winlog.user_data.", leaf),
        };
    }
    match rest {
        "System.Provider.#attributes.Name" => Place::To("winlog.provider_name"),
        "System.Provider.#attributes.Guid" => Place::To("winlog.provider_guid"),
        "System.Provider.#attributes.EventSourceName" => Place::To("winlog.event_source_name"),
        "System.EventID" | "System.EventID.#text" => Place::To("winlog.event_id"),
        "System.EventID.#attributes.Qualifiers" => Place::To("winlog.qualifiers"),
        "System.Channel" => Place::To("winlog.channel"),
        "System.Computer" => Place::To("winlog.computer_name"),
        "System.EventRecordID" => Place::To("winlog.record_id"),
        "System.TimeCreated.#attributes.SystemTime" => Place::To("@timestamp"),
        "System.Execution.#attributes.ProcessID" => Place::To("winlog.process.pid"),
        "System.Execution.#attributes.ThreadID" => Place::To("winlog.process.thread.id"),
        "System.Security.#attributes.UserID" => Place::To("winlog.user.identifier"),
        "System.Correlation.#attributes.ActivityID" => Place::To("winlog.activity_id"),
        "System.Correlation.#attributes.RelatedActivityID" => Place::To("winlog.related_activity_id"),
        "System.Level" => Place::To("winlog.level"),
        "System.Task" => Place::To("winlog.task"),
        "System.Opcode" => Place::To("winlog.opcode"),
        "System.Keywords" => Place::To("winlog.keywords"),
        "System.Version" => Place::To("winlog.version"),
        "RenderingInfo.Message" => Place::To("message"),
        // Empty elements and namespaces: syntax, not data.
        "System.Security" | "System.Correlation" | "System.Execution" | "EventData" | "UserData" => Place::Drop,
        rest if rest.contains("xmlns") => Place::Drop,
        rest => Place::Under("winlog.", rest),
    }
}

fn winlogbeat(name: &str) -> Place<'_> {
    match name {
        "winlog.process.thread" => Place::To("winlog.process.thread.id"),
        _ => match name.strip_prefix("winlog.user_data.") {
            Some("xml_name") => Place::Drop,
            Some(rest) if rest.contains('.') => Place::Under("winlog.user_data.", leaf(rest)),
            _ => Place::Keep,
        },
    }
}

fn winlogbeat6(name: &str) -> Place<'_> {
    match name {
        "event_id" => Place::To("winlog.event_id"),
        "log_name" => Place::To("winlog.channel"),
        "computer_name" => Place::To("winlog.computer_name"),
        "source_name" => Place::To("winlog.provider_name"),
        "provider_guid" => Place::To("winlog.provider_guid"),
        "record_number" | "record_id" => Place::To("winlog.record_id"),
        "process_id" => Place::To("winlog.process.pid"),
        "thread_id" => Place::To("winlog.process.thread.id"),
        "level" => Place::To("log.level"),
        "task" => Place::To("winlog.task"),
        "opcode" => Place::To("winlog.opcode"),
        "keywords" => Place::To("winlog.keywords"),
        "activity_id" => Place::To("winlog.activity_id"),
        "related_activity_id" => Place::To("winlog.related_activity_id"),
        "version" => Place::To("winlog.version"),
        "user_data.xml_name" => Place::Drop,
        _ => {
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
    }
}

fn flat(name: &str) -> Place<'_> {
    match name {
        "EventID" => Place::To("winlog.event_id"),
        "Channel" => Place::To("winlog.channel"),
        "Hostname" | "Computer" | "ComputerName" | "MachineName" => Place::To("winlog.computer_name"),
        "SourceName" | "ProviderName" | "Provider_Name" | "Provider" | "EventSourceName" => {
            Place::To("winlog.provider_name")
        }
        "ProviderGuid" | "Provider_Guid" => Place::To("winlog.provider_guid"),
        "RecordNumber" | "EventRecordID" | "RecordID" => Place::To("winlog.record_id"),
        "ExecutionProcessID" => Place::To("winlog.process.pid"),
        "ThreadID" | "ExecutionThreadID" => Place::To("winlog.process.thread.id"),
        "Level" => Place::To("winlog.level"),
        "Keywords" => Place::To("winlog.keywords"),
        "Task" => Place::To("winlog.task"),
        "Opcode" => Place::To("winlog.opcode"),
        "OpcodeValue"
        | "SeverityValue"
        | "Severity"
        | "EventType"
        | "SourceModuleName"
        | "SourceModuleType"
        | "EventReceivedTime"
        | "Category"
        | "ActivityID"
        | "Version"
        | "Activity"
        | "TimeCollected"
        | "TenantId"
        | "MG"
        | "SourceSystem"
        | "ManagementGroupName"
        | "SourceComputerId"
        | "EventOriginId"
        | "Type"
        | "_ResourceId" => Place::Under("winlog.record.", name),
        "Message" => Place::To("message"),
        "TimeCreated" | "EventTime" | "TimeGenerated" | "SystemTime" => Place::To("winlog.time_created"),
        "EventData" => Place::Keep,
        // What the shipper added, in its own names.
        "@timestamp" | "@version" | "tags" | "host" | "port" | "message" | "type" | "fields" => Place::Keep,
        name if name.starts_with('@') || name.contains('.') && name.as_bytes()[0].is_ascii_lowercase() => Place::Keep,
        name => Place::Under("winlog.event_data.", name),
    }
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
    let mut name = String::from("windows.");
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
