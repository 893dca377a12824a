//! Times as people write them.

use jiff::{civil, tz::TimeZone};
use vedette_event::Time;

/// Reads `2026-11-21T04:11:52Z`, `2026-11-21 04:11` (UTC), `2026-11-21`, `2026-11`, `now`, `now-15m`, or
/// microseconds since 1970. Gives the time and how long the part is that was left open: a day for a date.
pub(crate) fn parse_time(text: &str, now: Time) -> Option<(Time, i64)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Some((now, 1));
        }
        let (sign, rest) = match rest.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, rest.strip_prefix('+')?),
        };
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let micros = crate::syntax::timespan(&rest[..digits], &rest[digits..])?;
        return Some((now.plus_micros(micros.checked_mul(sign)?), 1));
    }
    if let Ok(time) = text.parse::<Time>() {
        return Some((time, 1));
    }
    if text.len() > 14 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(|micros| (Time::from_micros(micros), 1));
    }
    let micros = |time: civil::DateTime| -> Option<Time> {
        let timestamp = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Time::from_micros(timestamp.as_microsecond()))
    };
    if text.len() == 7 {
        let first: civil::Date = format!("{text}-01").parse().ok()?;
        let days = i64::from(first.days_in_month());
        return Some((micros(first.at(0, 0, 0, 0))?, days * 86_400_000_000));
    }
    if text.len() == 10 {
        let date: civil::Date = text.parse().ok()?;
        return Some((micros(date.at(0, 0, 0, 0))?, 86_400_000_000));
    }
    let time: civil::DateTime = text.parse().ok()?;
    let open = if text.len() == 16 { 60_000_000 } else { 1 };
    Some((micros(time)?, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let now = Time::from_secs(1_000_000);
        let show = |text: &str| parse_time(text, now).map(|(time, open)| format!("{time} {open}"));
        let cases = [
            ("2026-11-21T05:11:52+01:00", Some("2026-11-21T04:11:52.000000Z 1")),
            ("2026-11-21 04:11:52.5", Some("2026-11-21T04:11:52.500000Z 1")),
            ("2026-11-21 04:11", Some("2026-11-21T04:11:00.000000Z 60000000")),
            ("2026-11-21", Some("2026-11-21T00:00:00.000000Z 86400000000")),
            ("2026-02", Some("2026-02-01T00:00:00.000000Z 2419200000000")),
            ("now", Some("1970-01-12T13:46:40.000000Z 1")),
            ("now-1h", Some("1970-01-12T12:46:40.000000Z 1")),
            ("yesterday", None),
            ("2026-13-01", None),
            ("now-", None),
        ];
        for (text, expected) in cases {
            assert_eq!(show(text).as_deref(), expected, "{text}");
        }
    }
}
