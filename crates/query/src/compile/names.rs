//! The event fields that a query names.
//!
//! A name is a field if it is used where rows are events and no earlier stage made it. After a join the columns of
//! the right side are known here by name; any other name is still a field of the left side's events.

use std::collections::BTreeSet;

use super::aggregate;
use crate::syntax::{self, Assign, Ast, Expr, ExprKind, JoinRight, Search, Stage, StageKind};

/// Every name in a query that may be a field of events. `table_columns` gives the columns of a request's table.
pub(crate) fn fields(ast: &Ast, table_columns: &dyn Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut scope = Scope { fields: BTreeSet::new(), made: BTreeSet::new(), table_columns };
    scope.query(ast);
    scope.fields
}

struct Scope<'t> {
    fields: BTreeSet<String>,
    made: BTreeSet<String>,
    table_columns: &'t dyn Fn(&str) -> Vec<String>,
}

impl Scope<'_> {
    fn add(&mut self, name: &str) {
        if !self.made.contains(name) {
            self.fields.insert(name.to_owned());
        }
    }

    fn query(&mut self, ast: &Ast) {
        self.search(&ast.search);
        for stage in &ast.stages {
            if !self.stage(stage) {
                break;
            }
        }
    }

    fn search(&mut self, search: &Search) {
        match search {
            Search::All | Search::Text(_) => {}
            Search::Field(name, _) => self.add(&name.text),
            Search::Not(inner) => self.search(inner),
            Search::And(terms) | Search::Or(terms) => terms.iter().for_each(|term| self.search(term)),
        }
    }

    /// False if the columns are fixed after the stage.
    fn stage(&mut self, stage: &Stage) -> bool {
        match &stage.kind {
            StageKind::Where(expr) => self.expression(expr),
            StageKind::Search(search) => self.search(search),
            StageKind::Extend(assigns) => {
                for assign in assigns {
                    self.expression(&assign.value);
                    self.made.insert(name_of(assign));
                }
            }
            StageKind::Sort(keys) | StageKind::Top(_, keys) => keys.iter().for_each(|key| self.expression(&key.value)),
            StageKind::Take(_) => {}
            StageKind::Join(join) => {
                join.on.iter().for_each(|on| self.add(&on.left.text));
                match &join.right {
                    JoinRight::Table(name) => self.made.extend((self.table_columns)(&name.text)),
                    JoinRight::Query(ast) => {
                        let mut inner =
                            Scope { fields: BTreeSet::new(), made: BTreeSet::new(), table_columns: self.table_columns };
                        inner.query(ast);
                        if !ast.stages.iter().any(fixes) {
                            join.on.iter().for_each(|on| inner.add(&on.right.text));
                        }
                        self.fields.extend(inner.fields);
                        ast.stages.iter().for_each(|stage| made(stage, &mut self.made));
                    }
                }
            }
            StageKind::Project(values) | StageKind::Distinct(values) => {
                values.iter().for_each(|assign| self.expression(&assign.value));
            }
            StageKind::ProjectAway(names) => names.iter().for_each(|name| self.add(&name.text)),
            StageKind::ProjectRename(renames) => {
                for (new, old) in renames {
                    self.add(&old.text);
                    self.made.insert(new.text.clone());
                }
            }
            StageKind::Summarize { aggregates, by } => {
                aggregates.iter().flat_map(|one| &one.arguments).for_each(|argument| self.expression(argument));
                by.iter().for_each(|assign| self.expression(&assign.value));
            }
            StageKind::Count => {}
        }
        !fixes(stage)
    }

    fn expression(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Field(name) => self.add(name),
            ExprKind::Literal(_) | ExprKind::Star => {}
            ExprKind::And(list) | ExprKind::Or(list) | ExprKind::Call(_, list) => {
                list.iter().for_each(|one| self.expression(one));
            }
            ExprKind::Not(inner) | ExprKind::Negate(inner) | ExprKind::Index(inner, _) => self.expression(inner),
            ExprKind::Binary(_, left, right) => [left, right].into_iter().for_each(|one| self.expression(one)),
            ExprKind::In { value, list, .. } | ExprKind::HasList { value, list, .. } => {
                self.expression(value);
                list.iter().for_each(|one| self.expression(one));
            }
            ExprKind::InNetwork { value, .. } => self.expression(value),
            ExprKind::Between { value, low, high, .. } => {
                [value, low, high].into_iter().for_each(|one| self.expression(one));
            }
        }
    }
}

/// True if only the stage's own columns exist after it.
fn fixes(stage: &Stage) -> bool {
    matches!(
        stage.kind,
        StageKind::Project(_) | StageKind::Distinct(_) | StageKind::Summarize { .. } | StageKind::Count
    )
}

fn name_of(assign: &Assign) -> String {
    assign.name.as_ref().map_or_else(|| syntax::default_name(&assign.value), |name| name.text.clone())
}

/// The columns that a stage of a join's right side makes.
fn made(stage: &Stage, names: &mut BTreeSet<String>) {
    match &stage.kind {
        StageKind::Extend(assigns) => names.extend(assigns.iter().map(name_of)),
        // A plain field keeps its meaning on the left.
        StageKind::Project(assigns) | StageKind::Distinct(assigns) => names.extend(assigns.iter().map(name_of)),
        StageKind::ProjectRename(renames) => names.extend(renames.iter().map(|(new, _)| new.text.clone())),
        StageKind::Summarize { aggregates, by } => {
            names.extend(aggregates.iter().flat_map(aggregate::names));
            names.extend(by.iter().map(name_of));
        }
        StageKind::Count => drop(names.insert("Count".to_owned())),
        _ => {}
    }
}
