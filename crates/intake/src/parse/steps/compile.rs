//! From the YAML of a parser file to [`Step`]s. Every refusal names a piece of the file, so that the loader
//! can point at its line.

use jiff::tz::{Offset, TimeZone};

use super::{Action, Assignments, Condition, Part, Step, Table, Template};
use crate::parse::{
    date::Format,
    grok::{Library, Pattern},
    spec::{Alternative, Constants, OneOrMany, Pairs, Row, StepSpec, When},
    vocabulary::{Sym, Vocabulary},
};

/// Why a step was refused, and the text in the file that it is about.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub message: String,
    pub near: String,
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(near: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal { message: message.into(), near: near.into(), hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Compiles steps.
pub(crate) struct Compiler<'a> {
    pub vocabulary: &'a mut Vocabulary,
    pub library: &'a Library,
}

impl Compiler<'_> {
    /// Compiles the steps of one parser.
    pub fn steps(&mut self, specs: Vec<StepSpec>) -> Result<Vec<Step>, Refusal> {
        specs.into_iter().map(|spec| self.step(spec)).collect()
    }

    fn sym(&mut self, name: &str) -> Result<Sym, Refusal> {
        if name.is_empty() || name.trim() != name {
            return Err(Refusal::new(name, format!("`{name}` is not a field name")));
        }
        Ok(self.vocabulary.intern(name))
    }

    fn optional(&mut self, name: Option<String>) -> Result<Option<Sym>, Refusal> {
        name.map(|name| self.sym(&name)).transpose()
    }

    fn syms(&mut self, names: Vec<String>) -> Result<Vec<Sym>, Refusal> {
        names.into_iter().map(|name| self.sym(&name)).collect()
    }

    fn pairs(&mut self, pairs: Pairs<String>) -> Result<Vec<(Sym, Sym)>, Refusal> {
        pairs.0.into_iter().map(|(from, to)| Ok((self.sym(&from)?, self.sym(&to)?))).collect()
    }

    /// Constants for fields.
    pub fn constants(&mut self, constants: Constants) -> Result<Assignments, Refusal> {
        constants.0.into_iter().map(|(name, values)| Ok((self.sym(&name)?, values.into_vec()))).collect()
    }

    fn template(&mut self, text: &str) -> Result<Template, Refusal> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((plain, behind)) = rest.split_once('{') {
            let (name, after) =
                behind.split_once('}').ok_or_else(|| Refusal::new(text, format!("`{{` without `}}` in `{text}`")))?;
            if !plain.is_empty() {
                parts.push(Part::Text(plain.into()));
            }
            parts.push(Part::Field(self.sym(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Template(parts))
    }

    fn row(&mut self, to: Option<Sym>, row: Row, key: &str) -> Result<Assignments, Refusal> {
        match (row, to) {
            (Row::Value(value), Some(to)) => Ok(vec![(to, value.into_vec())]),
            (Row::Value(_), None) => {
                Err(Refusal::new(key, format!("the row `{key}` is a value, but `to` names no field"))
                    .hint("add `to: some.field`, or make every row a mapping of fields"))
            }
            (Row::Fields(fields), None) => self.constants(fields),
            (Row::Fields(_), Some(_)) => {
                Err(Refusal::new(key, format!("the row `{key}` is a mapping, but `to` names one field")))
            }
        }
    }

    fn step(&mut self, spec: StepSpec) -> Result<Step, Refusal> {
        let when = spec.when.clone().map(|when| self.condition(when)).transpose()?;
        let mut actions = Vec::new();
        self.text_actions(&spec, &mut actions)?;
        self.field_actions(spec, &mut actions)?;
        match (actions.pop(), actions.is_empty()) {
            (Some(action), true) => Ok(Step { when, action }),
            (None, _) => Err(Refusal::new("when", "a step without an action").hint("name one: grok, kv, set, copy, …")),
            (Some(_), false) => Err(Refusal::new("steps", "a step with more than one action")
                .hint("write each action as its own list item, beginning with `- `")),
        }
    }

    fn text_actions(&mut self, spec: &StepSpec, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if let Some(grok) = &spec.grok {
            let mut patterns = Vec::new();
            for alternative in &grok.patterns {
                let (text, set) = match alternative.clone() {
                    Alternative::Plain(text) => (text, Constants::default()),
                    Alternative::With { pattern, set } => (pattern, set),
                };
                let pattern = Pattern::compile(&text, self.library, self.vocabulary)
                    .map_err(|message| Refusal::new(text, message))?;
                patterns.push((pattern, self.constants(set)?));
            }
            if patterns.is_empty() {
                return Err(Refusal::new("match", "grok without a pattern"));
            }
            actions.push(Action::Grok { field: self.sym(&grok.field)?, patterns, required: grok.required });
        }
        if let Some(kv) = &spec.kv {
            if kv.separator.is_empty() || kv.pairs.as_deref() == Some("") {
                return Err(Refusal::new("kv", "an empty separator"));
            }
            actions.push(Action::KeyValue {
                field: self.sym(&kv.field)?,
                prefix: kv.prefix.as_str().into(),
                pairs: kv.pairs.as_deref().map(Into::into),
                separator: kv.separator.as_str().into(),
                escapes: kv.escapes,
            });
        }
        if let Some(json) = &spec.json {
            let prefix = json.prefix.trim_end_matches('.').into();
            actions.push(Action::Json { field: self.sym(&json.field)?, prefix, required: json.required });
        }
        if let Some(csv) = &spec.csv {
            let columns = csv
                .columns
                .iter()
                .map(|name| if name.is_empty() { Ok(None) } else { self.sym(name).map(Some) })
                .collect::<Result<_, _>>()?;
            actions.push(Action::Csv { field: self.sym(&csv.field)?, separator: csv.separator, columns });
        }
        if let Some(cef) = &spec.cef {
            if !cef.prefix.is_empty() {
                return Err(Refusal::new(cef.prefix.clone(), "cef has no prefix: its fields are named `cef.…`"));
            }
            actions.push(Action::Cef { field: self.sym(&cef.field)?, required: cef.required });
        }
        if let Some(leef) = &spec.leef {
            if !leef.prefix.is_empty() {
                return Err(Refusal::new(leef.prefix.clone(), "leef has no prefix: its fields are named `leef.…`"));
            }
            actions.push(Action::Leef { field: self.sym(&leef.field)?, required: leef.required });
        }
        if let Some(entries) = spec.entries.clone() {
            let values: Vec<Box<str>> = entries.value.into_vec().into_iter().map(Into::into).collect();
            let is_name = |name: &str| !name.is_empty() && name.trim() == name && !name.ends_with('.');
            let are_names = is_name(&entries.list) && is_name(&entries.key) && is_name(&entries.to);
            if !are_names || values.is_empty() || !values.iter().all(|value| is_name(value)) {
                return Err(Refusal::new("entries", "entries needs the names of a list, a key, values, and a field")
                    .hint(
                        "entries: {list: events.parameters, key: name, value: [value, intValue], to: my.parameters}",
                    ));
            }
            actions.push(Action::Entries {
                list: entries.list.into(),
                key: entries.key.into(),
                values,
                to: entries.to.into(),
            });
        }
        Ok(())
    }

    fn field_actions(&mut self, spec: StepSpec, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if spec.windows.is_some() {
            actions.push(Action::Windows);
        }
        if spec.auditd.is_some() {
            actions.push(Action::Auditd);
        }
        if let Some(date) = spec.date {
            let formats = date
                .formats
                .into_vec()
                .into_iter()
                .map(|name| {
                    Format::parse(&name).ok_or_else(|| {
                        Refusal::new(name.clone(), format!("`{name}` is not a date format")).hint(
                            "one of iso, syslog, clf, ctime, unix, unix_ms, unix_us, or a strptime pattern such as %d.%m.%Y",
                        )
                    })
                })
                .collect::<Result<_, _>>()?;
            let zone = date.zone.as_deref().map(zone).transpose()?;
            actions.push(Action::Date { field: self.sym(&date.field)?, formats, zone, keep: date.keep });
        }
        if let Some(address) = spec.address {
            actions.push(Action::Address {
                field: self.sym(&address.field)?,
                ip: self.optional(address.ip)?,
                port: self.optional(address.port)?,
                domain: self.optional(address.domain)?,
            });
        }
        if let Some(fields) = spec.lowercase {
            actions.push(Action::Lowercase(self.syms(fields.into_vec())?));
        }
        if let Some(pairs) = spec.basename {
            actions.push(Action::Basename(self.pairs(pairs)?));
        }
        if let Some(pairs) = spec.rename {
            actions.push(Action::Rename(self.pairs(pairs)?));
        }
        if let Some(pairs) = spec.copy {
            let pairs = pairs.0.into_iter().map(|(from, to)| Ok((self.sym(&from)?, self.syms(to.into_vec())?)));
            actions.push(Action::Copy(pairs.collect::<Result<_, Refusal>>()?));
        }
        if let Some(constants) = spec.set {
            actions.push(Action::Set(self.constants(constants)?));
        }
        if let Some(constants) = spec.default {
            actions.push(Action::Default(self.constants(constants)?));
        }
        if let Some(pairs) = spec.compose {
            let pairs = pairs.0.into_iter().map(|(to, text)| Ok((self.sym(&to)?, self.template(&text)?)));
            actions.push(Action::Compose(pairs.collect::<Result<_, Refusal>>()?));
        }
        if let Some(fields) = spec.remove {
            actions.push(Action::Remove(self.syms(fields.into_vec())?));
        }
        if let Some(lookup) = spec.lookup {
            let to = self.optional(lookup.to)?;
            let mut rows = hashbrown::HashMap::new();
            for (key, row) in lookup.table.0 {
                let assignments = self.row(to, row, &key)?;
                rows.insert(if lookup.ignore_case { key.to_lowercase() } else { key }.into(), assignments);
            }
            let default = lookup.default.map(|row| self.row(to, row, "default")).transpose()?;
            let field = self.sym(&lookup.field)?;
            actions.push(Action::Lookup(Table { field, rows, default, ignore_case: lookup.ignore_case }));
        }
        if let Some(pairs) = spec.convert {
            let pairs = pairs.0.into_iter().map(|(name, kind)| Ok((self.sym(&name)?, kind)));
            actions.push(Action::Convert(pairs.collect::<Result<_, Refusal>>()?));
        }
        if let Some(split) = spec.split {
            if split.separator.is_empty() || split.into.is_none() == split.to.is_empty() {
                return Err(Refusal::new("split", "split needs a separator, and either `into` or `to`"));
            }
            actions.push(Action::Split {
                field: self.sym(&split.field)?,
                separator: split.separator.into(),
                into: self.optional(split.into)?,
                to: self.syms(split.to)?,
            });
        }
        if let Some(prefix) = spec.prefix {
            actions.push(Action::Prefix(self.template(&prefix)?));
        }
        if let Some(names) = spec.lift {
            let names = names.into_vec().into_iter().map(|name| name.trim_end_matches('.').into());
            actions.push(Action::Lift(names.collect()));
        }
        if let Some(when) = spec.require {
            actions.push(Action::Require(self.condition(when)?));
        }
        if let Some(steps) = spec.steps {
            actions.push(Action::Steps(self.steps(steps)?));
        }
        Ok(())
    }

    fn condition(&mut self, when: When) -> Result<Condition, Refusal> {
        let mut all = Vec::new();
        let texts =
            |values: OneOrMany<String>| values.into_vec().into_iter().map(Into::into).collect::<Vec<Box<str>>>();
        let tests = [
            when.exists.is_some(),
            when.equals.is_some(),
            when.matches.is_some(),
            when.starts.is_some(),
            when.contains.is_some(),
        ];
        match &when.field {
            Some(name) => {
                let field = self.sym(name)?;
                if !tests.contains(&true) {
                    return Err(Refusal::new(name.clone(), format!("the condition on `{name}` says nothing about it"))
                        .hint("add exists, equals, matches, starts or contains"));
                }
                if let Some(exists) = when.exists {
                    let condition = Condition::Exists(field);
                    all.push(if exists { condition } else { Condition::Not(Box::new(condition)) });
                }
                if let Some(values) = when.equals {
                    all.push(Condition::Equals(
                        field,
                        values.into_vec().into_iter().map(|value| value.to_text().into()).collect(),
                    ));
                }
                if let Some(pattern) = when.matches {
                    let regex = regex::Regex::new(&pattern)
                        .map_err(|error| Refusal::new(pattern, error.to_string().replace('\n', " ")))?;
                    all.push(Condition::Matches(field, regex));
                }
                if let Some(values) = when.starts {
                    all.push(Condition::Starts(field, texts(values)));
                }
                if let Some(values) = when.contains {
                    all.push(Condition::Contains(field, texts(values)));
                }
            }
            None if tests.contains(&true) => {
                return Err(Refusal::new("when", "a condition without `field`"));
            }
            None => {}
        }
        if let Some(conditions) = when.all {
            for condition in conditions {
                all.push(self.condition(condition)?);
            }
        }
        if let Some(conditions) = when.any {
            let any = conditions.into_iter().map(|condition| self.condition(condition));
            all.push(Condition::Any(any.collect::<Result<_, _>>()?));
        }
        if let Some(condition) = when.not {
            all.push(Condition::Not(Box::new(self.condition(*condition)?)));
        }
        match all.len() {
            0 => Err(Refusal::new("when", "an empty condition")),
            1 => Ok(all.remove(0)),
            _ => Ok(Condition::All(all)),
        }
    }
}

fn zone(text: &str) -> Result<TimeZone, Refusal> {
    let refusal = || {
        Refusal::new(text, format!("`{text}` is not a time zone")).hint("UTC, +02:00, or a name such as Europe/Berlin")
    };
    if text == "UTC" {
        return Ok(TimeZone::UTC);
    }
    if let Some((sign, rest)) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))
    {
        let (hours, minutes) = rest.split_once(':').ok_or_else(refusal)?;
        let seconds = hours
            .parse::<i32>()
            .ok()
            .zip(minutes.parse::<i32>().ok())
            .map(|(hours, minutes)| hours * 3600 + minutes * 60);
        let offset = seconds.and_then(|seconds| Offset::from_seconds(sign * seconds).ok()).ok_or_else(refusal)?;
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(text).map_err(|_| refusal())
}
