//! The events of each lane.

use std::{collections::HashSet, fs, path::Path};

use anyhow::Context;
use serde_json::{Map, Value};

/// Events of one kind of load.
pub struct Lane {
    pub name: &'static str,
    /// Flat objects as Winlogbeat ships them.
    pub events: Vec<Map<String, Value>>,
}

/// Sysmon's event ids and the categories that SigmaHQ's rules know them by.
const SYSMON: &[(i64, &str)] = &[
    (1, "process_creation"),
    (2, "file_change"),
    (3, "network_connection"),
    (4, "sysmon_status"),
    (5, "process_termination"),
    (6, "driver_load"),
    (7, "image_load"),
    (8, "create_remote_thread"),
    (9, "raw_access_thread"),
    (10, "process_access"),
    (11, "file_event"),
    (12, "registry_event"),
    (13, "registry_set"),
    (14, "registry_rename"),
    (15, "create_stream_hash"),
    (17, "pipe_created"),
    (18, "pipe_created"),
    (19, "wmi_event"),
    (20, "wmi_event"),
    (21, "wmi_event"),
    (22, "dns_query"),
    (23, "file_delete"),
];

const SERVICES: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
    ("Security", "security"),
    ("security", "security"),
    ("System", "system"),
    ("Application", "application"),
    ("Microsoft-Windows-PowerShell/Operational", "powershell"),
    ("Windows PowerShell", "powershell-classic"),
    ("Microsoft-Windows-WMI-Activity/Operational", "wmi"),
    ("Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ("Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
];

/// The two lanes, of `count` events each.
pub fn read(folder: &Path, count: usize) -> anyhow::Result<Vec<Lane>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("{}: unpack the OTRF events there", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let (mut all, mut processes, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        for line in fs::read_to_string(file)?.lines().filter(|line| !line.is_empty()) {
            let Value::Object(event) = serde_json::from_str(line)? else { continue };
            let mut event = event;
            // The rendered message says everything once more.
            event.remove("Message");
            event.remove("message");
            if category(&flat(event.clone())).1 == Some("process_creation") {
                let named = hinted(event.clone());
                let distinct =
                    ["CommandLine", "Image", "ParentImage", "ParentCommandLine"].map(|name| named.get(name).cloned());
                if seen.insert(format!("{distinct:?}")) {
                    processes.push(event.clone());
                }
            }
            all.push(event);
        }
    }
    anyhow::ensure!(!all.is_empty() && !processes.is_empty(), "no events in {}", folder.display());
    let take = count.min(all.len());
    let mix = (0..take).map(|at| all[at * all.len() / take].clone()).collect();
    let process = processes.iter().cycle().take(count).cloned().collect();
    println!("{} events read, {} of them distinct process creations", all.len(), processes.len());
    Ok(vec![Lane { name: "mix", events: mix }, Lane { name: "process", events: process }])
}

/// What Winlogbeat 6 calls the fields that later versions, and this corpus mostly, have at the top.
const OLD_NAMES: [(&str, &str); 4] =
    [("log_name", "Channel"), ("event_id", "EventID"), ("source_name", "SourceName"), ("computer_name", "Hostname")];

/// An event of Winlogbeat 6 as flat as the others.
fn flat(mut event: Map<String, Value>) -> Map<String, Value> {
    if !event.contains_key("log_name") {
        return event;
    }
    for (old, new) in OLD_NAMES {
        event.remove(old).into_iter().for_each(|value| drop(event.insert(new.into(), value)));
    }
    for inner in ["event_data", "user_data"] {
        if let Some(Value::Object(fields)) = event.remove(inner) {
            event.extend(fields);
        }
    }
    event
}

/// The service and the category that SigmaHQ's rules know an event by.
fn category(event: &Map<String, Value>) -> (&'static str, Option<&'static str>) {
    let channel = event.get("Channel").and_then(Value::as_str).unwrap_or_default();
    let service = SERVICES.iter().find(|(known, _)| *known == channel).map_or("other", |(_, service)| service);
    let id = event.get("EventID").and_then(Value::as_i64).unwrap_or_default();
    let category = match (service, id) {
        ("sysmon", id) => SYSMON.iter().find(|(known, _)| *known == id).map(|(_, category)| *category),
        ("security", 4688) => Some("process_creation"),
        ("security", 4689) => Some("process_termination"),
        ("powershell", 4103) => Some("ps_module"),
        ("powershell", 4104) => Some("ps_script"),
        ("powershell-classic", 400) => Some("ps_classic_start"),
        _ => None,
    };
    (service, category)
}

/// What SigmaHQ's mapping calls the fields of these events beside their own names.
const NAMES: &[(&str, i64, &[(&str, &str)])] = &[
    (
        "security",
        4688,
        &[
            ("ParentProcessId", "ProcessId"),
            ("Image", "NewProcessName"),
            ("ParentImage", "ParentProcessName"),
            ("User", "SubjectUserName"),
            ("LogonId", "SubjectLogonId"),
            ("ProcessId", "NewProcessId"),
            ("IntegrityLevel", "MandatoryLabel"),
        ],
    ),
    ("security", 4689, &[("Image", "ProcessName"), ("User", "SubjectUserName")]),
];

/// An event with its log source and the names that SigmaHQ's mapping has for its fields, for an engine that knows
/// neither of itself.
pub fn hinted(event: Map<String, Value>) -> Map<String, Value> {
    let mut event = flat(event);
    let (service, category) = category(&event);
    let id = event.get("EventID").and_then(Value::as_i64).unwrap_or_default();
    let own = NAMES.iter().filter(|(of, number, _)| *of == service && *number == id).flat_map(|(.., names)| *names);
    for (name, from) in own.chain(&[("Provider_Name", "SourceName"), ("Computer", "Hostname")]) {
        if let Some(value) = event.get(*from).cloned() {
            event.insert((*name).into(), value);
        }
    }
    event.insert("product".into(), "windows".into());
    event.insert("service".into(), service.into());
    event.insert("category".into(), category.unwrap_or("other").into());
    event
}
