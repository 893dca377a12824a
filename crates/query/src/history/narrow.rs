//! Which events of a segment need to be looked at: told by its token index and its columns, without their originals.

use std::{collections::HashMap, ops::Range};

use arrow::{
    array::{AnyDictionaryArray, Array, ArrayRef, AsArray, RecordBatch},
    datatypes::Int64Type,
};
use vedette_store::{self as store, Granules, OpenSegment, Segment, TermQuery};

use super::failed;
use crate::{Cancel, QueryError};

/// Rows that are nearer than this are read together: a page is decompressed whole anyway.
const GAP: u64 = 8;

/// Says of stored events, by what is kept of them, that they need not be looked at.
///
/// Values of columns come to *classes*: numbers that the narrower chooses, 0 where nothing is known. Each distinct value
/// is asked for about once.
pub trait Narrow {
    /// What the token index has for every event that is wanted.
    fn terms(&self) -> TermQuery;

    /// Whether what columns say of events that this parser understood, is what would be derived today.
    fn is_current(&self, parser: Option<&str>) -> bool;

    /// The core columns to be asked: first those that most is known by, and how many these are.
    fn columns(&self) -> (Vec<String>, usize);

    /// The class of a column's value; `None` is that of events without the field.
    fn class(&mut self, column: usize, value: Option<&str>) -> u32;

    /// Whether an event may be wanted whose columns have these classes.
    fn may_match(&mut self, classes: &[u32]) -> bool;

    /// Called between record batches: true if the classes that were given out are void now.
    fn forget(&mut self) -> bool;
}

/// Rows that may be wanted: ascending ranges that do not touch.
pub(super) fn wanted(
    segment: &Segment,
    narrow: &mut dyn Narrow,
    cancel: &Cancel,
) -> Result<Vec<Range<u64>>, QueryError> {
    let candidates = segment.candidates(&narrow.terms());
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let file = segment.open().map_err(failed)?;
    let (columns, first) = narrow.columns();
    let mut table = Table::new(&file, columns);
    let mut rows = segment.rows_of(&candidates);
    for step in [0..first, first..table.columns.len()] {
        // Each step knows more, of fewer rows.
        if table.columns[step.clone()].iter().any(|column| column.is_exact) {
            rows = granules_of(segment, &rows);
            rows = table.pass(&rows, step.end, narrow, cancel)?;
        }
    }
    Ok(rows)
}

/// The rows of all granules that these rows are in.
fn granules_of(segment: &Segment, rows: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut granules = Granules::none(segment.granules().len());
    let mut rows = rows.iter().peekable();
    for (at, granule) in segment.granules().iter().enumerate() {
        while rows.next_if(|range| range.end <= granule.rows.start).is_some() {}
        if rows.peek().is_some_and(|range| range.start < granule.rows.end) {
            granules.insert(at);
        }
    }
    segment.rows_of(&granules)
}

struct Table<'s> {
    file: &'s OpenSegment,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    is_exact: bool,
    known: Known,
}

/// The classes of values that were met.
#[derive(Default)]
struct Known {
    missing: Option<u32>,
    /// The dictionary of the last record batch, and its values' classes.
    dictionary: Option<ArrayRef>,
    of_texts: Vec<Option<u32>>,
    of_numbers: HashMap<i64, u32>,
}

impl<'s> Table<'s> {
    fn new(file: &'s OpenSegment, columns: Vec<String>) -> Table<'s> {
        let column = |name: String| {
            let is_exact = file.is_exact(&name);
            Column { name, is_exact, known: Known::default() }
        };
        Table { file, columns: columns.into_iter().map(column).collect() }
    }

    /// Of these rows, those that may be wanted by what the first `count` columns say.
    fn pass(
        &mut self,
        rows: &[Range<u64>],
        count: usize,
        narrow: &mut dyn Narrow,
        cancel: &Cancel,
    ) -> Result<Vec<Range<u64>>, QueryError> {
        let mut names = vec![store::PARSER];
        names.extend(self.columns[..count].iter().filter(|column| column.is_exact).map(|column| column.name.as_str()));
        let batches = self.file.read_dictionaries(rows, &names).map_err(failed)?;
        let mut numbers = rows.iter().cloned().flatten();
        let mut wanted: Vec<Range<u64>> = Vec::new();
        for batch in batches {
            let batch = batch.map_err(failed)?;
            if cancel.is_cancelled() {
                return Err(QueryError::Cancelled);
            }
            if narrow.forget() {
                self.columns.iter_mut().for_each(|column| column.known = Known::default());
            }
            let is_current = are_current(&batch, narrow);
            let mut classes = vec![Vec::new(); self.columns.len()];
            for (at, column) in self.columns[..count].iter_mut().enumerate().filter(|(_, column)| column.is_exact) {
                classes[at] = column.classes(&batch, at, narrow);
            }
            let (mut now, mut last) = (vec![0; self.columns.len()], None);
            for (row, number) in (0..batch.num_rows()).zip(&mut numbers) {
                for (class, classes) in now.iter_mut().zip(&classes) {
                    *class = classes.get(row).copied().unwrap_or(0);
                }
                // Neighbours are often alike.
                let may_match = match &last {
                    _ if !is_current[row] => true,
                    Some((classes, answer)) if *classes == now => *answer,
                    _ => {
                        let answer = narrow.may_match(&now);
                        last = Some((now.clone(), answer));
                        answer
                    }
                };
                match wanted.last_mut() {
                    _ if !may_match => {}
                    Some(range) if number < range.end + GAP => range.end = number + 1,
                    _ => wanted.push(number..number + 1),
                }
            }
        }
        Ok(wanted)
    }
}

impl Column {
    /// The class of each row's value.
    fn classes(&mut self, batch: &RecordBatch, at: usize, narrow: &mut dyn Narrow) -> Vec<u32> {
        let unknown = || vec![0; batch.num_rows()];
        let Some(values) = batch.column_by_name(&self.name) else { return unknown() };
        let known = &mut self.known;
        let missing = *known.missing.get_or_insert_with(|| narrow.class(at, None));
        if let Some(texts) = values.as_any_dictionary_opt() {
            let (keys, of_texts) = (keys(texts), known.of_dictionary(texts.values()));
            let Some(dictionary) = texts.values().as_string_opt::<i32>() else { return unknown() };
            let class = |(row, key): (usize, usize)| match values.is_null(row) {
                true => missing,
                false => *of_texts[key].get_or_insert_with(|| narrow.class(at, Some(dictionary.value(key)))),
            };
            return keys.enumerate().map(class).collect();
        }
        let Some(numbers) = values.as_primitive_opt::<Int64Type>() else { return unknown() };
        let of_numbers = &mut known.of_numbers;
        let class = |number: Option<i64>| match number {
            None => missing,
            Some(number) => *of_numbers.entry(number).or_insert_with(|| narrow.class(at, Some(&number.to_string()))),
        };
        numbers.iter().map(class).collect()
    }
}

impl Known {
    /// The classes of a dictionary's values, as far as they are known.
    fn of_dictionary(&mut self, dictionary: &ArrayRef) -> &mut [Option<u32>] {
        let is_same = |known: &ArrayRef| known.to_data().ptr_eq(&dictionary.to_data());
        if !self.dictionary.as_ref().is_some_and(is_same) {
            self.of_texts = vec![None; dictionary.len()];
            self.dictionary = Some(dictionary.clone());
        }
        &mut self.of_texts
    }
}

/// For each row where its value is in the dictionary; of a row without a value anything.
fn keys(texts: &dyn AnyDictionaryArray) -> impl Iterator<Item = usize> {
    // Of rows that all have none the dictionary is empty.
    let keys = if texts.values().is_empty() { vec![0; texts.len()] } else { texts.normalized_keys() };
    keys.into_iter()
}

/// For each row whether its parser is one of today's.
fn are_current(batch: &RecordBatch, narrow: &dyn Narrow) -> Vec<bool> {
    let parsers = batch.column_by_name(store::PARSER).and_then(|column| column.as_any_dictionary_opt());
    let Some(parsers) = parsers else { return vec![false; batch.num_rows()] };
    let Some(names) = parsers.values().as_string_opt::<i32>() else { return vec![false; batch.num_rows()] };
    let none = narrow.is_current(None);
    let current: Vec<bool> = names.iter().map(|name| narrow.is_current(name)).collect();
    keys(parsers).enumerate().map(|(row, key)| if parsers.is_null(row) { none } else { current[key] }).collect()
}
