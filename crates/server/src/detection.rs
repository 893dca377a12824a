//! The seam to detection: which rules there are, and rules and parsers that people write here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::{Batch, Diagnostic, Event, Finding, RuleRef, Time};

/// The rules as the detection sees them. Every method may block on the disk.
pub trait RulesView: Send + Sync {
    /// Every loaded rule, also those that somebody turned off.
    fn loaded(&self) -> Vec<LoadedRule>;

    /// Every rule that was refused, and why.
    fn refused(&self) -> Vec<RefusedRule>;

    /// The text of the file that a loaded rule is in; none if there is no such rule, or its file has gone.
    fn text(&self, id: &str) -> Option<String>;

    /// Reads rules without loading them.
    fn check(&self, text: &str) -> CheckedRules;

    /// Why rules match an event, or why they do not: one explanation for each rule over single events, of a correlation
    /// for each that it is made of.
    ///
    /// # Errors
    /// What is wrong with the rules; empty if no rule has the id.
    fn why(&self, rules: &RulesOf, event: &Event<'_>) -> Result<Vec<Explained>, Vec<Diagnostic>>;

    /// Writes a file of the data folder's own rules, and loads it at once. A rule of it takes the place of one that
    /// has the same id elsewhere.
    ///
    /// # Errors
    /// A rule in it is refused, and nothing was written; or it cannot be written.
    fn save(&self, name: &FileName, text: &str) -> Result<Vec<RuleRef>, SaveError>;

    /// Removes a file of the data folder's own rules; false if there is none of this name.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&self, name: &FileName) -> Result<bool, SaveError>;

    /// Turns a loaded rule off, at once and for good; false if there is none of this id.
    ///
    /// # Errors
    /// It cannot be written down.
    fn disable(&self, id: &str, disabled: Disabled) -> Result<bool, SaveError>;

    /// Turns a rule on again; false if it was not turned off.
    ///
    /// # Errors
    /// It cannot be written down.
    fn enable(&self, id: &str) -> Result<bool, SaveError>;
}

/// Who turned a rule off, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub since: Time,
}

/// The parsers that people write. Every method may block on the disk.
pub trait ParsersView: Send + Sync {
    /// What is wrong with a parser; if nothing is, what it and all others make of some records.
    fn check(&self, text: &str, lines: &[String]) -> CheckedParser;

    /// Writes a file of the data folder's own parsers, which is loaded with the next start.
    ///
    /// # Errors
    /// The parser is refused, and nothing was written; or it cannot be written.
    fn save(&self, name: &FileName, text: &str) -> Result<(), SaveError>;
}

/// A parser that was tried.
#[derive(Clone, Debug, Default)]
pub struct CheckedParser {
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// What became of each record, in order; nothing if the parser is wrong.
    pub results: Vec<ParsedLine>,
}

/// A record as it was parsed.
#[derive(Clone, Debug)]
pub struct ParsedLine {
    /// The parser that understood it, `name@version`.
    pub parser: Option<String>,
    /// Its fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Which rules are meant.
#[derive(Clone, Debug)]
pub enum RulesOf {
    /// A loaded one, also one that somebody turned off, by its id.
    Id(String),
    /// Those of a text that may not be saved yet.
    Text(String),
}

/// Why a rule matches an event, or why it does not.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The rule.
    pub rule: RuleRef,
    /// Whether it matches.
    pub matched: bool,
    /// What decided.
    pub lines: Vec<ExplainedLine>,
    /// Everything that was asked and answered.
    pub detail: serde_json::Value,
}

/// A line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedLine {
    /// How far it is indented.
    pub depth: usize,
    /// Whether what it says is true of the event; null for a line that says what the event has.
    pub passed: Option<bool>,
    /// What it says, with values of the event.
    pub text: String,
}

/// A rule that detects.
#[derive(Clone, Debug)]
pub struct LoadedRule {
    /// The rule.
    pub rule: RuleRef,
    /// Its file; `builtin:` and a name for a rule that comes with the binary.
    pub file: String,
    /// `stable`, `test`, `experimental`, ..
    pub status: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// What else could look like it.
    pub false_positives: Vec<String>,
    /// Further reading.
    pub references: Vec<String>,
    /// Which log it reads.
    pub logsource: Logsource,
    /// What it correlates, and how that is going; none for a rule over single events.
    pub correlation: Option<LoadedCorrelation>,
    /// Its findings are only for the correlations over it.
    pub silent: bool,
    /// It comes with the binary.
    pub builtin: bool,
    /// Its file's name if it was written here, so that it can be written again and removed.
    pub own_file: Option<FileName>,
    /// The file of the rule with the same id whose place it takes.
    pub replaces: Option<String>,
    /// Who turned it off, if somebody did.
    pub disabled: Option<Disabled>,
    /// Events since start that its condition was asked of: what it costs.
    pub tried: u64,
    /// When an event of its log source was last received, to about ten seconds; none: never, so that it cannot fire.
    pub source_seen: Option<Time>,
}

/// A correlation that runs, and what it did not see as it should have since its state was begun.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct LoadedCorrelation {
    /// The ids of the rules and correlations it is made of.
    pub rules: Vec<String>,
    /// Groups that something is kept of.
    pub groups: u64,
    /// Matches that came after their time had been looked at.
    pub late: u64,
    /// Matches from too far in the future.
    pub ahead: u64,
    /// Matches without a value to group by or to compute with.
    pub unusable: u64,
    /// Groups that were given up for want of memory.
    pub evicted: u64,
    /// Matches that were looked at before their time, for want of memory.
    pub hurried: u64,
    /// Times that a limit within one group was reached.
    pub cut: u64,
}

/// Which log a rule reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Logsource {
    /// `windows`, `linux`, `aws`, ..
    pub product: Option<String>,
    /// `process_creation`, `webserver`, ..
    pub category: Option<String>,
    /// `security`, `sshd`, `cloudtrail`, ..
    pub service: Option<String>,
}

/// A rule that does not detect.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedRule {
    /// Its file.
    pub file: String,
    /// The line, from 1; 0 where there is none.
    pub line: u32,
    /// Its id, if it could be read.
    pub id: Option<String>,
    /// Its title, if it could be read.
    pub title: Option<String>,
    /// Why it was refused.
    pub reason: String,
}

/// Some rules over a part of history.
pub trait Trial: Send {
    /// Adds what they find in a batch of events. Batches come in any order.
    fn take(&mut self, batch: &Batch, found: &mut Vec<Finding>);

    /// Adds what all that was taken comes to together.
    fn end(&mut self, found: &mut Vec<Finding>);
}

/// Rules over single events: nothing comes to anything together.
impl<F: FnMut(&Batch, &mut Vec<Finding>) + Send> Trial for F {
    fn take(&mut self, batch: &Batch, found: &mut Vec<Finding>) {
        self(batch, found);
    }

    fn end(&mut self, _: &mut Vec<Finding>) {}
}

/// Rules that were read, but not loaded.
pub struct CheckedRules {
    /// Those that were understood.
    pub rules: Vec<RuleRef>,
    /// What is wrong with the others.
    pub diagnostics: Vec<Diagnostic>,
    /// What those that were understood find.
    pub trial: Box<dyn Trial>,
}

impl fmt::Debug for CheckedRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedRules({} rules, {} diagnostics)", self.rules.len(), self.diagnostics.len())
    }
}

/// Why a file was not written.
#[derive(Clone, Debug)]
pub enum SaveError {
    /// What it says is wrong.
    Refused(Vec<Diagnostic>),
    /// The disk.
    Failed(String),
}

/// The name of a file that is written here, without its ending: letters, digits, `.`, `_` and `-`, no longer than 100.
/// It never leads out of its folder, is never hidden, and is never that of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Without the ending.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With it.
    pub fn yml(&self) -> String {
        format!("{}.yml", self.0)
    }
}

impl FromStr for FileName {
    type Err = String;

    /// Takes the name with or without `.yml`.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix(".yml").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fine = name.len() <= 100
            && name.bytes().all(plain)
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && !name.ends_with(".test");
        match fine {
            true => Ok(FileName(name.to_owned())),
            false => {
                Err("a file name has at most 100 letters, digits, `.`, `_` and `-`, begins with a letter or digit, \
                          and does not end with `.test`"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_stays_in_its_folder() {
        for (given, name) in [("ssh", "ssh.yml"), ("ssh.yml", "ssh.yml"), ("Ssh_2-a.b", "Ssh_2-a.b.yml")] {
            assert_eq!(given.parse::<FileName>().unwrap().yml(), name);
        }
        let long = "x".repeat(101);
        for bad in
            ["", ".yml", ".hidden", "..", "../up", "a/b", "a\\b", "a\0", "ä", "x.test", "x.test.yml", "-x", &long]
        {
            assert!(bad.parse::<FileName>().is_err(), "{bad}");
        }
    }
}
