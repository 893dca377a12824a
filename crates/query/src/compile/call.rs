//! Functions of stages.

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    functions::{core, datetime, string, unicode},
    functions_nested::expr_fn as nested,
    logical_expr::{Case, Cast, Expr as Plan, TryCast},
};

use super::{Compiled, Compiler, Flow, compare::name_of, literal, search::scalar};
use crate::{
    functions::{Bin, FieldTest},
    matcher::{Matcher, Network},
    syntax::{Expr, ExprKind, Literal, Name, Span, suggest},
    table::time_type,
};

/// Name, fewest and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("ago", 1, 1),
    ("now", 0, 0),
    ("datetime", 1, 1),
    ("todatetime", 1, 1),
    ("tolower", 1, 1),
    ("toupper", 1, 1),
    ("strlen", 1, 1),
    ("strcat", 1, 64),
    ("substring", 2, 3),
    ("split", 2, 3),
    ("replace_string", 3, 3),
    ("trim", 1, 1),
    ("tostring", 1, 1),
    ("tolong", 1, 1),
    ("toint", 1, 1),
    ("todouble", 1, 1),
    ("toreal", 1, 1),
    ("iff", 3, 3),
    ("iif", 3, 3),
    ("case", 3, 65),
    ("coalesce", 1, 64),
    ("bin", 2, 2),
    ("floor", 2, 2),
    ("isempty", 1, 1),
    ("isnotempty", 1, 1),
    ("isnull", 1, 1),
    ("isnotnull", 1, 1),
    ("array_length", 1, 1),
    ("hourofday", 1, 1),
    ("dayofweek", 1, 1),
    ("ipv4_is_private", 1, 1),
    ("ipv4_is_in_range", 2, 2),
    ("ipv6_is_in_range", 2, 2),
];

/// The private networks of RFC 1918.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

impl Compiler<'_> {
    pub(super) fn call(&self, flow: &Flow, name: &Name, arguments: &[Expr], span: Span) -> Compiled<Plan> {
        let Some((function, least, most)) = FUNCTIONS.iter().find(|(function, ..)| *function == name.text) else {
            let error = self.error(name.span, format!("unknown function `{}`", name.text));
            return Err(match suggest(&name.text, FUNCTIONS.iter().map(|(function, ..)| *function)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None if super::aggregate::is_aggregate(&name.text) => error.hint("aggregates stand in `summarize`"),
                None => error,
            });
        };
        if arguments.len() < *least || arguments.len() > *most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let message = format!("`{function}` takes {wanted} arguments, found {}", arguments.len());
            return Err(self.error(span, message));
        }
        let value = |index: usize| self.value(flow, &arguments[index]).map(|(value, _)| value);
        let text = |index: usize| -> Compiled<Plan> {
            let (value, data_type) = self.value(flow, &arguments[index])?;
            Ok(as_text(value, &data_type))
        };
        let plan = match *function {
            "now" => crate::table_time(self.now),
            "ago" => match &arguments[0].kind {
                ExprKind::Literal(Literal::Timespan(micros)) => crate::table_time(self.now.plus_micros(-micros)),
                _ => return Err(self.error(arguments[0].span, "`ago` takes a timespan such as 15m, 1h or 7d")),
            },
            "datetime" | "todatetime" => match &arguments[0].kind {
                ExprKind::Literal(Literal::Text(text)) => match super::parse_time(text, self.now) {
                    Some((time, _)) => crate::table_time(time),
                    None => {
                        let error = self.error(arguments[0].span, format!("`{text}` is not a time"));
                        return Err(error.hint("times are written 2026-11-21, 2026-11-21T04:11:52Z"));
                    }
                },
                _ => Plan::TryCast(TryCast::new(Box::new(value(0)?), time_type())),
            },
            "tolower" => string::expr_fn::lower(text(0)?),
            "toupper" => string::expr_fn::upper(text(0)?),
            "trim" => string::expr_fn::btrim(vec![text(0)?]),
            "strlen" => cast(unicode::expr_fn::character_length(text(0)?), DataType::Int64),
            "strcat" => {
                let parts = (0..arguments.len()).map(text).collect::<Compiled<Vec<_>>>()?;
                string::expr_fn::concat(parts)
            }
            "substring" => {
                // From 0, as in Kusto.
                let start = match &arguments[1].kind {
                    ExprKind::Literal(Literal::Int(start)) => literal(start.saturating_add(1)),
                    _ => return Err(self.error(arguments[1].span, "the start of `substring` is a whole number from 0")),
                };
                match arguments.len() {
                    2 => unicode::expr_fn::substr(text(0)?, start),
                    _ => unicode::expr_fn::substring(text(0)?, start, value(2)?),
                }
            }
            "split" => {
                let parts = nested::string_to_array(text(0)?, text(1)?, scalar(ScalarValue::Utf8(None)));
                match arguments.get(2).map(|index| &index.kind) {
                    None => parts,
                    Some(ExprKind::Literal(Literal::Int(index))) => {
                        nested::array_element(parts, literal(if *index < 0 { *index } else { index.saturating_add(1) }))
                    }
                    Some(_) => {
                        return Err(self.error(arguments[2].span, "the part of `split` is a whole number from 0"));
                    }
                }
            }
            "replace_string" => string::expr_fn::replace(text(0)?, text(1)?, text(2)?),
            "tostring" => text(0)?,
            "tolong" | "toint" => Plan::TryCast(TryCast::new(Box::new(value(0)?), DataType::Int64)),
            "todouble" | "toreal" => Plan::TryCast(TryCast::new(Box::new(value(0)?), DataType::Float64)),
            "iff" | "iif" => {
                let condition = self.predicate(flow, &arguments[0])?;
                let [yes, no] = [value(1)?, value(2)?];
                case(vec![(condition, yes)], no)
            }
            "case" => {
                if arguments.len().is_multiple_of(2) {
                    return Err(self
                        .error(span, "`case` takes conditions with their values, and a last value")
                        .hint("case(a > 1, \"many\", a > 0, \"one\", \"none\")"));
                }
                let mut arms = Vec::new();
                for arm in arguments[..arguments.len() - 1].chunks(2) {
                    arms.push((self.predicate(flow, &arm[0])?, self.value(flow, &arm[1])?.0));
                }
                case(arms, value(arguments.len() - 1)?)
            }
            "coalesce" => core::expr_fn::coalesce((0..arguments.len()).map(value).collect::<Compiled<Vec<_>>>()?),
            "bin" | "floor" => self.bin(flow, &arguments[0], &arguments[1])?,
            "isnull" => Plan::IsNull(Box::new(value(0)?)),
            "isnotnull" => Plan::IsNotNull(Box::new(value(0)?)),
            "isempty" | "isnotempty" => {
                let (value, data_type) = self.value(flow, &arguments[0])?;
                let empty = match data_type {
                    DataType::Utf8 | DataType::Utf8View => {
                        Plan::IsNull(Box::new(value.clone())).or(Plan::IsTrue(Box::new(value.eq(literal("")))))
                    }
                    _ => Plan::IsNull(Box::new(value)),
                };
                if *function == "isempty" { empty } else { Plan::Not(Box::new(empty)) }
            }
            "array_length" => {
                let (value, data_type) = self.value(flow, &arguments[0])?;
                if !matches!(data_type, DataType::List(_)) {
                    return Err(self.error(arguments[0].span, format!("{} has no elements", name_of(&data_type))));
                }
                cast(nested::array_length(value), DataType::Int64)
            }
            "hourofday" | "dayofweek" => {
                let part = if *function == "hourofday" { "hour" } else { "dow" };
                cast(datetime::expr_fn::date_part(literal(part), value(0)?), DataType::Int64)
            }
            "ipv4_is_private" => {
                let networks = PRIVATE.iter().filter_map(|network| Network::parse(network)).collect();
                FieldTest::call(Matcher::Networks(networks), value(0)?)
            }
            _ => match &arguments[1].kind {
                ExprKind::Literal(Literal::Text(network)) => {
                    self.in_network(flow, &arguments[0], &[(network.clone(), arguments[1].span)])?
                }
                _ => return Err(self.error(arguments[1].span, "expected a network in quotes, such as \"10.0.0.0/8\"")),
            },
        };
        Ok(plan)
    }

    fn bin(&self, flow: &Flow, value_expr: &Expr, step: &Expr) -> Compiled<Plan> {
        let (value, data_type) = self.value(flow, value_expr)?;
        let wrong = || {
            self.error(step.span, format!("the step does not fit {}", name_of(&data_type)))
                .hint("times have steps such as 5m or 1h, numbers have numbers; all are positive")
        };
        match (&data_type, &step.kind) {
            (DataType::Timestamp(..), ExprKind::Literal(Literal::Timespan(micros))) if *micros > 0 => {
                Ok(Bin::call(value, ScalarValue::Int64(Some(*micros))))
            }
            (DataType::Timestamp(..), _) => Err(wrong()),
            (data_type, ExprKind::Literal(Literal::Int(step))) if *step > 0 => {
                match data_type.is_floating() || *data_type == DataType::Utf8 {
                    true => Ok(Bin::call(self.as_number(value, data_type), ScalarValue::Float64(Some(*step as f64)))),
                    false => Ok(Bin::call(cast(value, DataType::Int64), ScalarValue::Int64(Some(*step)))),
                }
            }
            (data_type, ExprKind::Literal(Literal::Float(step))) if *step > 0.0 => {
                let value = cast(self.as_number(value, data_type), DataType::Float64);
                Ok(Bin::call(value, ScalarValue::Float64(Some(*step))))
            }
            _ => Err(wrong()),
        }
    }
}

pub(super) fn cast(value: Plan, data_type: DataType) -> Plan {
    Plan::Cast(Cast::new(Box::new(value), data_type))
}

fn case(arms: Vec<(Plan, Plan)>, last: Plan) -> Plan {
    let arms = arms.into_iter().map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Plan::Case(Case::new(None, arms, Some(Box::new(last))))
}

/// A value as text; a list with commas.
fn as_text(value: Plan, data_type: &DataType) -> Plan {
    match data_type {
        DataType::Utf8 => value,
        DataType::List(_) => nested::array_to_string(value, literal(",")),
        _ => cast(value, DataType::Utf8),
    }
}
