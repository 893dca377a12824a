//! What became of each rule.

use std::{fmt, sync::Arc};

/// What a conversion made.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// Sigma files; the documents of one Wazuh rule are in one file.
    pub files: Vec<File>,
    /// A line for each rule, and for each file that is no rule file.
    pub report: Vec<Line>,
    /// Of all files.
    pub(super) bytes: usize,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file it is in, as the caller named it.
    pub file: Arc<str>,
    /// The line it begins at, or that of what is wrong; 0 for a whole file.
    pub line: u32,
    /// Its id, where it has one.
    pub id: Option<u32>,
    /// Its description.
    pub title: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What differs, or why it was not converted.
    pub notes: Vec<String>,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It says the same in Sigma.
    Converted,
    /// It was converted; the notes say what differs.
    Remarked,
    /// It makes no alerts: it is only in the conditions of its children.
    Parent,
    /// It was not converted; the notes say why.
    Refused,
}

impl Outcome {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Converted => "converted",
            Outcome::Remarked => "converted with a remark",
            Outcome::Parent => "parent only",
            Outcome::Refused => "not converted",
        }
    }
}

/// How many rules became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As they are.
    pub converted: usize,
    /// With a remark.
    pub remarked: usize,
    /// Parents only.
    pub parents: usize,
    /// Not converted.
    pub refused: usize,
}

impl Line {
    pub(super) fn refused(file: &Arc<str>, line: u32, id: Option<u32>, title: &str, reason: String) -> Line {
        Line { file: file.clone(), line, id, title: title.to_owned(), outcome: Outcome::Refused, notes: vec![reason] }
    }
}

impl Conversion {
    /// How many rules became what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for line in &self.report {
            match line.outcome {
                Outcome::Converted => counts.converted += 1,
                Outcome::Remarked => counts.remarked += 1,
                Outcome::Parent => counts.parents += 1,
                Outcome::Refused => counts.refused += 1,
            }
        }
        counts
    }
}

/// `file:line: rule 5710: not converted: reason`
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if let Some(id) = self.id {
            write!(f, " rule {id}:")?;
        }
        write!(f, " {}", self.outcome.name())?;
        if !self.notes.is_empty() {
            write!(f, ": {}", self.notes.join("; "))?;
        }
        Ok(())
    }
}

/// The lines that say something, and a table of how many rules became what.
impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.report.iter().filter(|line| !line.notes.is_empty()) {
            writeln!(f, "{line}")?;
        }
        let counts = self.counts();
        for (outcome, count) in [
            (Outcome::Converted, counts.converted),
            (Outcome::Remarked, counts.remarked),
            (Outcome::Parent, counts.parents),
            (Outcome::Refused, counts.refused),
        ] {
            writeln!(f, "{:<24}{count:>6}", outcome.name())?;
        }
        Ok(())
    }
}
