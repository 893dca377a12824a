//! Sigma documents of rules and their chains.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::{Asked, Chain, Chains, Ruleset},
    condition,
    names::{self, Log},
    report::{Conversion, File, Line, Outcome},
    rule::Rule,
};
use crate::yaml::Lines;

/// Largest file; our engine reads two mebibytes.
const MAX_FILE_BYTES: usize = 2 << 20;
/// Most bytes of all files together.
const MAX_BYTES: usize = 256 << 20;
/// The time that Wazuh counts in where a rule says nothing.
const DEFAULT_TIMEFRAME: u32 = 360;
/// Most values of a filter, and most fields of `group-by`, in our engine.
const MAX_FILTER_VALUES: usize = 10_000;
const MAX_FIELDS: usize = 16;
/// Most lines of a file: each is a value at most, and our engine reads 250,000.
const MAX_LINES: usize = 200_000;
/// Most rules of one correlation.
const MAX_MEMBERS: usize = 64;

/// Documents that stand for events of a rule, by the number of the rule: their ids and logs.
type Standing = BTreeMap<u32, BTreeSet<(String, Log)>>;

/// Converts all rules that are not only parents.
pub(super) fn rules(ruleset: &Ruleset<'_>, conversion: &mut Conversion) {
    let mut standing = Standing::new();
    let wanted = || (0..ruleset.rules.len()).filter(|at| !ruleset.rules[*at].parent_only);
    for at in wanted().filter(|at| ruleset.rules[*at].alerts()) {
        let rule = &ruleset.rules[at];
        let done = match rule.is_composite() {
            true => correlation(ruleset, at),
            false => single(ruleset, at),
        };
        for (rule, id, log) in finish(conversion, rule, done, "") {
            standing.entry(rule).or_default().insert((id, log));
        }
    }
    // Exceptions come last: they are put into what stands there by now.
    for at in wanted().filter(|at| !ruleset.rules[*at].alerts()) {
        let rule = &ruleset.rules[at];
        match exception(ruleset, at, &standing) {
            Ok(None) => {
                let line = Line {
                    file: rule.file.clone(),
                    line: rule.line,
                    id: Some(rule.id),
                    title: rule.description.clone(),
                    outcome: Outcome::Parent,
                    notes: vec![],
                };
                conversion.report.push(line);
            }
            Ok(Some(done)) => {
                finish(conversion, rule, Ok(done), "_filter");
            }
            Err(reason) => {
                finish(conversion, rule, Err(reason), "");
            }
        }
    }
    conversion.files.sort_by(|a, b| a.name.cmp(&b.name));
    conversion.report.sort_by(|a, b| (&a.file, a.line, a.id).cmp(&(&b.file, b.line, b.id)));
}

/// What was made of a rule.
#[derive(Default)]
struct Done {
    text: String,
    /// What differs.
    notes: Vec<String>,
    /// The rules whose events its documents stand for: by number, the document's id and log.
    stands: Vec<(u32, String, Log)>,
}

/// Puts a rule into the conversion; returns what stands for which rules' events.
fn finish(
    conversion: &mut Conversion,
    rule: &Rule,
    done: Result<Done, String>,
    suffix: &str,
) -> Vec<(u32, String, Log)> {
    let mut stands = Vec::new();
    let refused = |reason: String| {
        // A reason that names its place need not name it twice.
        match &rule.refused {
            Some((line, reason)) => Line::refused(&rule.file, *line, Some(rule.id), &rule.description, reason.clone()),
            None => {
                let own = format!("{}:", rule.file);
                let place = reason.strip_prefix(&own).and_then(|rest| rest.split_once(": "));
                match place.and_then(|(line, reason)| Some((line.parse().ok()?, reason))) {
                    Some((line, reason)) => {
                        Line::refused(&rule.file, line, Some(rule.id), &rule.description, reason.to_owned())
                    }
                    None => Line::refused(&rule.file, rule.line, Some(rule.id), &rule.description, reason),
                }
            }
        }
    };
    let line = match done {
        Ok(Done { text, .. }) if text.len() > MAX_FILE_BYTES => {
            refused(format!("it would be larger than {MAX_FILE_BYTES} bytes"))
        }
        Ok(Done { text, .. }) if text.lines().count() > MAX_LINES => {
            refused(format!("it would have more than {MAX_LINES} lines"))
        }
        Ok(Done { text, .. }) if conversion.bytes + text.len() > MAX_BYTES => {
            refused(format!("all files together would be larger than {MAX_BYTES} bytes"))
        }
        Ok(Done { text, mut notes, stands: own }) => {
            stands = own;
            conversion.bytes += text.len();
            conversion.files.push(File { name: format!("wazuh_{}{suffix}.yml", rule.id), text });
            notes.extend(rule.notes.iter().cloned());
            notes.sort();
            notes.dedup();
            let outcome = if notes.is_empty() { Outcome::Converted } else { Outcome::Remarked };
            Line {
                file: rule.file.clone(),
                line: rule.line,
                id: Some(rule.id),
                title: rule.description.clone(),
                outcome,
                notes,
            }
        }
        Err(reason) => refused(reason),
    };
    conversion.report.push(line);
    stands
}

/// A rule over single events: a document for each log that it reads.
fn single(ruleset: &Ruleset<'_>, at: usize) -> Result<Done, String> {
    let rule = &ruleset.rules[at];
    let mut notes = Vec::new();
    if !rule.same.is_empty() || !rule.different.is_empty() {
        notes.push("`same_…` and `different_…` mean nothing without `frequency`".to_owned());
    }
    let chains = ruleset.chains(at)?;
    let asked = ruleset.asked(&chains)?;
    let mut lines = Lines::default();
    let mut stands = Vec::new();
    for one in &asked {
        begin(&mut lines);
        let id = id(rule, &one.log, "rule");
        head(&mut lines, rule, &title(rule), &id);
        body(&mut lines, one)?;
        tail(&mut lines, rule);
        notes.extend(one.notes.iter().cloned());
        stands.push((at as u32, id, one.log.clone()));
    }
    Ok(Done { text: lines.0, notes, stands })
}

/// A rule over several events: rules for the events, and a correlation over them.
fn correlation(ruleset: &Ruleset<'_>, at: usize) -> Result<Done, String> {
    let rule = &ruleset.rules[at];
    if let Some((_, reason)) = &rule.refused {
        return Err(reason.clone());
    }
    let mut notes = Vec::new();
    let (chains, members) = counted(ruleset, at, &mut notes)?;
    let asked = ruleset.asked(&chains)?;
    if asked.len() > MAX_MEMBERS {
        return Err(format!("its events are in more than {MAX_MEMBERS} logs"));
    }
    let frequency = rule.frequency.unwrap_or_else(|| {
        notes.push("without `frequency` Wazuh takes the second event".into());
        2
    });
    let timeframe = rule.timeframe.filter(|seconds| *seconds > 0).unwrap_or_else(|| {
        notes.push(format!("without `timeframe` Wazuh counts in {DEFAULT_TIMEFRAME} s"));
        DEFAULT_TIMEFRAME
    });
    let mut lines = Lines::default();
    let mut stands = Vec::new();
    let mut names = Vec::new();
    for (number, one) in asked.iter().enumerate() {
        begin(&mut lines);
        let id = id(rule, &one.log, "event");
        let name = format!("wazuh_{}_event_{}", rule.id, number + 1);
        lines.entry(0, "title", &format!("{}: an event of it", title(rule)));
        lines.entry(0, "id", &id);
        lines.entry(0, "name", &name);
        lines.entry(0, "status", "test");
        body(&mut lines, one)?;
        lines.entry(0, "level", "informational");
        notes.extend(one.notes.iter().cloned());
        names.push(name);
        stands.extend(members.iter().map(|member| (*member, id.clone(), one.log.clone())));
    }
    begin(&mut lines);
    head(&mut lines, rule, &title(rule), &id(rule, &Log::default(), "correlation"));
    let mut group_by: Vec<String> = rule.same.iter().map(|name| names::grouping(name)).collect();
    if !rule.global_frequency {
        group_by.push("host.name".into());
    }
    let mut different: Vec<String> = rule.different.iter().map(|name| names::grouping(name)).collect();
    for fields in [&mut group_by, &mut different] {
        let mut seen = BTreeSet::new();
        fields.retain(|field| seen.insert(field.clone()));
    }
    if group_by.iter().chain(&different).any(String::is_empty) {
        return Err("a field without a name is the same or different".into());
    }
    if group_by.len().max(different.len()) > MAX_FIELDS {
        return Err(format!("more than {MAX_FIELDS} fields are the same or different"));
    }
    if different.iter().any(|field| group_by.contains(field)) {
        return Err("it wants the same field to be the same and different".into());
    }
    lines.line(0, "correlation:");
    lines.entry(1, "type", if different.is_empty() { "event_count" } else { "value_count" });
    lines.list(1, "rules", &names);
    lines.list(1, "group-by", &group_by);
    lines.raw(1, "timespan", &format!("{timeframe}s"));
    lines.line(1, "condition:");
    match different.as_slice() {
        [] => {}
        [field] => lines.entry(2, "field", field),
        fields => lines.list(2, "field", fields),
    }
    if !different.is_empty() {
        notes.push(format!(
            "`different_…`: here {frequency} different values; Wazuh asks that each differ from the last"
        ));
    }
    if different.len() > 1 {
        notes.push("values of several fields are counted together: it is enough that one of them differs".into());
    }
    lines.raw(2, "gte", &frequency.to_string());
    tail(&mut lines, rule);
    Ok(Done { text: lines.0, notes, stands })
}

/// The chains of the events that are counted, and the rules that those are events of.
fn counted(ruleset: &Ruleset<'_>, at: usize, notes: &mut Vec<String>) -> Result<(Chains, Vec<u32>), String> {
    let rule = &ruleset.rules[at];
    let own = !rule.tests.is_empty() || rule.decoded_as.is_some() || rule.category.is_some();
    let matched = !rule.matched_sid.is_empty() || rule.matched_group.is_some();
    if !matched {
        notes.push("Wazuh counts events before the rule, here all that match it are counted".into());
        return Ok((ruleset.parents(at)?, vec![at as u32]));
    }
    if rule.has_parents() {
        return Err("`<if_sid>` or `<if_group>` beside `<if_matched_…>`".into());
    }
    if own {
        notes.push("its own conditions are asked of every event that is counted; Wazuh asks them of the last".into());
    }
    let mut members = Vec::new();
    for id in &rule.matched_sid {
        let member = ruleset.by_id(*id)?;
        if ruleset.rules[member].level == 0 {
            return Err(format!("rule {id} has level 0; Wazuh does not count its events"));
        }
        members.push(member);
    }
    if let Some(group) = &rule.matched_group {
        let all = ruleset.group(group).iter().copied();
        members.extend(all.filter(|member| *member != at && ruleset.rules[*member].level > 0));
        if members.is_empty() {
            return Err(format!("no rule of these files is in the group `{group}`"));
        }
    }
    let chains = ruleset.joined(&members, own.then_some(at), rule.matched_group.is_none())?;
    Ok((chains, members.into_iter().map(|member| member as u32).collect()))
}

/// A rule without alerts under rules with alerts: a filter for each log; none if nothing stands above it.
fn exception(ruleset: &Ruleset<'_>, at: usize, standing: &Standing) -> Result<Option<Done>, String> {
    let rule = &ruleset.rules[at];
    if rule.is_composite() || !rule.has_parents() {
        return match &rule.refused {
            Some((_, reason)) => Err(reason.clone()),
            None => Ok(None),
        };
    }
    let chains = ruleset.chains(at)?;
    let above = |chain: &Chain| -> BTreeSet<u32> {
        let (_, above) = chain.split_last().unwrap_or((&0, &[]));
        above.iter().copied().filter(|rule| standing.contains_key(rule)).collect()
    };
    let above: BTreeSet<u32> = chains.chains.iter().flat_map(above).collect();
    if above.is_empty() {
        return Ok(None);
    }
    let asked = ruleset.asked(&chains)?;
    let mut lines = Lines::default();
    let mut notes = Vec::new();
    for one in &asked {
        let ids: BTreeSet<&String> = above
            .iter()
            .flat_map(|rule| &standing[rule])
            .filter(|(_, log)| *log == one.log)
            .map(|(id, _)| id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        begin(&mut lines);
        lines.entry(0, "title", &format!("{} (exception)", title(rule)));
        lines.entry(0, "id", &id(rule, &one.log, "filter"));
        logsource(&mut lines, &one.log);
        lines.line(0, "filter:");
        lines.list(1, "rules", &ids.into_iter().cloned().collect::<Vec<_>>());
        let not = super::condition::Expr::Not(Box::new(one.expr.clone())).simplified();
        condition::write(&mut lines, 1, &not, MAX_FILTER_VALUES)?;
        notes.extend(one.notes.iter().cloned());
    }
    if lines.0.is_empty() {
        return Err("an exception to rules of another log".into());
    }
    let names: Vec<String> = above.iter().map(|rule| ruleset.rules[*rule as usize].id.to_string()).collect();
    notes.push(format!("a rule without alerts under rules with alerts became a filter of {}", names.join(", ")));
    Ok(Some(Done { text: lines.0, notes, stands: Vec::new() }))
}

fn begin(lines: &mut Lines) {
    if !lines.0.is_empty() {
        lines.line(0, "---");
    }
}

fn title(rule: &Rule) -> String {
    match rule.description.as_str() {
        "" => format!("Wazuh rule {}", rule.id),
        text => text.chars().take(256).collect(),
    }
}

/// An id that is the same in every conversion, in the form of a UUID (version 8).
fn id(rule: &Rule, log: &Log, role: &str) -> String {
    let of = format!("wazuh\n{}\n{role}\n{}\n{}\n{}", rule.id, log.product, log.category, log.service);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(of.as_bytes()).as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn head(lines: &mut Lines, rule: &Rule, title: &str, id: &str) {
    lines.entry(0, "title", title);
    lines.entry(0, "id", id);
    lines.entry(0, "status", "test");
    let mut description = vec![format!("Converted from Wazuh rule {}.", rule.id)];
    if rule.description.chars().count() > 256 {
        description.insert(0, rule.description.clone());
    }
    description.extend(rule.infos.iter().cloned());
    lines.entry(0, "description", &description.join(" "));
    lines.list(0, "references", &rule.links);
    let attack = rule.techniques.iter().filter(|id| !id.is_empty()).map(|id| format!("attack.{}", id.to_lowercase()));
    let cves = rule.cves.iter().map(|cve| format!("cve.{}", cve.to_lowercase().trim_start_matches("cve-")));
    lines.list(0, "tags", &attack.chain(cves).collect::<Vec<_>>());
}

fn logsource(lines: &mut Lines, log: &Log) {
    lines.line(0, "logsource:");
    log.parts().for_each(|(key, part)| lines.entry(1, key, part));
}

fn body(lines: &mut Lines, asked: &Asked) -> Result<(), String> {
    logsource(lines, &asked.log);
    lines.line(0, "detection:");
    condition::write(lines, 1, &asked.expr, condition::MAX_VALUES)
}

fn tail(lines: &mut Lines, rule: &Rule) {
    lines.entry(0, "level", level(rule.level));
    lines.line(0, "wazuh:");
    lines.raw(1, "id", &rule.id.to_string());
    lines.raw(1, "level", &rule.level.to_string());
    lines.list(1, "groups", &rule.groups);
}

/// Wazuh's 16 levels as Sigma's five.
fn level(level: u8) -> &'static str {
    match level {
        0..=3 => "informational",
        4..=6 => "low",
        7..=11 => "medium",
        12..=14 => "high",
        _ => "critical",
    }
}
