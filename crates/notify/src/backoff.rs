//! How long to wait before the next try. Pure: the random part is given.

use std::time::Duration;

use crate::config::Retry;

/// Nobody is believed who asks for a longer pause.
const LONGEST_ASKED: Duration = Duration::from_secs(6 * 3600);

/// The wait after so many attempts: twice as long each time, of which at least half is waited («equal jitter»), so that
/// many senders do not come back at once. The other side's own wish (`Retry-After`) is the least.
pub(crate) fn wait(retry: &Retry, attempts: u32, asked: Option<Duration>, random: u64) -> Duration {
    let doubled = retry.first_seconds.saturating_mul(1 << attempts.saturating_sub(1).min(30));
    let whole = u64::try_from(Duration::from_secs(doubled.min(retry.longest_seconds)).as_millis()).unwrap_or(u64::MAX);
    let half = whole / 2;
    let wait = Duration::from_millis(half + random % (whole - half + 1));
    wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// How long a channel rests after so many failures in a row, so that a dead one does not see its whole queue fail.
pub(crate) fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_millis(500u64 << failures.saturating_sub(1).min(7)).min(Duration::from_secs(60));
    doubled.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// Reads `Retry-After` ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): seconds, or a date.
pub(crate) fn retry_after(value: &str, now: vedette_event::Time) -> Option<Duration> {
    let value = value.trim();
    // Slack and others send fractions.
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    u64::try_from(date.as_second() - now.secs()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use vedette_event::Time;

    use super::*;

    #[test]
    fn waits_grow_and_honour_the_other_side() {
        let retry = Retry::default();
        let range = |attempts| {
            let at = |random| wait(&retry, attempts, None, random).as_millis();
            (at(0), (0..10_000).map(at).max().unwrap())
        };
        assert_eq!(range(1), (2500, 5000));
        assert_eq!(range(2), (5000, 10_000));
        assert_eq!(wait(&retry, 8, None, 0).as_secs(), 320);
        assert_eq!(wait(&retry, 60, None, 0).as_secs(), 450);
        assert_eq!(wait(&retry, 1, Some(Duration::from_secs(120)), 0).as_secs(), 120);
        assert_eq!(wait(&retry, 1, Some(Duration::from_secs(1 << 40)), 0).as_secs(), 6 * 3600);
    }

    #[test]
    fn reads_retry_after() {
        let now = Time::from_secs(784_111_777);
        let cases = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("1.5", Some(1)),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:37 GMT", None),
            ("soon", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now).map(|wait| wait.as_secs()), expected, "{value}");
        }
    }
}
