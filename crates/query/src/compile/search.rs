//! The search box as a predicate.

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, Operator, binary_expr},
};
use vedette_event::{Time, ecs::ORIGINAL};
use vedette_store::fold;

use super::{Compiled, Compiler, Flow, balanced, column, is_event, literal};
use crate::{
    functions::FieldTest,
    matcher::{End, Limit, Matcher, Network, Number, Range},
    syntax::{Binary, Bound, Name, Pattern, Search, Span, Test},
    table::{Kind, kind},
};

impl Compiler<'_> {
    pub(super) fn search_stage(&self, mut flow: Flow, search: &Search, span: Span) -> Compiled<Flow> {
        if *search == Search::All {
            return Ok(flow);
        }
        let predicate = self.search(&flow, search)?;
        flow.plan = self.build(span, |plan| plan.filter(predicate), flow.plan)?;
        Ok(flow)
    }

    fn search(&self, flow: &Flow, search: &Search) -> Compiled<Expr> {
        let list = |terms: &[Search], operator| -> Compiled<Expr> {
            let terms = terms.iter().map(|term| self.search(flow, term)).collect::<Compiled<Vec<_>>>()?;
            Ok(balanced(terms, operator))
        };
        match search {
            Search::All => Ok(literal(true)),
            Search::Text(pattern) => {
                let matcher = self.matcher(Matcher::free(pattern), pattern.span)?;
                let original = self.resolve(flow, ORIGINAL, pattern.span).map_err(|error| {
                    error.hint(
                        "free words search whole events; after `summarize` or `project` name a column: `column:word`",
                    )
                })?;
                Ok(FieldTest::call(matcher, original))
            }
            Search::Field(name, test) => self.field(flow, name, test),
            Search::Not(inner) => Ok(Expr::Not(Box::new(self.search(flow, inner)?))),
            Search::And(terms) => list(terms, Operator::And),
            Search::Or(terms) => list(terms, Operator::Or),
        }
    }

    pub(super) fn matcher(&self, matcher: Result<Matcher, String>, span: Span) -> Compiled<Matcher> {
        matcher.map_err(|reason| self.error(span, reason))
    }

    fn field(&self, flow: &Flow, name: &Name, test: &Test) -> Compiled<Expr> {
        let resolved = self.resolve(flow, &name.text, name.span)?;
        let data_type = self.type_of(flow, &resolved, name.span)?;
        let (column, kind) = self.tested(flow, &name.text, resolved, &data_type);
        let tested = column.clone();
        let native_number = |operator, value: f64| {
            let value = if value.fract() == 0.0 && value.abs() < 9e15 && !data_type.is_floating() {
                literal(value as i64)
            } else {
                literal(value)
            };
            Expr::IsTrue(Box::new(binary_expr(tested.clone(), operator, value)))
        };
        match (test, kind) {
            (Test::Exists, _) => Ok(FieldTest::call(Matcher::Exists, column)),
            (Test::Is(pattern), Kind::Time) => {
                let (from, open) = self.time(pattern)?;
                let from_expr = crate::table_time(from);
                let to = crate::table_time(from.plus_micros(open));
                Ok(binary_expr(
                    binary_expr(column.clone(), Operator::GtEq, from_expr),
                    Operator::And,
                    binary_expr(column, Operator::Lt, to),
                ))
            }
            (Test::Is(pattern), Kind::Long) => match pattern.literal() {
                Some(_) => Ok(native_number(Operator::Eq, self.number(name, pattern)?)),
                None => Ok(FieldTest::call(self.matcher(Matcher::value(pattern), pattern.span)?, column)),
            },
            (Test::Is(pattern), Kind::Id) => match pattern.literal() {
                Some(id) => Ok(is_event(id)),
                None => Ok(FieldTest::call(self.matcher(Matcher::value(pattern), pattern.span)?, column)),
            },
            (Test::Is(pattern), Kind::Text) => {
                Ok(FieldTest::call(self.matcher(Matcher::free(pattern), pattern.span)?, column))
            }
            (Test::Is(pattern), kind) => Ok(FieldTest::call(self.value_matcher(pattern, kind)?, column)),
            (Test::Compare(operator, value), kind) => {
                let (low, high) = match operator {
                    Binary::Lt => (Bound::Open, Bound::Excluded(value.clone())),
                    Binary::Le => (Bound::Open, Bound::Included(value.clone())),
                    Binary::Gt => (Bound::Excluded(value.clone()), Bound::Open),
                    _ => (Bound::Included(value.clone()), Bound::Open),
                };
                self.range(name, column, kind, &low, &high, &native_number)
            }
            (Test::Range(low, high), kind) => self.range(name, column, kind, low, high, &native_number),
        }
    }

    fn range(
        &self,
        name: &Name,
        column: Expr,
        kind: Kind,
        low: &Bound,
        high: &Bound,
        native: &dyn Fn(Operator, f64) -> Expr,
    ) -> Compiled<Expr> {
        let ends = [(low, Operator::GtEq, Operator::Gt), (high, Operator::LtEq, Operator::Lt)];
        let mut conditions = Vec::new();
        for (end, included, excluded) in ends {
            let (value, mut operator) = match end {
                Bound::Open => continue,
                Bound::Included(value) => (value, included),
                Bound::Excluded(value) => (value, excluded),
            };
            match kind {
                Kind::Time => {
                    let (mut time, open) = self.time(value)?;
                    // A whole day is in or out: `<= 2026-11-21` has all of that day, `> 2026-11-21` none of it.
                    if open > 1 && matches!(operator, Operator::LtEq | Operator::Gt) {
                        time = time.plus_micros(open);
                        operator = if operator == Operator::LtEq { Operator::Lt } else { Operator::GtEq };
                    }
                    conditions.push(binary_expr(column.clone(), operator, crate::table_time(time)));
                }
                Kind::Long => conditions.push(native(operator, self.number(name, value)?)),
                _ => {}
            }
        }
        if !matches!(kind, Kind::Time | Kind::Long) {
            let range = Range { low: limit(low, low, high), high: limit(high, low, high) };
            return Ok(FieldTest::call(Matcher::Range(range), column));
        }
        if conditions.is_empty() {
            return Ok(FieldTest::call(Matcher::Exists, column));
        }
        Ok(balanced(conditions, Operator::And))
    }

    /// A value of a text field: the text, a pattern, or a network.
    fn value_matcher(&self, pattern: &Pattern, kind: Kind) -> Compiled<Matcher> {
        let plain = self.matcher(Matcher::value(pattern), pattern.span)?;
        let Some(text) = pattern.literal() else { return Ok(plain) };
        match (kind, Network::parse(text)) {
            (Kind::Ip, Some(network)) => Ok(Matcher::Networks(vec![network])),
            (Kind::Ip, None) if text.contains('/') => {
                let error = self.error(pattern.span, format!("`{text}` is not a network"));
                Err(error.hint("networks are written 10.0.0.0/8 or 2001:db8::/32"))
            }
            // A field of another name may hold addresses as well.
            (Kind::Derived, Some(network)) if text.contains('/') => {
                Ok(Matcher::Any(vec![plain, Matcher::Networks(vec![network])]))
            }
            _ => Ok(plain),
        }
    }

    fn number(&self, name: &Name, pattern: &Pattern) -> Compiled<f64> {
        let text = pattern.literal().unwrap_or_default();
        text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
            self.error(pattern.span, format!("`{}` is a number field; `{text}` is not a number", name.text))
        })
    }

    fn time(&self, pattern: &Pattern) -> Compiled<(Time, i64)> {
        let text = pattern.literal().unwrap_or_default();
        super::parse_time(text, self.now).ok_or_else(|| {
            self.error(pattern.span, format!("`{text}` is not a time"))
                .hint("times are written 2026-11-21, \"2026-11-21 04:11\", 2026-11-21T04:11:52Z, now-15m")
        })
    }

    /// The column on which a field is tested, and what kind of field it is here.
    pub(super) fn tested(
        &self,
        flow: &Flow,
        name: &str,
        resolved: Expr,
        data_type: &arrow::datatypes::DataType,
    ) -> (Expr, Kind) {
        use arrow::datatypes::DataType;
        let of_type = match data_type {
            DataType::Timestamp(..) => Kind::Time,
            data_type if data_type.is_numeric() => Kind::Long,
            DataType::List(_) => Kind::Keywords,
            _ => Kind::Keyword,
        };
        if !flow.events || flow.extended.iter().any(|extended| extended == name) {
            // After the rows became something else the type decides, and addresses are still recognised.
            return match kind(name) {
                named @ (Kind::Ip | Kind::Text) if of_type == Kind::Keyword => (resolved, named),
                _ => (resolved, of_type),
            };
        }
        match kind(name) {
            Kind::Derived => (column(&format!("{name}[]")), Kind::Derived),
            vedette_text @ Kind::Text if name != ORIGINAL => (column(&format!("{name}[]")), vedette_text),
            kind => (resolved, kind),
        }
    }
}

/// One end of a range; both ends are numbers or addresses, or both are text.
fn limit(end: &Bound, low: &Bound, high: &Bound) -> End {
    let text = |bound: &Bound| match bound {
        Bound::Open => None,
        Bound::Included(value) => value.literal().map(|text| (text.to_owned(), true)),
        Bound::Excluded(value) => value.literal().map(|text| (text.to_owned(), false)),
    };
    let both = |test: &dyn Fn(&str) -> bool| [low, high].into_iter().filter_map(text).all(|(text, _)| test(&text));
    let (value, included) = text(end)?;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let limit = if both(&|text| number(text).is_some()) {
        Limit::Number(Number(number(&value)?))
    } else if both(&|text| text.parse::<std::net::IpAddr>().is_ok()) {
        Limit::Address(value.parse().ok()?)
    } else {
        Limit::Text(fold(&value).into_owned())
    };
    Some((limit, included))
}

/// A scalar as a literal.
pub(super) fn scalar(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}
