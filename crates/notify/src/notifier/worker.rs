//! One channel's worker: one message at a time, so that order and rate are kept.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vedette_event::Time;

use super::{Notifier, now};
use crate::{
    NotifyError, backoff,
    config::{Rate, Retry},
    queue::{Given, Manner, Next, Taken},
    ready::Ready,
    render,
    send::{self, Failure},
};

/// The clock may be set: nobody sleeps longer before he looks again.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// When the queue's file cannot be used.
const BROKEN: Duration = Duration::from_secs(2);
/// An attempt that is under way at the end gets so much more.
const GRACE: Duration = Duration::from_secs(2);

/// Works for one channel.
pub(super) struct Worker {
    notifier: Notifier,
    channel: Arc<Ready>,
    retry: Retry,
    dead_limit: usize,
    bucket: Option<Bucket>,
    /// Failures in a row.
    failures: u32,
}

impl Worker {
    pub fn new(notifier: Notifier, channel: Arc<Ready>, retry: Retry, dead_limit: usize) -> Worker {
        let bucket = channel.rate.map(|rate| Bucket::new(rate, Instant::now()));
        Worker { notifier, channel, retry, dead_limit, bucket, failures: 0 }
    }

    /// Sends until `stop`; after `shutdown` does not even wait for an answer.
    pub async fn run(mut self, stop: CancellationToken, shutdown: CancellationToken, slots: Arc<Semaphore>) {
        let mut offered = self.notifier.shared.offered.subscribe();
        let mut folds = false;
        let mut rest = Duration::ZERO;
        while !stop.is_cancelled() {
            let wait = rest.max(self.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(Instant::now())));
            if !wait.is_zero() {
                folds |= rest.is_zero();
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                rest = Duration::ZERO;
                continue;
            }
            offered.borrow_and_update();
            let manner = Manner { folds: folds && self.channel.gathers, in_order: self.channel.keeps_state };
            let (queue, name) = (self.notifier.shared.queue.clone(), self.channel.name.clone());
            let next = blocking(move || queue.take(&name, manner, now())).await;
            folds = false;
            let taken = match next {
                Ok(Next::Send(taken)) => taken,
                Ok(Next::Wait(until)) => {
                    let sleep = until.map_or(LONGEST_SLEEP, |until| between(now(), until).min(LONGEST_SLEEP));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = offered.changed() => {}
                        () = tokio::time::sleep(sleep) => {}
                    }
                    continue;
                }
                Err(error) => {
                    tracing::error!(channel = self.channel.name, "the notification queue cannot be read: {error}");
                    rest = BROKEN;
                    continue;
                }
            };
            let attempt = async {
                let _slot = slots.acquire().await;
                self.attempt(&taken).await
            };
            let result = tokio::select! {
                result = attempt => result,
                () = async { shutdown.cancelled().await; tokio::time::sleep(GRACE).await } => return,
            };
            if let Some(bucket) = &mut self.bucket {
                bucket.spend();
            }
            rest = self.conclude(&taken, result, &shutdown).await;
        }
    }

    async fn attempt(&self, taken: &Taken) -> Result<(), Failure> {
        let payload = render::payload(&self.channel, &taken.message, now())
            .map_err(|what| Failure::lasting(self.channel.scrub(&what)))?;
        send::attempt(&self.channel, payload, Duration::from_secs(self.retry.timeout_seconds)).await.map(drop)
    }

    /// Writes down what became of an attempt; how long the channel rests then.
    async fn conclude(&mut self, taken: &Taken, result: Result<(), Failure>, shutdown: &CancellationToken) -> Duration {
        let attempts = taken.attempts + 1;
        let (channel, message) = (&self.channel.name, taken.id);
        let (given, rest) = match result {
            Ok(()) => {
                self.failures = 0;
                tracing::debug!(channel, message, notices = taken.message.notices.len(), "a notification is sent");
                (Given::Sent, Duration::ZERO)
            }
            Err(Failure { what, is_passing: true, after, .. }) => {
                self.failures += 1;
                let rest = backoff::pause(self.failures, after);
                if attempts < self.retry.attempts {
                    if attempts == 1 {
                        tracing::warn!(channel, message, "a notification is not sent yet: {what}");
                    }
                    let wait = backoff::wait(&self.retry, attempts, after, random());
                    let due = now().plus_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
                    (Given::Again { due, error: what }, rest)
                } else {
                    tracing::error!(channel, message, attempts, "a notification is given up: {what}");
                    (Given::Up { error: what }, rest)
                }
            }
            Err(Failure { what, .. }) => {
                // What is wrong with this message may be well with the next.
                tracing::error!(channel, message, attempts, "a notification is refused: {what}");
                (Given::Up { error: what }, Duration::ZERO)
            }
        };
        self.note_health(&given, rest);
        // As long as this is not written down nothing else is sent: it would be sent twice.
        loop {
            let (queue, given, dead_limit) = (self.notifier.shared.queue.clone(), given.clone(), self.dead_limit);
            match blocking(move || queue.finish(message, &given, dead_limit, now())).await {
                Ok(()) => return rest,
                Err(error) => {
                    tracing::error!(channel, message, "what became of a notification is not written: {error}")
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return rest,
                () = tokio::time::sleep(BROKEN) => {}
            }
        }
    }

    fn note_health(&self, given: &Given, rest: Duration) {
        let mut health = self.notifier.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let health = health.entry(self.channel.name.clone()).or_default();
        let time = now();
        health.rests_until = (!rest.is_zero()).then(|| time.plus_micros(i64::try_from(rest.as_micros()).unwrap_or(0)));
        match given {
            Given::Sent => {
                health.last_sent = Some(time);
                health.error = None;
            }
            Given::Again { error, .. } | Given::Up { error } => {
                health.last_failure = Some(time);
                health.error = Some(error.clone());
            }
        }
    }
}

/// SQLite waits for the disk: not on a thread that others are waiting for.
async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, NotifyError> + Send + 'static,
) -> Result<T, NotifyError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(_) => Err(NotifyError::Damaged { what: "a row" }),
    }
}

fn between(now: Time, then: Time) -> Duration {
    Duration::from_micros(u64::try_from(then.micros().saturating_sub(now.micros())).unwrap_or(0))
}

/// Jitter, not a secret: without random numbers there is none.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

/// A token bucket: so many messages at once, and as many again in the period.
struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket { rate, tokens: f64::from(rate.messages), filled: now }
    }

    /// How long until there is a token.
    fn wait(&mut self, now: Instant) -> Duration {
        let per_second = f64::from(self.rate.messages) / f64::from(self.rate.per_seconds);
        let gained = now.duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.messages));
        self.filled = now;
        if self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        // A little more, lest rounding make it a little less.
        Duration::from_secs_f64((1.0 - self.tokens) / per_second) + Duration::from_millis(1)
    }

    fn spend(&mut self) {
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { messages: 2, per_seconds: 60 }, start);
        for _ in 0..2 {
            assert!(bucket.wait(start).is_zero());
            bucket.spend();
        }
        let wait = bucket.wait(start);
        assert!((29.9..30.1).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(bucket.wait(start + wait).is_zero());
        bucket.spend();
        assert!(!bucket.wait(start + wait).is_zero());
        assert!(bucket.wait(start + Duration::from_secs(3600)).is_zero());
        assert!(bucket.tokens <= 2.0);
    }
}
