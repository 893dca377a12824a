//! The aggregates of `summarize`.

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    functions_aggregate::expr_fn as aggregate,
    functions_nested::expr_fn as nested,
    logical_expr::{Case, Expr as Plan, ExprFunctionExt},
};

use super::{Compiled, Compiler, Flow, column, literal, visible};
use crate::syntax::{self, Aggregate, Expr, ExprKind, Literal, suggest};

/// Name, fewest and most arguments.
const AGGREGATES: &[(&str, usize, usize)] = &[
    ("count", 0, 0),
    ("countif", 1, 1),
    ("dcount", 1, 1),
    ("dcountif", 2, 2),
    ("sum", 1, 1),
    ("sumif", 2, 2),
    ("avg", 1, 1),
    ("min", 1, 1),
    ("max", 1, 1),
    ("percentile", 2, 2),
    ("make_set", 1, 2),
    ("make_list", 1, 2),
    ("arg_max", 2, 64),
    ("arg_min", 2, 64),
    ("take_any", 1, 1),
];

/// The most members of `make_set` and `make_list` without a number of their own.
const MOST_MEMBERS: i64 = 1024;

pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.iter().any(|(aggregate, ..)| *aggregate == name)
}

/// An aggregate as DataFusion computes it, and what is made of it afterwards.
pub(super) struct Computed {
    /// The name it has in the answer.
    pub(super) name: String,
    /// The aggregate function.
    pub(super) aggregate: Plan,
    /// Sorts lists and cuts them to this many members.
    pub(super) members: Option<i64>,
}

impl Compiler<'_> {
    pub(super) fn aggregate(&self, flow: &Flow, call: &Aggregate) -> Compiled<Vec<Computed>> {
        let function = call.function.text.as_str();
        let Some((_, least, most)) = AGGREGATES.iter().find(|(name, ..)| *name == function) else {
            let error = self.error(call.function.span, format!("unknown aggregate `{function}`"));
            let names: Vec<&str> = AGGREGATES.iter().map(|(name, ..)| *name).collect();
            return Err(match suggest(function, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("aggregates: {}", names.join(" "))),
            });
        };
        let arguments = &call.arguments;
        if arguments.len() < *least || arguments.len() > *most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(
                self.error(call.span, format!("`{function}` takes {wanted} arguments, found {}", arguments.len()))
            );
        }
        if matches!(function, "arg_max" | "arg_min") {
            return self.arg_extreme(flow, call);
        }
        let value = |index: usize| self.value(flow, &arguments[index]);
        let number = |index: usize| -> Compiled<Plan> {
            let (value, data_type) = value(index)?;
            Ok(self.as_number(value, &data_type))
        };
        let mut members = None;
        let plan = match function {
            "count" => aggregate::count(literal(1_i64)),
            "countif" => aggregate::count(when(self.predicate(flow, &arguments[0])?, literal(1_i64))),
            "dcount" => aggregate::count_distinct(value(0)?.0),
            "dcountif" => aggregate::count_distinct(when(self.predicate(flow, &arguments[1])?, value(0)?.0)),
            "sum" => aggregate::sum(number(0)?),
            "sumif" => aggregate::sum(when(self.predicate(flow, &arguments[1])?, number(0)?)),
            "avg" => aggregate::avg(number(0)?),
            "min" => aggregate::min(value(0)?.0),
            "max" => aggregate::max(value(0)?.0),
            "take_any" => aggregate::min(value(0)?.0),
            "percentile" => {
                let percent = match &arguments[1].kind {
                    ExprKind::Literal(Literal::Int(percent)) => *percent as f64,
                    ExprKind::Literal(Literal::Float(percent)) => *percent,
                    _ => -1.0,
                };
                if !(0.0..=100.0).contains(&percent) {
                    return Err(self.error(arguments[1].span, "a percentile is a number from 0 to 100"));
                }
                let sorted = super::call::cast(number(0)?, DataType::Float64).sort(true, false);
                aggregate::approx_percentile_cont(sorted, literal(percent / 100.0), None)
            }
            _ => {
                members = Some(match arguments.get(1).map(|most| &most.kind) {
                    None => MOST_MEMBERS,
                    Some(ExprKind::Literal(Literal::Int(most))) if *most > 0 => (*most).min(65_536),
                    Some(_) => return Err(self.error(arguments[1].span, "expected the most members as a number")),
                });
                let (value, data_type) = value(0)?;
                if matches!(data_type, DataType::List(_)) {
                    return Err(self.error(arguments[0].span, format!("`{function}` of a list is not supported")));
                }
                let list = aggregate::array_agg(value.clone()).filter(value.is_not_null());
                let list = if function == "make_set" { list.distinct() } else { list };
                list.build().map_err(|error| self.failed(call.span, &error))?
            }
        };
        let name = match &call.name {
            Some(name) => name.text.clone(),
            None => default_name(function, arguments),
        };
        Ok(vec![Computed { name, aggregate: plan, members }])
    }

    /// `arg_max(key, a, b)`: the largest key and, from its row, `a` and `b`.
    fn arg_extreme(&self, flow: &Flow, call: &Aggregate) -> Compiled<Vec<Computed>> {
        let largest = call.function.text == "arg_max";
        let key = self.value(flow, &call.arguments[0])?.0;
        let mut wanted: Vec<(String, Plan)> = Vec::new();
        for argument in &call.arguments[1..] {
            if argument.kind == ExprKind::Star {
                let names =
                    visible(flow.plan.schema()).filter(|name| *name != syntax::default_name(&call.arguments[0]));
                wanted.extend(names.map(|name| (name.to_owned(), column(name))));
            } else {
                wanted.push((syntax::default_name(argument), self.value(flow, argument)?.0));
            }
        }
        let key_name =
            call.name.as_ref().map_or_else(|| syntax::default_name(&call.arguments[0]), |name| name.text.clone());
        let extreme = if largest { aggregate::max(key.clone()) } else { aggregate::min(key.clone()) };
        let mut computed = vec![Computed { name: key_name, aggregate: extreme, members: None }];
        for (name, value) in wanted {
            // Rows without the key come last; among equal keys the event's own number decides.
            let mut order = vec![key.clone().sort(!largest, false)];
            if flow.events {
                // A key that is repeated would trip DataFusion's accumulator.
                order.extend(super::newest_first().into_iter().filter(|tie| tie.expr != key));
            }
            let first = aggregate::first_value(value, order);
            computed.push(Computed { name, aggregate: first, members: None });
        }
        Ok(computed)
    }
}

impl Computed {
    /// What is shown of the aggregate, given its column.
    pub(super) fn shown(&self, column: Plan) -> Plan {
        match self.members {
            None => column,
            Some(most) => {
                let text = |text: &str| Plan::Literal(ScalarValue::from(text), None);
                let sorted = nested::array_sort(column, text("ASC"), text("NULLS FIRST"));
                nested::array_slice(sorted, literal(1_i64), literal(most), None)
            }
        }
    }
}

fn when(condition: Plan, value: Plan) -> Plan {
    Plan::Case(Case::new(None, vec![(Box::new(condition), Box::new(value))], None))
}

/// The names that an aggregate's columns have, but for `*`.
pub(super) fn names(call: &Aggregate) -> Vec<String> {
    let given = call.name.as_ref().map(|name| name.text.clone());
    match call.function.text.as_str() {
        "arg_max" | "arg_min" => {
            let mut names: Vec<String> = call.arguments.iter().map(syntax::default_name).collect();
            if let (Some(given), Some(first)) = (given, names.first_mut()) {
                *first = given;
            }
            names
        }
        function => vec![given.unwrap_or_else(|| default_name(function, &call.arguments))],
    }
}

/// Kusto's names: `count_`, `dcount_user.name`, `set_user.name`, `percentile_x_95`.
fn default_name(function: &str, arguments: &[Expr]) -> String {
    let prefix = match function {
        "make_set" => "set",
        "make_list" => "list",
        function => function,
    };
    let fields: Vec<String> = match function {
        "countif" => Vec::new(),
        "make_set" | "make_list" | "dcountif" | "sumif" => arguments.iter().take(1).map(syntax::default_name).collect(),
        _ => arguments.iter().map(syntax::default_name).collect(),
    };
    format!("{prefix}_{}", fields.join("_"))
}
