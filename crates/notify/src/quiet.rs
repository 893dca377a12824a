//! Quiet hours: whether a time is in them, and when they end.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use vedette_event::{Level, Time};

use crate::config::{Quiet, Then, Weekday};

/// What quiet hours say of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Send it.
    No,
    /// Keep it until then.
    Until(Time),
    /// Do not send it.
    Drop,
}

/// Adjoining quiet hours are followed for so many steps: a week of single days.
const MAX_STEPS: usize = 8;

/// What a route's quiet hours say of a notice of a level at a time.
pub(crate) fn silence(quiet: &[Quiet], level: Level, now: Time) -> Silence {
    let concerned = || quiet.iter().filter(|quiet| level < quiet.breaks_through);
    let mut end = now;
    for _ in 0..MAX_STEPS {
        let mut later = None;
        for (quiet, until) in concerned().filter_map(|quiet| Some((quiet, end_of(quiet, end)?))) {
            if end == now && quiet.then == Then::Drop {
                return Silence::Drop;
            }
            later = later.max(Some(until));
        }
        match later {
            Some(until) => end = until,
            None => break,
        }
    }
    if end == now { Silence::No } else { Silence::Until(end) }
}

/// When the quiet hours end that this time is in.
fn end_of(quiet: &Quiet, now: Time) -> Option<Time> {
    let zone = TimeZone::get(&quiet.time_zone).ok()?;
    let now = Timestamp::from_microsecond(now.micros()).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    // They may have begun yesterday.
    [today, today.yesterday().ok()?].into_iter().find_map(|day| {
        let (from, to) = span(quiet, day, &zone)?;
        (from <= now && now < to).then(|| Time::from_micros(to.as_microsecond()))
    })
}

/// The quiet hours that begin on a day.
fn span(quiet: &Quiet, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let weekday = match day.weekday() {
        jiff::civil::Weekday::Monday => Weekday::Mon,
        jiff::civil::Weekday::Tuesday => Weekday::Tue,
        jiff::civil::Weekday::Wednesday => Weekday::Wed,
        jiff::civil::Weekday::Thursday => Weekday::Thu,
        jiff::civil::Weekday::Friday => Weekday::Fri,
        jiff::civil::Weekday::Saturday => Weekday::Sat,
        jiff::civil::Weekday::Sunday => Weekday::Sun,
    };
    if !quiet.weekdays.contains(&weekday) {
        return None;
    }
    let last = if quiet.to > quiet.from { day } else { day.checked_add(1.day()).ok()? };
    let at = |day: Date, time: jiff::civil::Time| Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp());
    Some((at(day, quiet.from.0)?, at(last, quiet.to.0)?))
}

/// Refuses time zones that nobody knows, and quiet hours that never end.
pub(crate) fn check(quiet: &[Quiet]) -> Result<(), String> {
    for one in quiet {
        TimeZone::get(&one.time_zone)
            .map_err(|_| format!("`{}` is no time zone, for example Europe/Berlin", one.time_zone))?;
        if one.weekdays.is_empty() {
            return Err("weekdays is empty: they would never begin".into());
        }
    }
    // A week without a gap, from any Monday on: followed far enough, they end or they do not.
    let monday = Time::from_secs(4 * 86_400);
    let week = 7 * 86_400;
    let mut time = monday;
    while let Some(end) = quiet.iter().filter_map(|quiet| end_of(quiet, time)).max() {
        if end.secs() - monday.secs() > week {
            return Err("they never end: from Monday to Monday there is no time without".into());
        }
        time = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn verdicts(quiet: &str, cases: &[(&str, Level)], expected: Expect) {
        let quiet: Vec<Quiet> = serde_norway::from_str(quiet).unwrap();
        check(&quiet).unwrap();
        let shown: Vec<_> = cases
            .iter()
            .map(|(time, level)| {
                let said = match silence(&quiet, *level, time.parse().unwrap()) {
                    Silence::Until(end) => format!("until {end}"),
                    other => format!("{other:?}"),
                };
                format!("{time} {level}: {said}")
            })
            .collect();
        expected.assert_eq(&shown.join("\n"));
    }

    #[test]
    fn nights_pass_midnight_and_clock_changes() {
        verdicts(
            "[{time_zone: Europe/Berlin, from: '22:00', to: '07:00'}]",
            &[
                ("2026-11-21T20:59:59Z", Level::High),
                ("2026-11-21T21:00:00Z", Level::High),
                ("2026-11-22T05:59:59Z", Level::High),
                ("2026-11-22T06:00:00Z", Level::High),
                ("2026-11-22T01:00:00Z", Level::Critical),
                // Summer time begins on the 29th of March: the night is an hour shorter.
                ("2026-03-28T21:30:00Z", Level::Low),
            ],
            expect![[r#"
                2026-11-21T20:59:59Z high: No
                2026-11-21T21:00:00Z high: until 2026-11-22T06:00:00.000000Z
                2026-11-22T05:59:59Z high: until 2026-11-22T06:00:00.000000Z
                2026-11-22T06:00:00Z high: No
                2026-11-22T01:00:00Z critical: No
                2026-03-28T21:30:00Z low: until 2026-03-29T05:00:00.000000Z"#]],
        );
    }

    #[test]
    fn a_weekend_joins_the_nights_around_it() {
        verdicts(
            "[{from: '20:00', to: '08:00', breaks_through: high}, {weekdays: [sat, sun], from: '00:00', to: '00:00', breaks_through: high}]",
            &[
                ("2026-11-20T21:00:00Z", Level::Medium), // Friday evening
                ("2026-11-21T12:00:00Z", Level::Medium),
                ("2026-11-21T12:00:00Z", Level::High),
                ("2026-11-23T12:00:00Z", Level::Low),
            ],
            expect![[r#"
                2026-11-20T21:00:00Z medium: until 2026-11-23T08:00:00.000000Z
                2026-11-21T12:00:00Z medium: until 2026-11-23T08:00:00.000000Z
                2026-11-21T12:00:00Z high: No
                2026-11-23T12:00:00Z low: No"#]],
        );
    }

    #[test]
    fn dropping_wins_over_holding() {
        verdicts(
            "[{from: '20:00', to: '08:00'}, {from: '01:00', to: '02:00', then: drop, breaks_through: low}]",
            &[
                ("2026-11-21T01:30:00Z", Level::Informational),
                ("2026-11-21T01:30:00Z", Level::Low),
                ("2026-11-21T00:30:00Z", Level::Informational),
            ],
            expect![[r#"
                2026-11-21T01:30:00Z informational: Drop
                2026-11-21T01:30:00Z low: until 2026-11-21T08:00:00.000000Z
                2026-11-21T00:30:00Z informational: until 2026-11-21T08:00:00.000000Z"#]],
        );
    }

    #[test]
    fn endless_silence_is_refused() {
        let said = |text: &str| check(&serde_norway::from_str::<Vec<Quiet>>(text).unwrap());
        assert!(said("[{from: '00:00', to: '00:00'}]").unwrap_err().contains("never end"));
        assert!(
            said("[{from: '06:00', to: '18:00'}, {from: '18:00', to: '06:00'}]").unwrap_err().contains("never end")
        );
        assert!(said("[{from: '06:00', to: '05:59'}]").is_ok());
        assert!(said("[{time_zone: Mars, from: '06:00', to: '05:59'}]").unwrap_err().contains("Mars"));
        assert!(said("[{weekdays: [], from: '06:00', to: '05:59'}]").is_err());
    }
}
