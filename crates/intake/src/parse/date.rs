//! Dates as logs write them.

use jiff::{civil, tz::TimeZone};
use vedette_event::Time;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How a date is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// ISO 8601 / RFC 3339, with `T`, space or `/` variants, fraction with `.` or `,`, zone optional.
    Iso,
    /// `Nov 21 04:11:52`, `Nov  1 2026 04:11:52.123`.
    Syslog,
    /// `21/Nov/2026:04:11:52 +0100`.
    Clf,
    /// `Sat Nov 21 04:11:52.123456 2026`.
    Ctime,
    /// Seconds since the epoch, with or without a fraction.
    Unix,
    /// Milliseconds since the epoch.
    UnixMs,
    /// Microseconds since the epoch.
    UnixUs,
    UnixNs,
    /// A strptime pattern.
    Custom(Box<str>),
}

impl Format {
    /// From its name in a parser file.
    pub fn parse(text: &str) -> Option<Format> {
        Some(match text {
            "iso" => Format::Iso,
            "syslog" => Format::Syslog,
            "clf" => Format::Clf,
            "ctime" => Format::Ctime,
            "unix" => Format::Unix,
            "unix_ms" => Format::UnixMs,
            "unix_us" => Format::UnixUs,
            "unix_ns" => Format::UnixNs,
            custom if custom.contains('%') => Format::Custom(custom.into()),
            _ => return None,
        })
    }

    /// The point in time that the whole of `text` names.
    pub fn read(&self, text: &str, received: Time, zone: &TimeZone) -> Option<Time> {
        let whole = |found: Option<(Clock, usize)>| found.filter(|(_, len)| *len == text.len()).map(|(clock, _)| clock);
        match self {
            Format::Iso => whole(iso(text))?.resolve(received, zone),
            Format::Syslog => whole(syslog(text))?.resolve(received, zone),
            Format::Clf => clf(text)?.resolve(received, zone),
            Format::Ctime => ctime(text)?.resolve(received, zone),
            Format::Unix => epoch(text, SECOND),
            Format::UnixMs => epoch(text, 1_000),
            Format::UnixUs => epoch(text, 1),
            Format::UnixNs => text.parse::<i64>().ok().map(|nanos| Time::from_micros(nanos.div_euclid(1000))),
            Format::Custom(format) => custom(format, text, received, zone),
        }
    }
}

/// A date and time of day, as far as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    year: Option<i16>,
    month: u8,
    day: u8,
    /// Microseconds of the day.
    micros: i64,
    /// Microseconds east of UTC.
    offset: Option<i64>,
}

impl Clock {
    /// The point in time. A missing year is the one that brings it next to the receive time.
    pub fn resolve(self, received: Time, zone: &TimeZone) -> Option<Time> {
        if let Some(year) = self.year {
            return self.in_year(year, zone);
        }
        let now = jiff::Timestamp::from_microsecond(received.micros()).ok()?;
        let year = now.to_zoned(TimeZone::UTC).year();
        // A log line may be up to a week "ahead" (zones, clocks that are wrong); beyond that it is last year's.
        // A line from just after New Year read with a clock from just before it is next year's.
        for candidate in [year.saturating_add(1), year] {
            if let Some(time) = self.in_year(candidate, zone)
                && time.micros() <= received.micros().saturating_add(7 * DAY)
            {
                return Some(time);
            }
        }
        (1..=8).find_map(|back| self.in_year(year.saturating_sub(back), zone))
    }

    fn in_year(self, year: i16, zone: &TimeZone) -> Option<Time> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if self.day == 0 || self.day > days {
            return None;
        }
        let local = days_from_civil(i64::from(year), self.month, self.day) * DAY + self.micros;
        if let Some(offset) = self.offset {
            return Some(Time::from_micros(local - offset));
        }
        if *zone == TimeZone::UTC {
            return Some(Time::from_micros(local));
        }
        let date = civil::Date::new(year, self.month as i8, self.day as i8).ok()?;
        let seconds = self.micros / SECOND;
        let time = civil::Time::new(
            (seconds / 3600) as i8,
            (seconds / 60 % 60) as i8,
            (seconds % 60) as i8,
            (self.micros % SECOND * 1000) as i32,
        )
        .ok()?;
        let zoned = zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()?;
        Some(Time::from_micros(zoned.timestamp().as_microsecond()))
    }
}

/// Days from 1970-01-01 (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads small fixed things from the front of a text.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { bytes: text.as_bytes(), at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let mut value = 0;
        let mut count = 0;
        while count < most
            && let Some(digit @ b'0'..=b'9') = self.peek()
        {
            value = value * 10 + i64::from(digit - b'0');
            count += 1;
            self.at += 1;
        }
        (count >= least).then_some(value)
    }

    fn month(&mut self) -> Option<u8> {
        const NAMES: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
        let name = self.bytes.get(self.at..self.at + 3)?;
        let found = NAMES.chunks(3).position(|month| month.eq_ignore_ascii_case(name))?;
        self.at += 3;
        Some(found as u8 + 1)
    }

    /// `HH:MM[:SS[.fraction]]` in microseconds.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number(1, 2)?;
        if !self.eat(b':') {
            return None;
        }
        let minute = self.number(2, 2)?;
        let mut micros = 0;
        let mut second = 0;
        if self.eat(b':') {
            second = self.number(2, 2)?;
            if let Some(b'.' | b',') = self.peek()
                && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit)
            {
                self.at += 1;
                micros = self.fraction();
            }
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // A leap second counts as the last second of its minute.
        Some(((hour * 60 + minute) * 60 + second.min(59)) * SECOND + micros)
    }

    fn fraction(&mut self) -> i64 {
        let mut micros = 0;
        let mut unit = SECOND / 10;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            micros += i64::from(digit - b'0') * unit;
            unit /= 10;
            self.at += 1;
        }
        micros
    }

    /// `Z`, `UTC`, `GMT`, `+01:00`, `+0100`, `+01`; the reader does not move if there is none.
    fn offset(&mut self) -> Option<i64> {
        if self.eat(b'Z') || self.eat(b'z') {
            return Some(0);
        }
        if self.bytes[self.at..].starts_with(b"UTC") || self.bytes[self.at..].starts_with(b"GMT") {
            self.at += 3;
            return Some(0);
        }
        let start = self.at;
        let sign = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.at += 1;
        let found = (|| {
            let hour = self.number(2, 2)?;
            self.eat(b':');
            let minute = self.number(2, 2).unwrap_or(0);
            (hour <= 18 && minute < 60).then_some(sign * (hour * 3600 + minute * 60) * SECOND)
        })();
        if found.is_none() {
            self.at = start;
        }
        found
    }
}

/// An ISO date at the start of `text`, and its length.
pub(crate) fn iso(text: &str) -> Option<(Clock, usize)> {
    let mut reader = Reader::new(text);
    let year = reader.number(4, 4)?;
    let separator = reader.peek().filter(|byte| matches!(byte, b'-' | b'/'))?;
    reader.at += 1;
    let month = reader.number(2, 2)?;
    if !reader.eat(separator) {
        return None;
    }
    let day = reader.number(2, 2)?;
    let mut micros = 0;
    let mut offset = None;
    if let Some(b'T' | b't' | b' ') = reader.peek() {
        reader.at += 1;
        micros = reader.time()?;
        let behind = reader.at;
        if reader.eat(b' ') {
            offset = reader.offset();
            if offset.is_none() {
                reader.at = behind;
            }
        } else {
            offset = reader.offset();
        }
    }
    Some((Clock { year: Some(year as i16), month: month as u8, day: day as u8, micros, offset }, reader.at))
}

/// An RFC 3164 date at the start of `text`, and its length.
pub(crate) fn syslog(text: &str) -> Option<(Clock, usize)> {
    let mut reader = Reader::new(text);
    let month = reader.month()?;
    if !reader.eat(b' ') {
        return None;
    }
    reader.eat(b' ');
    let day = reader.number(1, 2)?;
    if !reader.eat(b' ') {
        return None;
    }
    let behind = reader.at;
    let year = reader.number(4, 4).filter(|_| reader.eat(b' '));
    if year.is_none() {
        reader.at = behind;
    }
    let micros = reader.time()?;
    let behind = reader.at;
    reader.eat(b' ');
    let offset = reader.offset();
    if offset.is_none() {
        reader.at = behind;
    }
    Some((Clock { year: year.map(|year| year as i16), month, day: day as u8, micros, offset }, reader.at))
}

fn clf(text: &str) -> Option<Clock> {
    let mut reader = Reader::new(text);
    let day = reader.number(1, 2)?;
    let month = reader.eat(b'/').then(|| reader.month())??;
    let year = reader.eat(b'/').then(|| reader.number(4, 4))??;
    let micros = reader.eat(b':').then(|| reader.time())??;
    let offset = if reader.eat(b' ') { Some(reader.offset()?) } else { None };
    (reader.at == text.len()).then_some(Clock { year: Some(year as i16), month, day: day as u8, micros, offset })
}

fn ctime(text: &str) -> Option<Clock> {
    let mut reader = Reader::new(text.get(4..)?);
    let month = reader.month()?;
    reader.eat(b' ').then_some(())?;
    reader.eat(b' ');
    let day = reader.number(1, 2)?;
    reader.eat(b' ').then_some(())?;
    let micros = reader.time()?;
    reader.eat(b' ').then_some(())?;
    let year = reader.number(4, 4)?;
    (reader.at + 4 == text.len()).then_some(Clock {
        year: Some(year as i16),
        month,
        day: day as u8,
        micros,
        offset: None,
    })
}

fn epoch(text: &str, unit: i64) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    let mut micros = 0;
    let mut place = unit / 10;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        micros += i64::from(digit - b'0') * place;
        place /= 10;
    }
    Some(Time::from_micros(whole.checked_mul(unit)?.checked_add(micros)?))
}

fn custom(format: &str, text: &str, received: Time, zone: &TimeZone) -> Option<Time> {
    let mut broken = jiff::fmt::strtime::parse(format, text).ok()?;
    if let Some(seconds) = broken.timestamp() {
        return Some(Time::from_micros(seconds.as_microsecond()));
    }
    if broken.year().is_none() {
        let time = broken.to_time().ok();
        let clock = Clock {
            year: None,
            month: broken.month()? as u8,
            day: broken.day()? as u8,
            micros: time.map_or(0, |time| {
                (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 * SECOND
                    + i64::from(time.second()) * SECOND
                    + i64::from(time.subsec_nanosecond()) / 1000
            }),
            offset: broken.offset().map(|offset| i64::from(offset.seconds()) * SECOND),
        };
        return clock.resolve(received, zone);
    }
    if broken.offset().is_some() {
        return broken.to_timestamp().ok().map(|time| Time::from_micros(time.as_microsecond()));
    }
    if broken.hour().is_none() {
        broken.set_hour(Some(0)).ok()?;
    }
    let date = broken.to_datetime().ok()?;
    let zoned = zone.to_ambiguous_zoned(date).compatible().ok()?;
    Some(Time::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_logs_write_them() {
        let received: Time = "2026-11-21T05:00:00Z".parse().unwrap();
        for (format, text, expected) in [
            ("iso", "2026-11-21T04:11:52Z", "2026-11-21T04:11:52.000000Z"),
            ("iso", "2026-11-21T04:11:52.123456789+01:00", "2026-11-21T03:11:52.123456Z"),
            ("iso", "2026-11-21 04:11:52,5 UTC", "2026-11-21T04:11:52.500000Z"),
            ("iso", "2026/11/21 04:11:52", "2026-11-21T04:11:52.000000Z"),
            ("iso", "2024-02-29", "2024-02-29T00:00:00.000000Z"),
            ("iso", "2026-02-29T00:00:00Z", "-"),
            ("iso", "2026-11-21T24:00:00Z", "-"),
            ("iso", "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
            ("syslog", "Nov 21 04:11:52", "2026-11-21T04:11:52.000000Z"),
            ("syslog", "Nov  1 04:11:52.25", "2026-11-01T04:11:52.250000Z"),
            ("syslog", "Nov 21 2020 04:11:52", "2020-11-21T04:11:52.000000Z"),
            ("syslog", "Dec 10 06:55:46", "2025-12-10T06:55:46.000000Z"),
            ("syslog", "Feb 29 06:55:46", "2024-02-29T06:55:46.000000Z"),
            ("syslog", "Foo 10 06:55:46", "-"),
            ("clf", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36.000000Z"),
            ("ctime", "Sun Dec 04 04:47:44 2005", "2005-12-04T04:47:44.000000Z"),
            ("ctime", "Sat Aug 12 04:05:51.123456 2006", "2006-08-12T04:05:51.123456Z"),
            ("unix", "1364481363.243", "2013-03-28T14:36:03.243000Z"),
            ("unix_ms", "1688991075000", "2023-07-10T12:11:15.000000Z"),
            ("unix_us", "1688991075000001", "2023-07-10T12:11:15.000001Z"),
            ("unix_ns", "1688991075000001999", "2023-07-10T12:11:15.000001Z"),
            ("%d.%m.%Y %H:%M:%S", "21.11.2026 04:11:52", "2026-11-21T04:11:52.000000Z"),
            ("%d.%m. %H:%M", "24.12. 04:11", "2025-12-24T04:11:00.000000Z"),
            ("%Y%m%d%H%M%S %z", "20261121041152 +0200", "2026-11-21T02:11:52.000000Z"),
            ("%Y-%m-%d", "2026-11-21", "2026-11-21T00:00:00.000000Z"),
        ] {
            let read = Format::parse(format).unwrap().read(text, received, &TimeZone::UTC);
            assert_eq!(read.map_or("-".into(), |time| time.to_string()), expected, "{format}: {text}");
        }
    }

    #[test]
    fn a_missing_year_comes_from_the_receive_time_across_new_year() {
        for (text, received, expected) in [
            ("Dec 31 23:59:59", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59.000000Z"),
            ("Jan  1 00:00:01", "2026-12-31T23:59:59Z", "2027-01-01T00:00:01.000000Z"),
            ("Jan  1 00:00:01", "2027-01-01T00:00:01Z", "2027-01-01T00:00:01.000000Z"),
        ] {
            let time = Format::Syslog.read(text, received.parse().unwrap(), &TimeZone::UTC).unwrap();
            assert_eq!(time.to_string(), expected, "{text} at {received}");
        }
    }

    #[test]
    fn a_zone_applies_where_none_is_written() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let received = Time::from_secs(0);
        let read = |text| Format::Iso.read(text, received, &zone).unwrap().to_string();
        assert_eq!(read("2026-11-21 04:11:52"), "2026-11-21T02:11:52.000000Z");
        assert_eq!(read("2026-11-21 04:11:52Z"), "2026-11-21T04:11:52.000000Z");
    }
}
