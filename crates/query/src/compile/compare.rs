//! Comparisons of stages: a field with a constant becomes a test of the field, anything else DataFusion's operator.

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr as Plan, Operator, binary_expr},
};
use vedette_store::fold;

use super::{Compiled, Compiler, Flow, is_event, literal, search::scalar};
use crate::{
    functions::FieldTest,
    matcher::{Expression, Limit, Matcher, Network, Number, Range},
    syntax::{Binary, Expr, ExprKind, Literal, Span, TextTest},
    table::{Kind, time_type},
};

impl Compiler<'_> {
    pub(super) fn compare(
        &self,
        flow: &Flow,
        operator: Binary,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Compiled<Plan> {
        if let Binary::Text(test, negated, sensitive) = operator {
            let tested = self.text_test(flow, test, sensitive, left, right)?;
            return Ok(if negated { Plan::Not(Box::new(tested)) } else { tested });
        }
        let negated = match operator {
            Binary::Ne => Some(Binary::Eq),
            Binary::NeFold => Some(Binary::EqFold),
            _ => None,
        };
        if let Some(operator) = negated {
            return Ok(Plan::Not(Box::new(self.compare(flow, operator, left, right, span)?)));
        }
        match (&left.kind, &right.kind) {
            (_, ExprKind::Literal(Literal::Null)) if operator == Binary::Eq => {
                Ok(Plan::IsNull(Box::new(self.value(flow, left)?.0)))
            }
            (ExprKind::Field(name), ExprKind::Literal(value)) => {
                self.field_with(flow, name, left.span, operator, value, right.span)
            }
            (ExprKind::Literal(value), ExprKind::Field(name)) => {
                self.field_with(flow, name, right.span, flip(operator), value, left.span)
            }
            _ => self.native(flow, operator, left, right, span),
        }
    }

    fn field_with(
        &self,
        flow: &Flow,
        name: &str,
        name_span: Span,
        operator: Binary,
        value: &Literal,
        span: Span,
    ) -> Compiled<Plan> {
        let resolved = self.resolve(flow, name, name_span)?;
        let data_type = self.type_of(flow, &resolved, name_span)?;
        let (column, kind) = self.tested(flow, name, resolved.clone(), &data_type);
        if kind == Kind::Id
            && operator == Binary::Eq
            && let Literal::Text(id) = value
        {
            return Ok(is_event(id));
        }
        let is_text =
            matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::List(_));
        if !is_text {
            let constant = self.constant_of_type(name, &data_type, value, span)?;
            return Ok(truth(binary_expr(resolved, native_operator(operator), constant)));
        }
        let matcher = match (operator, value) {
            (Binary::Eq, Literal::Text(text)) => Matcher::Equals { text: canonical(kind, text), fold: false },
            (Binary::EqFold, Literal::Text(text)) => {
                Matcher::Equals { text: fold(&canonical(kind, text)).into_owned(), fold: true }
            }
            (Binary::Eq | Binary::EqFold, Literal::Bool(value)) => {
                Matcher::Equals { text: value.to_string(), fold: true }
            }
            (operator, value) => {
                let limit = match value {
                    Literal::Int(value) => Limit::Number(Number(*value as f64)),
                    Literal::Float(value) => Limit::Number(Number(*value)),
                    Literal::Text(text) => match text.parse() {
                        Ok(address) if kind == Kind::Ip => Limit::Address(address),
                        _ => Limit::Text(fold(text).into_owned()),
                    },
                    _ => return Err(self.error(span, format!("`{name}` is text; compare it with text or a number"))),
                };
                let (low, high) = match operator {
                    Binary::Lt => (None, Some((limit, false))),
                    Binary::Le => (None, Some((limit, true))),
                    Binary::Gt => (Some((limit, false)), None),
                    Binary::Ge => (Some((limit, true)), None),
                    _ => (Some((limit.clone(), true)), Some((limit, true))),
                };
                Matcher::Range(Range { low, high })
            }
        };
        Ok(FieldTest::call(matcher, column))
    }

    /// A constant as a value of a column's type.
    fn constant_of_type(&self, name: &str, data_type: &DataType, value: &Literal, span: Span) -> Compiled<Plan> {
        let wrong = |what: &str| self.error(span, format!("`{name}` is {what}; `{value}` is not"));
        match (data_type, value) {
            (DataType::Timestamp(..), Literal::Text(text)) => {
                match super::parse_time(text, self.now) {
                    Some((time, _)) => Ok(crate::table_time(time)),
                    None => Err(wrong("a time")
                        .hint("times are written \"2026-11-21T04:11:52Z\", datetime(2026-11-21), ago(1h)")),
                }
            }
            (DataType::Timestamp(..), _) => Err(wrong("a time").hint("compare it with datetime(…), ago(1h) or now()")),
            (DataType::Boolean, Literal::Bool(value)) => Ok(literal(*value)),
            (DataType::Boolean, _) => Err(wrong("true or false")),
            (DataType::Duration(_), Literal::Timespan(micros)) => {
                Ok(scalar(ScalarValue::DurationMicrosecond(Some(*micros))))
            }
            (DataType::Duration(_), _) => Err(wrong("a timespan").hint("timespans are written 30s, 5m, 1h")),
            (_, Literal::Int(value)) => Ok(literal(*value)),
            (_, Literal::Float(value)) => Ok(literal(*value)),
            (_, Literal::Text(text)) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(value), _) => Ok(literal(value)),
                (_, Ok(value)) => Ok(literal(value)),
                _ => Err(wrong("a number")),
            },
            _ => Err(wrong("a number")),
        }
    }

    /// Both sides computed and brought to one type.
    fn native(&self, flow: &Flow, operator: Binary, left: &Expr, right: &Expr, span: Span) -> Compiled<Plan> {
        let (mut left_plan, left_type) = self.value(flow, left)?;
        let (mut right_plan, right_type) = self.value(flow, right)?;
        let text =
            |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let cast = |plan: Plan, data_type: DataType| {
            Plan::TryCast(datafusion::logical_expr::TryCast::new(Box::new(plan), data_type))
        };
        let time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(..));
        match (&left_type, &right_type) {
            (a, b) if text(a) && b.is_numeric() => left_plan = cast(left_plan, DataType::Float64),
            (a, b) if a.is_numeric() && text(b) => right_plan = cast(right_plan, DataType::Float64),
            (a, b) if text(a) && time(b) => left_plan = cast(left_plan, time_type()),
            (a, b) if time(a) && text(b) => right_plan = cast(right_plan, time_type()),
            (DataType::List(_), _) | (_, DataType::List(_)) => {
                return Err(self.error(span, "a field with several values compares with constants only"));
            }
            (a, b) if a.is_numeric() != b.is_numeric() || time(a) != time(b) => {
                return Err(self.error(span, format!("cannot compare {} with {}", name_of(a), name_of(b))));
            }
            _ => {}
        }
        if operator == Binary::EqFold {
            use datafusion::functions::string::expr_fn::lower;
            (left_plan, right_plan) = (lower(left_plan), lower(right_plan));
        }
        Ok(truth(binary_expr(left_plan, native_operator(operator), right_plan)))
    }

    fn text_test(&self, flow: &Flow, test: TextTest, sensitive: bool, left: &Expr, right: &Expr) -> Compiled<Plan> {
        let ExprKind::Literal(value) = &right.kind else {
            let symbol = Binary::Text(test, false, sensitive).symbol();
            return Err(self.error(right.span, format!("the right side of `{symbol}` is a constant")));
        };
        let text = match value {
            Literal::Text(text) => text.clone(),
            Literal::Int(value) => value.to_string(),
            _ => return Err(self.error(right.span, "expected quoted text")),
        };
        if text.is_empty() && test == TextTest::Has {
            return Err(self.error(right.span, "an empty text is no term"));
        }
        let matcher = if test == TextTest::Regex {
            Matcher::Regex(Expression::new(&text).map_err(|reason| self.error(right.span, reason))?)
        } else {
            text_matcher(test, &text, sensitive)
        };
        self.tested_value(flow, left, matcher)
    }

    /// A matcher over a field (any of its values) or over a computed value.
    fn tested_value(&self, flow: &Flow, value: &Expr, matcher: Matcher) -> Compiled<Plan> {
        let column = match &value.kind {
            ExprKind::Field(name) => {
                let resolved = self.resolve(flow, name, value.span)?;
                let data_type = self.type_of(flow, &resolved, value.span)?;
                self.tested(flow, name, resolved, &data_type).0
            }
            _ => self.value(flow, value)?.0,
        };
        Ok(FieldTest::call(matcher, column))
    }

    pub(super) fn has_list(&self, flow: &Flow, value: &Expr, list: &[Expr], all: bool) -> Compiled<Plan> {
        let mut tests = Vec::with_capacity(list.len());
        for term in list {
            tests.push(self.text_test(flow, TextTest::Has, false, value, term)?);
        }
        Ok(super::balanced(tests, if all { Operator::And } else { Operator::Or }))
    }

    pub(super) fn in_list(&self, flow: &Flow, value: &Expr, list: &[Expr], folded: bool) -> Compiled<Plan> {
        let mut texts = Vec::new();
        for member in list {
            match &member.kind {
                ExprKind::Literal(Literal::Text(text)) => texts.push(text.clone()),
                _ => break,
            }
        }
        let is_text = match &value.kind {
            ExprKind::Field(name) => {
                let resolved = self.resolve(flow, name, value.span)?;
                let data_type = self.type_of(flow, &resolved, value.span)?;
                let kind = self.tested(flow, name, resolved, &data_type).1;
                texts = texts.into_iter().map(|text| canonical(kind, &text)).collect();
                kind != Kind::Id && matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::List(_))
            }
            _ => self.value(flow, value)?.1 == DataType::Utf8,
        };
        if texts.len() == list.len() && is_text {
            return self.tested_value(flow, value, Matcher::one_of(texts, folded));
        }
        let operator = if folded { Binary::EqFold } else { Binary::Eq };
        let mut tests = Vec::with_capacity(list.len());
        for member in list {
            tests.push(self.compare(flow, operator, value, member, member.span)?);
        }
        Ok(super::balanced(tests, Operator::Or))
    }

    pub(super) fn in_network(&self, flow: &Flow, value: &Expr, networks: &[(String, Span)]) -> Compiled<Plan> {
        let mut parsed = Vec::with_capacity(networks.len());
        for (text, span) in networks {
            parsed.push(Network::parse(text).ok_or_else(|| {
                self.error(*span, format!("`{text}` is not a network"))
                    .hint("networks are written 10.0.0.0/8 or 2001:db8::/32")
            })?);
        }
        self.tested_value(flow, value, Matcher::Networks(parsed))
    }
}

fn text_matcher(test: TextTest, text: &str, sensitive: bool) -> Matcher {
    let insensitive = !sensitive;
    let text = if insensitive { fold(text).into_owned() } else { text.to_owned() };
    match test {
        TextTest::Contains | TextTest::Regex => Matcher::Contains { text, fold: insensitive },
        TextTest::StartsWith => Matcher::StartsWith { text, fold: insensitive },
        TextTest::EndsWith => Matcher::EndsWith { text, fold: insensitive },
        TextTest::Has => Matcher::Word { text, fold: insensitive, open: (false, false) },
        TextTest::HasPrefix => Matcher::Word { text, fold: insensitive, open: (false, true) },
    }
}

/// An address as its column keeps it.
fn canonical(kind: Kind, text: &str) -> String {
    match (kind, text.parse::<std::net::IpAddr>()) {
        (Kind::Ip, Ok(address)) => address.to_string(),
        _ => text.to_owned(),
    }
}

/// True where the test is true, false elsewhere: absent values pass no test, and pass its negation.
fn truth(test: Plan) -> Plan {
    Plan::IsTrue(Box::new(test))
}

fn flip(operator: Binary) -> Binary {
    match operator {
        Binary::Lt => Binary::Gt,
        Binary::Le => Binary::Ge,
        Binary::Gt => Binary::Lt,
        Binary::Ge => Binary::Le,
        same => same,
    }
}

fn native_operator(operator: Binary) -> Operator {
    match operator {
        Binary::Lt => Operator::Lt,
        Binary::Le => Operator::LtEq,
        Binary::Gt => Operator::Gt,
        Binary::Ge => Operator::GtEq,
        Binary::Ne | Binary::NeFold => Operator::NotEq,
        Binary::Add => Operator::Plus,
        Binary::Sub => Operator::Minus,
        Binary::Mul => Operator::Multiply,
        Binary::Div => Operator::Divide,
        Binary::Mod => Operator::Modulo,
        _ => Operator::Eq,
    }
}

/// A type for people.
pub(super) fn name_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "a time",
        DataType::Duration(_) => "a timespan",
        DataType::Boolean => "true or false",
        DataType::List(_) => "a list",
        DataType::Null => "null",
        data_type if data_type.is_numeric() => "a number",
        _ => "text",
    }
}

pub(super) fn arithmetic(operator: Binary) -> Operator {
    native_operator(operator)
}
