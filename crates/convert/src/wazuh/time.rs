//! `<time>`: a part of the day.

use super::condition::{Expr, Item};

const FIELD: &str = "@timestamp";

/// `8:30-17`, `6 pm - 8:30 am`, `!9 am-5 pm`; both ends belong to it.
pub(super) fn read(text: &str) -> Result<Expr, String> {
    let (negated, range) = text.trim().strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let wrong = || format!("`{text}` is no part of a day, for example 6 pm - 8:30 am");
    let (from, to) = range.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (moment(from).ok_or_else(wrong)?, moment(to).ok_or_else(wrong)?);
    let ends = vec![after(from), before(to)];
    let range = if from <= to { Expr::All(ends) } else { Expr::Any(ends) };
    Ok(if negated { range.not() } else { range })
}

/// Hour and minute.
fn moment(text: &str) -> Option<(u32, u32)> {
    let text = text.trim().to_ascii_lowercase();
    let (clock, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(0)),
        (_, Some(clock)) => (clock, Some(12)),
        _ => (text.as_str(), None),
    };
    let (hour, minute) = clock.trim().split_once(':').unwrap_or((clock.trim(), "0"));
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
    };
    (hour < 24 && minute < 60).then_some((hour, minute))
}

fn after((hour, minute): (u32, u32)) -> Expr {
    if minute == 0 {
        return Item::number(FIELD, &["hour", "gte"], hour);
    }
    let same = vec![Item::number(FIELD, &["hour"], hour), Item::number(FIELD, &["minute", "gte"], minute)];
    Expr::Any(vec![Item::number(FIELD, &["hour", "gt"], hour), Expr::All(same)])
}

fn before((hour, minute): (u32, u32)) -> Expr {
    let same = vec![Item::number(FIELD, &["hour"], hour), Item::number(FIELD, &["minute", "lte"], minute)];
    Expr::Any(vec![Item::number(FIELD, &["hour", "lt"], hour), Expr::All(same)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, want) in [
            ("8:30", Some((8, 30))),
            (" 17 ", Some((17, 0))),
            ("6 pm", Some((18, 0))),
            ("12 am", Some((0, 0))),
            ("12:15pm", Some((12, 15))),
            ("13 pm", None),
            ("24", None),
            ("8:60", None),
            ("soon", None),
        ] {
            assert_eq!(moment(text), want, "{text}");
        }
    }
}
