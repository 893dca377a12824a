//! Parts of dates: the modifiers `minute`, `hour`, `day`, `week`, `month`, `year`.
//!
//! As the specification warns, nothing is converted: a date's parts are those it is written with, whatever
//! zone it names. The event's own time (`@timestamp`) is in UTC.

use jiff::civil;

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Minute,
    Hour,
    /// Of the month.
    Day,
    /// ISO 8601 week of the year.
    Week,
    Month,
    Year,
}

impl Part {
    /// This part of a date as texts write it: `2026-11-21`, then perhaps `T` or a space and `04:11[:52[.123]]`,
    /// then perhaps a zone.
    pub(crate) fn of(self, text: &str) -> Option<i64> {
        let text = text.trim();
        let date: civil::Date = text.get(..10)?.parse().ok()?;
        let time = text.get(10..)?.strip_prefix(['T', 't', ' ']).map(str::trim_start);
        let clock = |from: usize, limit: i64| {
            let digits = time?.get(from..from + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            let colon_before = from == 0 || time?.as_bytes().get(from - 1) == Some(&b':');
            digits.parse().ok().filter(|part| *part < limit && colon_before)
        };
        match self {
            Part::Minute => clock(3, 60),
            Part::Hour => clock(0, 24),
            Part::Day => Some(date.day().into()),
            Part::Week => Some(date.iso_week_date().week().into()),
            Part::Month => Some(date.month().into()),
            Part::Year => Some(date.year().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_written() {
        use Part::{Day, Hour, Minute, Month, Week, Year};
        for (part, text, want) in [
            (Minute, "2026-11-21T04:11:52Z", Some(11)),
            (Hour, "2026-11-21T04:11:52+05:00", Some(4)),
            (Hour, "2026-11-21 23:59:01.123", Some(23)),
            (Hour, "2026-11-21", None),
            (Hour, "2026-11-21 99:00", None),
            (Minute, "2026-11-21 04-11", None),
            (Day, "2026-11-21", Some(21)),
            (Week, "2021-01-03", Some(53)),
            (Week, "2026-11-21", Some(47)),
            (Month, "2026-11-21", Some(11)),
            (Year, "2026-11-21", Some(2026)),
            (Year, "21 Nov 2026", None),
            (Year, "2026-13-21", None),
            (Day, "2026-11-2ü", None),
        ] {
            assert_eq!(part.of(text), want, "{part:?} of {text}");
        }
    }
}
