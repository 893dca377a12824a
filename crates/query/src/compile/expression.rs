//! Expressions of stages as values and as predicates.

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr as Plan, Operator, TryCast, binary_expr},
};

use super::{
    Compiled, Compiler, Flow, balanced,
    compare::{arithmetic, name_of},
    literal,
    search::scalar,
};
use crate::{
    functions::FieldTest,
    matcher::Matcher,
    syntax::{Binary, Expr, ExprKind, Literal},
};

impl Compiler<'_> {
    /// An expression as a test: true or false, never null.
    pub(super) fn predicate(&self, flow: &Flow, expr: &Expr) -> Compiled<Plan> {
        let list = |exprs: &[Expr], operator| -> Compiled<Plan> {
            let tests = exprs.iter().map(|one| self.predicate(flow, one)).collect::<Compiled<Vec<_>>>()?;
            Ok(balanced(tests, operator))
        };
        let not = |negated: bool, test: Plan| if negated { Plan::Not(Box::new(test)) } else { test };
        match &expr.kind {
            ExprKind::And(exprs) => list(exprs, Operator::And),
            ExprKind::Or(exprs) => list(exprs, Operator::Or),
            ExprKind::Not(inner) => Ok(Plan::Not(Box::new(self.predicate(flow, inner)?))),
            ExprKind::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Mod, ..) => {
                Err(self.error(expr.span, "expected a condition, found a number"))
            }
            ExprKind::Binary(operator, left, right) => self.compare(flow, *operator, left, right, expr.span),
            ExprKind::In { value, list, negated, fold } => Ok(not(*negated, self.in_list(flow, value, list, *fold)?)),
            ExprKind::InNetwork { value, networks, negated } => {
                Ok(not(*negated, self.in_network(flow, value, networks)?))
            }
            ExprKind::HasList { value, list, all } => self.has_list(flow, value, list, *all),
            ExprKind::Between { value, low, high, negated } => {
                let low = self.compare(flow, Binary::Ge, value, low, expr.span)?;
                let high = self.compare(flow, Binary::Le, value, high, expr.span)?;
                Ok(not(*negated, binary_expr(low, Operator::And, high)))
            }
            ExprKind::Literal(Literal::Bool(value)) => Ok(literal(*value)),
            _ => {
                let (value, data_type) = self.value(flow, expr)?;
                match data_type {
                    DataType::Boolean => Ok(Plan::IsTrue(Box::new(value))),
                    DataType::Utf8 => {
                        Ok(FieldTest::call(Matcher::Equals { text: "true".to_owned(), fold: true }, value))
                    }
                    other => Err(self.error(expr.span, format!("expected a condition, found {}", name_of(&other)))),
                }
            }
        }
    }

    /// An expression as a value, with its type.
    pub(super) fn value(&self, flow: &Flow, expr: &Expr) -> Compiled<(Plan, DataType)> {
        let plan = match &expr.kind {
            ExprKind::Field(name) => self.resolve(flow, name, expr.span)?,
            ExprKind::Literal(value) => constant(value),
            ExprKind::Negate(inner) => {
                let (value, data_type) = self.value(flow, inner)?;
                let value = if data_type.is_numeric() { value } else { self.as_number(value, &data_type) };
                Plan::Negative(Box::new(value))
            }
            ExprKind::Binary(
                operator @ (Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Mod),
                left_expr,
                right_expr,
            ) => {
                let (mut left, left_type) = self.value(flow, left_expr)?;
                let (mut right, right_type) = self.value(flow, right_expr)?;
                let temporal =
                    |data_type: &DataType| matches!(data_type, DataType::Timestamp(..) | DataType::Duration(_));
                if !temporal(&left_type) && !temporal(&right_type) {
                    left = self.as_number(left, &left_type);
                    right = self.as_number(right, &right_type);
                    if matches!(operator, Binary::Div | Binary::Mod) {
                        // Dividing by nothing gives nothing, as in Kusto, not an error that ends the query.
                        right = datafusion::functions::core::expr_fn::nullif(right, literal(0_i64));
                    }
                }
                let plan = binary_expr(left, arithmetic(*operator), right);
                if let (DataType::Duration(_), Binary::Div, DataType::Duration(_)) = (&left_type, operator, &right_type)
                {
                    return Err(self.error(expr.span, "dividing timespans is not supported"));
                }
                plan
            }
            ExprKind::Index(inner, index) => {
                let (value, data_type) = self.value(flow, inner)?;
                if !matches!(data_type, DataType::List(_)) {
                    return Err(self.error(expr.span, format!("{} has no elements", name_of(&data_type))));
                }
                let index = if *index < 0 { *index } else { index + 1 };
                datafusion::functions_nested::expr_fn::array_element(value, literal(index))
            }
            ExprKind::Call(name, arguments) => self.call(flow, name, arguments, expr.span)?,
            ExprKind::Star => return Err(self.error(expr.span, "`*` has no meaning here")),
            _ => self.predicate(flow, expr)?,
        };
        let data_type = self.type_of(flow, &plan, expr.span)?;
        Ok((plan, data_type))
    }

    /// A value that is computed with: text that spells a number becomes one, other text becomes null.
    pub(super) fn as_number(&self, value: Plan, data_type: &DataType) -> Plan {
        if data_type.is_numeric() || *data_type == DataType::Null {
            return value;
        }
        Plan::TryCast(TryCast::new(Box::new(value), DataType::Float64))
    }
}

fn constant(value: &Literal) -> Plan {
    match value {
        Literal::Text(text) => literal(text.as_str()),
        Literal::Int(value) => literal(*value),
        Literal::Float(value) => literal(*value),
        Literal::Bool(value) => literal(*value),
        Literal::Null => scalar(ScalarValue::Utf8(None)),
        Literal::Timespan(micros) => scalar(ScalarValue::DurationMicrosecond(Some(*micros))),
    }
}
