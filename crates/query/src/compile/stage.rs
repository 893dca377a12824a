//! Stages.

use datafusion::{
    common::{Column, JoinType},
    datasource::provider_as_source,
    logical_expr::{Expr as Plan, LogicalPlanBuilder, SortExpr},
};

use super::{Compiled, Compiler, Flow, column, newest_first, visible};
use crate::syntax::{self, Assign, Join, JoinKind, JoinRight, Name, Order, SortKey, Span, Stage, StageKind, suggest};

impl Compiler<'_> {
    pub(super) fn stage(&self, mut flow: Flow, stage: &Stage) -> Compiled<Flow> {
        let span = stage.span;
        match &stage.kind {
            StageKind::Where(expr) => {
                let predicate = self.predicate(&flow, expr)?;
                flow.plan = self.build(span, |plan| plan.filter(predicate), flow.plan)?;
                Ok(flow)
            }
            StageKind::Search(search) => self.search_stage(flow, search, span),
            StageKind::Extend(assigns) => self.extend(flow, assigns, span),
            StageKind::Project(assigns) => {
                let columns = self.named(&flow, assigns)?;
                self.project(flow, columns, span)
            }
            StageKind::ProjectAway(names) => {
                for name in names {
                    self.resolve(&flow, &name.text, name.span)?;
                }
                let gone = |name: &str| names.iter().any(|gone| gone.text == name);
                let columns: Vec<(String, Plan)> = visible(flow.plan.schema())
                    .filter(|name| !gone(name))
                    .map(|name| (name.to_owned(), column(name)))
                    .collect();
                if columns.is_empty() {
                    return Err(self.error(span, "no column is left"));
                }
                self.project(flow, columns, span)
            }
            StageKind::ProjectRename(renames) => self.rename(flow, renames, span),
            StageKind::Summarize { aggregates, by } => {
                if aggregates.is_empty() && by.is_empty() {
                    return Err(self.error(span, "`summarize` needs an aggregate or a group"));
                }
                self.summarize(flow, aggregates, by, span)
            }
            StageKind::Distinct(values) => self.summarize(flow, &[], values, span),
            StageKind::Sort(keys) => {
                let keys = self.sort_keys(&flow, keys)?;
                flow.plan = self.build(span, |plan| plan.sort(keys), flow.plan)?;
                flow.ordered = true;
                Ok(flow)
            }
            StageKind::Take(rows) => {
                let rows = usize::try_from(*rows).unwrap_or(usize::MAX);
                if !flow.ordered {
                    return self.in_order(flow, Some(rows), span);
                }
                flow.plan = self.build(span, |plan| plan.limit(0, Some(rows)), flow.plan)?;
                Ok(flow)
            }
            StageKind::Top(rows, keys) => {
                let rows = usize::try_from(*rows).unwrap_or(usize::MAX);
                let keys = self.sort_keys(&flow, keys)?;
                flow.plan = self.build(span, |plan| plan.sort_with_limit(keys, Some(rows)), flow.plan)?;
                flow.ordered = true;
                Ok(flow)
            }
            StageKind::Count => {
                let count = datafusion::functions_aggregate::expr_fn::count(super::literal(1_i64)).alias("Count");
                flow.plan = self.build(span, |plan| plan.aggregate(Vec::<Plan>::new(), vec![count]), flow.plan)?;
                flow.closed(Vec::new());
                Ok(flow)
            }
            StageKind::Join(join) => self.join(flow, join, span),
        }
    }

    fn sort_keys(&self, flow: &Flow, keys: &[SortKey]) -> Compiled<Vec<SortExpr>> {
        let mut sorted = Vec::with_capacity(keys.len());
        for key in keys {
            let ascending = key.order == Order::Ascending;
            let (value, data_type) = self.value(flow, &key.value)?;
            if data_type.is_nested() {
                return Err(self.error(key.value.span, "a list has no order"));
            }
            sorted.push(value.sort(ascending, ascending));
        }
        if flow.events {
            sorted.extend(newest_first());
        } else {
            let groups = flow.groups.iter().filter(|name| flow.plan.schema().has_column_with_unqualified_name(name));
            sorted.extend(groups.map(|name| column(name).sort(true, true)));
        }
        Ok(sorted)
    }

    /// Values with their names; two of one name are refused.
    fn named(&self, flow: &Flow, assigns: &[Assign]) -> Compiled<Vec<(String, Plan)>> {
        let mut columns: Vec<(String, Plan)> = Vec::with_capacity(assigns.len());
        for assign in assigns {
            let name =
                assign.name.as_ref().map_or_else(|| syntax::default_name(&assign.value), |name| name.text.clone());
            if columns.iter().any(|(known, _)| *known == name) {
                return Err(self
                    .error(assign.value.span, format!("there are two columns `{name}`"))
                    .hint("name one: `other = …`"));
            }
            columns.push((name, self.value(flow, &assign.value)?.0));
        }
        Ok(columns)
    }

    fn project(&self, mut flow: Flow, columns: Vec<(String, Plan)>, span: Span) -> Compiled<Flow> {
        if flow.events && !flow.ordered && flow.order_shows {
            // The order of events is lost with their columns.
            flow.plan = self.build(span, |plan| plan.sort(newest_first()), flow.plan)?;
            flow.ordered = true;
        }
        let columns: Vec<Plan> = columns.into_iter().map(|(name, value)| value.alias(name)).collect();
        flow.plan = self.build(span, |plan| plan.project(columns), flow.plan)?;
        flow.events = false;
        flow.extended.clear();
        Ok(flow)
    }

    fn extend(&self, mut flow: Flow, assigns: &[Assign], span: Span) -> Compiled<Flow> {
        for assign in assigns {
            let name =
                assign.name.as_ref().map_or_else(|| syntax::default_name(&assign.value), |name| name.text.clone());
            if flow.events && super::EVENT_COLUMNS.contains(&name.as_str()) {
                let at = assign.name.as_ref().map_or(assign.value.span, |name| name.span);
                return Err(self
                    .error(at, format!("`{name}` cannot be replaced"))
                    .hint("give the new column another name"));
            }
            let value = self.value(&flow, &assign.value)?.0;
            let mut columns: Vec<Plan> =
                flow.plan.schema().columns().into_iter().filter(|known| known.name != name).map(Plan::Column).collect();
            columns.push(value.alias(&name));
            flow.plan = self.build(span, |plan| plan.project(columns), flow.plan)?;
            if flow.events && !flow.extended.contains(&name) {
                flow.extended.push(name);
            }
        }
        Ok(flow)
    }

    fn rename(&self, flow: Flow, renames: &[(Name, Name)], span: Span) -> Compiled<Flow> {
        for (_, old) in renames {
            self.resolve(&flow, &old.text, old.span)?;
        }
        let mut columns: Vec<(String, Plan)> = Vec::new();
        for name in visible(flow.plan.schema()) {
            let new = renames.iter().find(|(_, old)| old.text == name).map_or(name, |(new, _)| new.text.as_str());
            if columns.iter().any(|(known, _)| known == new) {
                return Err(self.error(span, format!("there are two columns `{new}`")));
            }
            columns.push((new.to_owned(), column(name)));
        }
        self.project(flow, columns, span)
    }

    fn summarize(&self, mut flow: Flow, aggregates: &[syntax::Aggregate], by: &[Assign], span: Span) -> Compiled<Flow> {
        let groups = self.named(&flow, by)?;
        let mut computed = Vec::new();
        for aggregate in aggregates {
            computed.extend(self.aggregate(&flow, aggregate)?);
        }
        let mut names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
        for one in &computed {
            if names.contains(&one.name.as_str()) {
                return Err(self
                    .error(span, format!("there are two columns `{}`", one.name))
                    .hint("name one: `other = …`"));
            }
            names.push(&one.name);
        }
        // Inner names cannot meet a field's.
        let group_plans: Vec<Plan> =
            groups.iter().enumerate().map(|(at, (_, value))| value.clone().alias(format!(" g{at}"))).collect();
        let aggregate_plans: Vec<Plan> =
            computed.iter().enumerate().map(|(at, one)| one.aggregate.clone().alias(format!(" a{at}"))).collect();
        flow.plan = self.build(span, |plan| plan.aggregate(group_plans, aggregate_plans), flow.plan)?;
        let shown = groups.iter().enumerate().map(|(at, (name, _))| column(&format!(" g{at}")).alias(name));
        let shown_aggregates =
            computed.iter().enumerate().map(|(at, one)| one.shown(column(&format!(" a{at}"))).alias(&one.name));
        let columns: Vec<Plan> = shown.chain(shown_aggregates).collect();
        flow.plan = self.build(span, |plan| plan.project(columns), flow.plan)?;
        let nested = |name: &String| {
            flow.plan.schema().fields().iter().any(|field| field.name() == name && field.data_type().is_nested())
        };
        let groups = groups.into_iter().map(|(name, _)| name).filter(|name| !nested(name)).collect();
        flow.closed(groups);
        Ok(flow)
    }

    fn join(&self, mut flow: Flow, join: &Join, span: Span) -> Compiled<Flow> {
        let right = match &join.right {
            JoinRight::Query(ast) => {
                let mut right = self.flow(ast)?;
                if right.events {
                    let columns: Vec<(String, Plan)> =
                        visible(right.plan.schema()).map(|name| (name.to_owned(), column(name))).collect();
                    let columns: Vec<Plan> = columns.into_iter().map(|(name, value)| value.alias(name)).collect();
                    right.plan = self.build(span, |plan| plan.project(columns), right.plan)?;
                    right.events = false;
                }
                right
            }
            JoinRight::Table(name) => {
                let Some(table) = self.tables.get(&name.text) else {
                    let error = self.error(name.span, format!("there is no table `{}`", name.text));
                    return Err(match suggest(&name.text, self.tables.keys().map(String::as_str)) {
                        Some(near) => error.hint(format!("did you mean `{near}`?")),
                        None => error.hint(
                            "tables come with the request; a query is written in parentheses: `join (…) on field`",
                        ),
                    });
                };
                let plan = LogicalPlanBuilder::scan(name.text.as_str(), provider_as_source(table.clone()), None)
                    .and_then(LogicalPlanBuilder::build)
                    .map_err(|error| self.failed(name.span, &error))?;
                Flow {
                    plan,
                    events: false,
                    extended: Vec::new(),
                    ordered: false,
                    groups: Vec::new(),
                    order_shows: false,
                }
            }
        };
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for (at, on) in join.on.iter().enumerate() {
            let left = self.resolve(&flow, &on.left.text, on.left.span)?;
            let left_type = self.type_of(&flow, &left, on.left.span)?;
            let resolved = self.resolve(&right, &on.right.text, on.right.span)?;
            let right_type = self.type_of(&right, &resolved, on.right.span)?;
            if left_type.is_nested() || right_type.is_nested() {
                return Err(self.error(on.left.span, "a list cannot be a key"));
            }
            // The right key in the left one's type, under a name of its own.
            let resolved = if left_type == right_type { resolved } else { super::call::cast(resolved, left_type) };
            left_keys.push(Column::from_name(&on.left.text));
            right_keys.push((format!(" k{at}"), resolved));
        }
        let left_names: Vec<String> = visible(flow.plan.schema()).map(str::to_owned).collect();
        // Right columns: keys of the same name are the left ones; other names that meet get a number, as in Kusto.
        let mut right_columns: Vec<(String, Plan)> = Vec::new();
        for name in visible(right.plan.schema()) {
            if join.on.iter().any(|on| on.right.text == name && on.left.text == name) {
                continue;
            }
            let mut shown = name.to_owned();
            let mut number = 0;
            while left_names.contains(&shown) || right_columns.iter().any(|(known, _)| *known == shown) {
                number += 1;
                shown = format!("{name}{number}");
            }
            right_columns.push((shown, column(name)));
        }
        let names: Vec<String> =
            left_names.into_iter().chain(right_columns.iter().map(|(name, _)| name.clone())).collect();
        let key_columns: Vec<Column> = right_keys.iter().map(|(name, _)| Column::from_name(name)).collect();
        let projected: Vec<Plan> =
            right_columns.into_iter().chain(right_keys).map(|(name, value)| value.alias(name)).collect();
        let right_plan = self.build(span, |plan| plan.project(projected), right.plan)?;
        let kind = match join.kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::LeftOuter => JoinType::Left,
        };
        let groups = match flow.events {
            true => Vec::new(),
            false => flow.groups.clone(),
        };
        flow.plan = self.build(span, |plan| plan.join(right_plan, kind, (left_keys, key_columns), None), flow.plan)?;
        let columns: Vec<Plan> = names.iter().map(|name| column(name).alias(name)).collect();
        flow.plan = self.build(span, |plan| plan.project(columns), flow.plan)?;
        flow.closed(groups);
        Ok(flow)
    }
}

impl Flow {
    /// The rows are no longer events.
    fn closed(&mut self, groups: Vec<String>) {
        self.events = false;
        self.ordered = false;
        self.extended.clear();
        self.groups = groups;
    }
}
