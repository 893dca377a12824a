//! The functions that DataFusion does not have: tests of fields and bins.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array,
        TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{ScalarValue, exec_err},
    error::Result,
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::matcher::Matcher;

/// A [`Matcher`] over a column: true or false for every row, never null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldTest {
    matcher: Matcher,
    signature: Signature,
}

impl FieldTest {
    /// `matcher` over `column`.
    pub(crate) fn call(matcher: Matcher, column: Expr) -> Expr {
        let test = FieldTest { matcher, signature: Signature::any(1, Volatility::Immutable) };
        ScalarUDF::new_from_impl(test).call(vec![column])
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.matcher
    }
}

/// `bin(value, step)`: the largest multiple of the step that is not above the value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bin {
    signature: Signature,
}

impl Bin {
    /// `value` is a time, a whole number or any other number; `step` is a positive literal: microseconds, a whole
    /// number, or any other number.
    pub(crate) fn call(value: Expr, step: ScalarValue) -> Expr {
        let bin = Bin { signature: Signature::any(2, Volatility::Immutable) };
        ScalarUDF::new_from_impl(bin).call(vec![value, Expr::Literal(step, None)])
    }
}

impl ScalarUDFImpl for FieldTest {
    fn name(&self) -> &str {
        "field_test"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [column] = args.args.as_slice() else { return exec_err!("a field test has one argument") };
        let array = column.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(Arc::new(test(&self.matcher, &array)?)))
    }
}

fn test(matcher: &Matcher, array: &ArrayRef) -> Result<BooleanArray> {
    if let DataType::List(_) = array.data_type() {
        let list = array.as_list::<i32>();
        let members = test(matcher, list.values())?;
        let mut bits = BooleanBufferBuilder::new(list.len());
        for (row, ends) in list.offsets().windows(2).enumerate() {
            bits.append(list.is_valid(row) && (ends[0]..ends[1]).any(|member| members.value(member as usize)));
        }
        return Ok(BooleanArray::new(bits.finish(), None));
    }
    if *matcher == Matcher::Exists {
        return Ok((0..array.len()).map(|row| Some(array.is_valid(row))).collect());
    }
    let texts = match array.data_type() {
        DataType::Utf8 => array.clone(),
        _ => cast(array, &DataType::Utf8)?,
    };
    Ok(matcher.matches_rows(texts.as_string::<i32>()))
}

impl ScalarUDFImpl for Bin {
    fn name(&self) -> &str {
        "bin"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, ColumnarValue::Scalar(step)] = args.args.as_slice() else {
            return exec_err!("bin has a constant step");
        };
        let array = value.to_array(args.number_rows)?;
        let floor = |step: i64| move |value: i64| value.saturating_sub(value.rem_euclid(step.max(1)));
        let result: ArrayRef = match (array.data_type(), step) {
            (DataType::Timestamp(TimeUnit::Microsecond, zone), ScalarValue::Int64(Some(step))) => {
                let binned: TimestampMicrosecondArray =
                    array.as_primitive::<TimestampMicrosecondType>().unary(floor(*step));
                Arc::new(binned.with_timezone_opt(zone.clone()))
            }
            (DataType::Int64, ScalarValue::Int64(Some(step))) => {
                let binned: Int64Array = array.as_primitive::<Int64Type>().unary(floor(*step));
                Arc::new(binned)
            }
            (DataType::Float64, ScalarValue::Float64(Some(step))) => {
                let binned: Float64Array =
                    array.as_primitive::<Float64Type>().unary(|value| (value / step).floor() * step);
                Arc::new(binned)
            }
            (value, step) => return exec_err!("bin of {value} by {step} is not defined"),
        };
        Ok(ColumnarValue::Array(result))
    }
}
