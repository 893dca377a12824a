//! Rules with their parents: which chains lead to a rule, and what such a chain asks of an event.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use super::{
    condition::{Expr, Item, Value},
    list,
    names::{self, ANY, Kind, Log},
    pattern::{self, Match, Pattern, Syntax},
    rule::{Rule, Test, What},
    time,
};

/// Most chains that lead to one rule.
const MAX_CHAINS: usize = 64;
/// Longest chain.
const MAX_LENGTH: usize = 16;

/// Most bytes of expressions that are read in one conversion, each as often as a chain asks it, and what an expression
/// costs besides.
const MAX_WORK: usize = 512 << 20;
const EXPRESSION_COST: usize = 2_000;

/// Most rules that one `<if_group>` or `<if_level>` means.
const MAX_MEMBERS: usize = 2_000;

/// Rules from the first parent to the rule itself, by their numbers.
pub(super) type Chain = Vec<u32>;

/// All rules, and what is asked of them again and again.
pub(super) struct Ruleset<'a> {
    pub(super) rules: Vec<Rule>,
    pub(super) lists: &'a [(&'a str, &'a str)],
    by_id: HashMap<u32, usize>,
    by_group: HashMap<String, Vec<usize>>,
    /// For each rule that was followed, the chains that lead to it.
    known: HashMap<usize, Result<Rc<Chains>, String>>,
    /// How much more may be asked.
    work: Cell<usize>,
}

/// The chains that lead to a rule.
#[derive(Debug, Default)]
pub(super) struct Chains {
    pub(super) chains: Vec<Chain>,
    pub(super) notes: Vec<String>,
}

/// What chains ask of the events of one log.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) log: Log,
    pub(super) expr: Expr,
    pub(super) notes: Vec<String>,
}

impl<'a> Ruleset<'a> {
    pub(super) fn new(rules: Vec<Rule>, lists: &'a [(&'a str, &'a str)]) -> Self {
        let by_id = rules.iter().enumerate().map(|(at, rule)| (rule.id, at)).collect();
        let mut by_group: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            for group in &rule.groups {
                by_group.entry(group.clone()).or_default().push(at);
            }
        }
        let mut ruleset = Ruleset { rules, lists, by_id, by_group, known: HashMap::new(), work: Cell::new(MAX_WORK) };
        ruleset.follow();
        ruleset
    }

    /// Follows every rule after its parents. Files are hostile: no recursion, and cycles end where they began.
    fn follow(&mut self) {
        let mut seen = vec![false; self.rules.len()];
        for start in 0..self.rules.len() {
            if std::mem::replace(&mut seen[start], true) {
                continue;
            }
            let mut open = vec![(start, self.links(start).map_or_else(|_| Vec::new(), |(links, _)| links))];
            while let Some((at, links)) = open.last_mut() {
                match links.pop() {
                    Some(parent) if std::mem::replace(&mut seen[parent], true) => {}
                    Some(parent) => {
                        let links = self.links(parent).map_or_else(|_| Vec::new(), |(links, _)| links);
                        open.push((parent, links));
                    }
                    None => {
                        let at = *at;
                        open.pop();
                        let found = self.find(at).map(Rc::new);
                        self.known.insert(at, found);
                    }
                }
            }
        }
    }

    /// The rules that a rule names as its parents, and whether it needs all of them.
    fn links(&self, at: usize) -> Result<(Vec<usize>, bool), String> {
        let rule = &self.rules[at];
        let few = |members: Vec<usize>| match members.len() {
            0..=MAX_MEMBERS => Ok((members, false)),
            _ => Err(format!("more than {MAX_MEMBERS} rules")),
        };
        if !rule.if_sid.is_empty() {
            return Ok((rule.if_sid.iter().map(|id| self.by_id(*id)).collect::<Result<_, _>>()?, true));
        }
        if let Some(group) = &rule.if_group {
            let members = self.group(group).iter().copied().filter(|member| *member != at).collect();
            return few(members).map_err(|reason| format!("`<if_group>` {group}: {reason}"));
        }
        if let Some(level) = rule.if_level {
            let members = (0..self.rules.len()).filter(|member| *member != at && self.rules[*member].level >= level);
            return few(members.take(MAX_MEMBERS + 1).collect()).map_err(|reason| format!("`<if_level>`: {reason}"));
        }
        Ok((Vec::new(), true))
    }

    pub(super) fn by_id(&self, id: u32) -> Result<usize, String> {
        self.by_id
            .get(&id)
            .copied()
            .ok_or_else(|| format!("rule {id} is not in these files; give Wazuh's rules as parents"))
    }

    /// The rules of a group.
    pub(super) fn group(&self, name: &str) -> &[usize] {
        self.by_group.get(name).map_or(&[], Vec::as_slice)
    }

    /// The chains that lead to a rule.
    pub(super) fn chains(&self, at: usize) -> Result<Rc<Chains>, String> {
        // Parents are followed first; one that is not known yet is on the way to itself.
        let unknown = || Err(format!("rule {} is a parent of itself", self.rules[at].id));
        self.known.get(&at).cloned().unwrap_or_else(unknown)
    }

    fn find(&self, at: usize) -> Result<Chains, String> {
        let rule = &self.rules[at];
        if rule.is_composite() {
            return Err(format!("rule {} is a correlation, which no rule can refine in Sigma", rule.id));
        }
        self.parents(at)
    }

    /// The chains of what a rule names as its parents, with itself behind them.
    pub(super) fn parents(&self, at: usize) -> Result<Chains, String> {
        let rule = &self.rules[at];
        if let Some((line, reason)) = &rule.refused {
            return Err(format!("{}:{line}: {reason}", rule.file));
        }
        let (links, all) = self.links(at)?;
        if rule.has_parents() {
            let named = |reason: String| match (&rule.if_group, rule.if_level) {
                (Some(group), _) if !all => format!("`<if_group>` {group}: {reason}"),
                (None, Some(level)) if !all => format!("`<if_level>` {level}: {reason}"),
                _ => reason,
            };
            return self.joined(&links, Some(at), all).map_err(named);
        }
        Ok(Chains { chains: vec![vec![at as u32]], notes: Vec::new() })
    }

    /// The chains of all these rules, perhaps with one more at their end. A chain that goes through another of them
    /// adds nothing. Unless all are needed, those that cannot be followed are left out, with a note.
    pub(super) fn joined(&self, members: &[usize], last: Option<usize>, all: bool) -> Result<Chains, String> {
        let mut joined = Chains::default();
        let mut left_out = Vec::new();
        let wanted: HashSet<u32> = members.iter().map(|member| *member as u32).collect();
        for &member in members {
            let found = match self.chains(member) {
                Ok(found) => found,
                Err(reason) if all => return Err(parent_reason(self.rules[member].id, reason)),
                Err(_) => {
                    left_out.push(self.rules[member].id.to_string());
                    continue;
                }
            };
            joined.notes.extend(found.notes.iter().cloned());
            for chain in &found.chains {
                let (_, before) = chain.split_last().unwrap_or((&0, &[]));
                if before.iter().any(|rule| wanted.contains(rule)) {
                    continue;
                }
                if joined.chains.len() == MAX_CHAINS {
                    return Err(format!("more than {MAX_CHAINS} chains of rules lead to it"));
                }
                if chain.len() >= MAX_LENGTH {
                    return Err(format!("a chain of more than {MAX_LENGTH} rules"));
                }
                joined.chains.push(chain.iter().copied().chain(last.map(|last| last as u32)).collect());
            }
        }
        if joined.chains.is_empty() {
            return Err("no rule of these files can be followed".into());
        }
        if !left_out.is_empty() {
            let shown: Vec<&str> = left_out.iter().take(8).map(String::as_str).collect();
            let more = if left_out.len() > 8 { " …" } else { "" };
            joined.notes.push(format!(
                "{} parents are left out, because they cannot be converted: {}{more}",
                left_out.len(),
                shown.join(", ")
            ));
        }
        joined.notes.sort();
        joined.notes.dedup();
        Ok(joined)
    }

    /// What these chains ask, log by log.
    pub(super) fn asked(&self, chains: &Chains) -> Result<Vec<Asked>, String> {
        let mut logs: BTreeMap<Log, (Vec<Expr>, Vec<String>)> = BTreeMap::new();
        for chain in &chains.chains {
            let mut notes = Vec::new();
            let (log, expr) = self.chain(chain, &mut notes)?;
            let entry = logs.entry(log).or_default();
            entry.0.push(expr);
            entry.1.extend(notes);
        }
        let mut asked = Vec::new();
        for (log, (exprs, mut notes)) in logs {
            notes.extend(chains.notes.iter().cloned());
            notes.sort();
            notes.dedup();
            asked.push(Asked { log, expr: Expr::Any(exprs).simplified(), notes });
        }
        Ok(asked)
    }

    fn chain(&self, chain: &[u32], notes: &mut Vec<String>) -> Result<(Log, Expr), String> {
        let rules: Vec<&Rule> = chain.iter().map(|at| &self.rules[*at as usize]).collect();
        let (log, kind) = log(&rules, notes)?;
        let mut all = Vec::new();
        for rule in &rules {
            for test in &rule.tests {
                let cost = EXPRESSION_COST + test.len();
                let left = self.work.get().checked_sub(cost).ok_or("the rules together ask too much")?;
                self.work.set(left);
                let expr = self.test(&log, kind, test, notes);
                all.extend(expr.map_err(|reason| format!("{}:{}: {reason}", rule.file, test.line))?);
            }
        }
        if all.is_empty() {
            // A selection needs something: what every event of the log has.
            all.push(Item::exists("@timestamp"));
        }
        Ok((log, Expr::All(all).simplified()))
    }

    /// A test as a condition; none if every event of the log passes it.
    fn test(&self, log: &Log, kind: Kind, test: &Test, notes: &mut Vec<String>) -> Result<Option<Expr>, String> {
        match &test.what {
            What::Log(syntax, text) => {
                let pattern = pattern::read(*syntax, text)?;
                notes.extend(pattern.notes.iter().cloned());
                let anchored = pattern.alternatives.iter().any(|one| !matches!(one, Match::Contains(_) | Match::Any));
                if kind == Kind::Structure && anchored {
                    notes.push(
                        "an expression for the whole record: Wazuh's text of it is not the same, letter by letter"
                            .into(),
                    );
                }
                let expr = match (kind, *log == ANY) {
                    (Kind::Structure, _) => matches("event.original", &pattern),
                    (Kind::Text, false) => matches("message", &pattern),
                    // Records that no parser has taken apart have no message.
                    (Kind::Text, true) => matches("message", &pattern).map(|expr| {
                        let null = Item {
                            field: "message".into(),
                            modifiers: vec![],
                            values: vec![Value::Plain("null".into())],
                        };
                        let record = matches("event.original", &pattern).unwrap_or(Expr::All(vec![]));
                        Expr::Any(vec![expr, Expr::All(vec![Expr::Item(null), record])])
                    }),
                };
                // Without an expression everything matches.
                let negated = test.negate != pattern.negated;
                match (expr, negated) {
                    (None, false) => Ok(None),
                    (None, true) => Err("an expression that everything matches, negated".into()),
                    (Some(expr), false) => Ok(Some(expr)),
                    (Some(expr), true) => Ok(Some(expr.not())),
                }
            }
            What::Field(name, syntax, text) => self.field(log, kind, test, (name, *syntax, text), notes),
            What::Address(name, addresses) => {
                if addresses.iter().any(|address| address == "any") {
                    return if test.negate { Err("no address at all".into()) } else { Ok(None) };
                }
                let (fields, _) = own_fields(log, kind, name)?;
                let each = fields.iter().map(|field| list::networks(field, addresses)).collect::<Result<_, _>>()?;
                Ok(Some(polar(Expr::Any(each), &fields, test.negate)))
            }
            What::List { field, lookup, list: name, check } => {
                let Some(text) = list::find(self.lists, name) else {
                    return Err(format!("the list `{name}` is not among those given"));
                };
                let (fields, _) = own_fields(log, kind, field)?;
                let (expr, negated) = list::lookup(&fields, lookup, check.as_ref(), text)?;
                Ok(Some(polar(expr, &fields, negated != test.negate)))
            }
            What::Time(text) => {
                notes.push("the time of day is in UTC here; to Wazuh it is the manager's".into());
                let expr = time::read(text)?;
                Ok(Some(if test.negate { expr.not() } else { expr }))
            }
            What::Size(size) => {
                let regex = format!("(?s)^.{{{size}}}");
                pattern::check(&regex, &[])?;
                Ok(Some(Item::text("event.original", &["re"], vec![regex])))
            }
        }
    }

    fn field(
        &self,
        log: &Log,
        kind: Kind,
        test: &Test,
        (name, syntax, text): (&str, Syntax, &str),
        notes: &mut Vec<String>,
    ) -> Result<Option<Expr>, String> {
        let text = if name.starts_with("win.") { pattern::undoubled(syntax, text) } else { text.to_owned() };
        let pattern = pattern::read(syntax, &text)?;
        notes.extend(pattern.notes.iter().cloned());
        let negated = test.negate != pattern.negated;
        // Which integration brought a record is said by its log source here.
        if name == "integration" && *log != ANY {
            return if negated { Err("`integration`, negated".into()) } else { Ok(None) };
        }
        if name == "aws.source" {
            let trail = pattern
                .alternatives
                .iter()
                .all(|one| literal(one).is_some_and(|text| text.eq_ignore_ascii_case("cloudtrail")));
            return if trail && !negated {
                Ok(None)
            } else {
                Err("only CloudTrail's records of AWS have a log source".into())
            };
        }
        let (fields, sure) = own_fields(log, kind, name)?;
        if !sure {
            notes.push(format!("field `{name}` keeps its name; no parser here fills it"));
        }
        let each: Option<Vec<Expr>> = fields.iter().map(|field| matches(field, &pattern)).collect();
        match each {
            // Anything at all, as long as it is there.
            None if negated => Err(format!("`{name}` must not be anything")),
            None => Ok(Some(Expr::Any(fields.iter().map(|field| Item::exists(field)).collect()))),
            Some(each) => Ok(Some(polar(Expr::Any(each), &fields, negated))),
        }
    }
}

/// What a field is called, if Sigma can say its name.
fn own_fields(log: &Log, kind: Kind, name: &str) -> Result<(Vec<String>, bool), String> {
    let (fields, sure) = names::fields(log, kind, name);
    match fields.iter().any(|field| field.is_empty() || field.contains('|')) {
        true => Err(format!("`{name}` is no name of a field in Sigma")),
        false => Ok((fields, sure)),
    }
}

fn parent_reason(id: u32, reason: String) -> String {
    if reason.contains("its parent") || reason.starts_with("rule ") {
        reason
    } else {
        format!("its parent {id} is not converted: {reason}")
    }
}

/// The text of an alternative without wildcards.
fn literal(one: &Match) -> Option<&str> {
    match one {
        Match::Exact(text) | Match::Cased(text) | Match::Starts(text) | Match::Ends(text) | Match::Contains(text) => {
            Some(text)
        }
        Match::Any | Match::Regex(..) => None,
    }
}

/// Negated tests of a field hold only where it is there.
fn polar(expr: Expr, fields: &[String], negate: bool) -> Expr {
    match negate {
        false => expr,
        true => {
            let there = Expr::Any(fields.iter().map(|field| Item::exists(field)).collect());
            Expr::All(vec![there, expr.not()])
        }
    }
}

/// The alternatives over one field; none if it may be anything.
fn matches(field: &str, pattern: &Pattern) -> Option<Expr> {
    let mut items: Vec<(Vec<&'static str>, Vec<String>)> = Vec::new();
    for one in &pattern.alternatives {
        let (modifiers, value) = match one {
            Match::Any => return None,
            Match::Exact(text) => (vec![], pattern::literal(text)),
            Match::Cased(text) => (vec!["cased"], pattern::literal(text)),
            Match::Starts(text) => (vec!["startswith"], pattern::literal(text)),
            Match::Ends(text) => (vec!["endswith"], pattern::literal(text)),
            Match::Contains(text) => (vec!["contains"], pattern::literal(text)),
            Match::Regex(text, modifiers) => (modifiers.clone(), text.clone()),
        };
        match items.iter_mut().find(|(known, _)| *known == modifiers) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => items.push((modifiers, vec![value])),
        }
    }
    Some(Expr::Any(items.into_iter().map(|(modifiers, values)| Item::text(field, &modifiers, values)).collect()))
}

/// Which log a chain of rules reads.
fn log(rules: &[&Rule], notes: &mut Vec<String>) -> Result<(Log, Kind), String> {
    let tests = || rules.iter().flat_map(|rule| &rule.tests);
    let names = || {
        tests().filter_map(|test| match &test.what {
            What::Field(name, ..) => Some(name.as_str()),
            What::List { field, .. } => Some(field.as_str()),
            _ => None,
        })
    };
    let of_fields = names().find_map(names::of_field);
    let mut decoders: Vec<&str> = rules.iter().filter_map(|rule| rule.decoded_as.as_deref()).collect();
    decoders.dedup();
    if decoders.contains(&"") {
        return Err("`<decoded_as>` names no decoder".into());
    }
    if let Some(own) =
        decoders.iter().find(|name| ["ossec", "rootcheck", "ciscat"].contains(name) || name.starts_with("syscheck"))
    {
        return Err(format!("decoder `{own}`: Wazuh's own messages have no counterpart here"));
    }
    match decoders.as_slice() {
        [] => {}
        [name] => {
            return Ok(match names::decoder(name) {
                Some((log, _)) if log == ANY && of_fields.is_some() => (of_fields.unwrap_or_default(), Kind::Structure),
                Some((log, kind)) => {
                    if log == ANY {
                        notes.push("decoder `json`: the rule reads all logs".into());
                    }
                    (log, kind)
                }
                None => {
                    notes.push(format!(
                        "decoder `{name}` is not known: the rule reads events whose `event.dataset` is `{}`",
                        name.to_lowercase()
                    ));
                    (names::of_name(name), Kind::Text)
                }
            });
        }
        [first, second, ..] => return Err(format!("it wants the decoders `{first}` and `{second}` at once")),
    }
    if let Some(category) = rules.iter().rev().find_map(|rule| rule.category.as_deref()) {
        match names::of_category(category) {
            Some((log, kind)) if log != ANY => return Ok((log, kind)),
            Some(_) => {}
            None => return Err(format!("category `{category}` has no counterpart here")),
        }
    }
    if let Some(log) = of_fields {
        return Ok((log, Kind::Structure));
    }
    let program = tests().find_map(|test| match &test.what {
        What::Field(name, syntax, text) if name == "program_name" && !test.negate => {
            let pattern = pattern::read(*syntax, text).ok().filter(|pattern| !pattern.negated)?;
            let programs: Option<Vec<Log>> =
                pattern.alternatives.iter().map(|one| literal(one).and_then(names::of_program)).collect();
            let programs = programs?;
            programs.iter().all(|log| *log == programs[0]).then(|| programs[0].clone())
        }
        _ => None,
    });
    Ok((program.unwrap_or_else(|| ANY.clone()), Kind::Text))
}
