//! Times as feeds write them.

use vedette_event::Time;

/// Reads RFC 3339, `2026-11-21 04:11:52` (with or without ` UTC`), `2026-11-21`, and seconds since 1970. `Ok(None)` is a feed's way to say
/// that it knows none.
pub(super) fn read(text: &str) -> Result<Option<Time>, ()> {
    let text = text.trim();
    if matches!(text.to_ascii_lowercase().as_str(), "" | "-" | "0" | "none" | "null" | "n/a" | "na" | "never") {
        return Ok(None);
    }
    if text.len() > 64 {
        return Err(());
    }
    if let Ok(time) = text.parse::<Time>() {
        return Ok(Some(time));
    }
    if let Ok(secs) = text.parse::<f64>() {
        let sane = secs.is_finite() && secs > 0.0 && secs < 253_402_300_800.0;
        return if sane { Ok(Some(Time::from_micros((secs * 1e6) as i64))) } else { Err(()) };
    }
    let plain = text.trim_end_matches("UTC").trim_end_matches("GMT").trim_end().trim_end_matches('Z');
    let civil = plain
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| plain.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)));
    let zoned = civil.ok().and_then(|civil| jiff::tz::TimeZone::UTC.to_timestamp(civil).ok());
    zoned.map(|timestamp| Some(Time::from_micros(timestamp.as_microsecond()))).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_feeds_write_them() {
        let day = Some("2026-11-21T00:00:00.000000Z".to_owned());
        let second = Some("2026-11-21T04:11:52.000000Z".to_owned());
        for (text, want) in [
            ("2026-11-21", Ok(day)),
            ("2026-11-21 04:11:52", Ok(second.clone())),
            ("2026-11-21 04:11:52 UTC", Ok(second.clone())),
            ("2026-11-21T04:11:52Z", Ok(second.clone())),
            ("2026-11-21T05:11:52+01:00", Ok(second.clone())),
            ("2026-11-21T04:11:52", Ok(second.clone())),
            ("1795234312", Ok(second)),
            ("", Ok(None)),
            ("None", Ok(None)),
            ("yesterday", Err(())),
            ("-5", Err(())),
            ("1e300", Err(())),
            ("nan", Err(())),
        ] {
            assert_eq!(read(text).map(|time| time.map(|time| time.to_string())), want, "{text}");
        }
    }
}
