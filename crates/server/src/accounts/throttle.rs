//! Against guessing passwords.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use vedette_event::Time;

use super::AccountError;

const FREE_PER_ACCOUNT: u32 = 5;
const FREE_PER_ADDRESS: u32 = 20;
const FIRST_WAIT_SECS: i64 = 30;
const LONGEST_WAIT_SECS: i64 = 15 * 60;
const FORGET_SECS: i64 = 60 * 60;
const MAX_ENTRIES: usize = 10_000;

/// Counts failed log-ins for each account from each address (an IPv6 /64), and for each address.
///
/// After five failures for an account (twenty for an address) every further one must wait: 30 s, doubling up to
/// 15 min. Others, at other addresses, are not locked out. An attempt is counted before the password is looked at,
/// so that parallel attempts gain nothing. Bounded: 10,000 entries, the oldest makes room.
#[derive(Debug, Default)]
pub struct Throttle {
    entries: Mutex<HashMap<Key, Entry>>,
}

/// An account (none: all of them) from an address.
type Key = (Option<String>, Option<IpAddr>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Time,
}

impl Entry {
    fn wait(self, free: u32, now: Time) -> Option<u64> {
        let over = self.failures.checked_sub(free)?;
        let wait = FIRST_WAIT_SECS.saturating_mul(1 << over.min(10)).min(LONGEST_WAIT_SECS);
        let left = self.last.plus_micros(wait * 1_000_000).micros().saturating_sub(now.micros());
        (left > 0).then(|| left.unsigned_abs().div_ceil(1_000_000))
    }
}

impl Throttle {
    /// Counts an attempt as failed, unless it must wait.
    pub(super) fn begin(&self, account: &str, address: Option<IpAddr>, now: Time) -> Result<(), AccountError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() + 2 > MAX_ENTRIES {
            entries.retain(|_, entry| entry.last.plus_micros(FORGET_SECS * 1_000_000) > now);
        }
        while entries.len() + 2 > MAX_ENTRIES {
            let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone()) else {
                break;
            };
            entries.remove(&oldest);
        }
        let keys = keys(account, address);
        let wait = keys.iter().filter_map(|(key, free)| entries.get(key)?.wait(*free, now)).max();
        if let Some(seconds) = wait {
            return Err(AccountError::Throttled { seconds });
        }
        for (key, _) in keys {
            let entry = entries.entry(key).or_insert(Entry { failures: 0, last: now });
            if entry.last.plus_micros(FORGET_SECS * 1_000_000) <= now {
                entry.failures = 0;
            }
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
        }
        Ok(())
    }

    /// The attempt was right: forgets the failures of this account here, takes back the one counted for the address.
    pub(super) fn succeeded(&self, account: &str, address: Option<IpAddr>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let [(account, _), (address, _)] = keys(account, address);
        entries.remove(&account);
        if let Some(entry) = entries.get_mut(&address) {
            entry.failures = entry.failures.saturating_sub(1);
        }
    }
}

fn keys(account: &str, address: Option<IpAddr>) -> [(Key, u32); 2] {
    let address = address.map(network);
    let account: String = account.chars().take(64).flat_map(char::to_lowercase).collect();
    [((Some(account), address), FREE_PER_ACCOUNT), ((None, address), FREE_PER_ADDRESS)]
}

/// One customer has a whole IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_others_are_free() {
        let throttle = Throttle::default();
        let ip = |text: &str| Some(text.parse().unwrap());
        let seconds =
            |account: &str, address: &str, at: i64| match throttle.begin(account, ip(address), Time::from_secs(at)) {
                Err(AccountError::Throttled { seconds }) => seconds,
                _ => 0,
            };
        for _ in 0..5 {
            assert_eq!(seconds("ada", "192.0.2.1", 0), 0);
        }
        assert_eq!(seconds("ADA", "192.0.2.1", 0), 30);
        assert_eq!(seconds("ada", "192.0.2.2", 0), 0, "another address is not locked out");
        assert_eq!(seconds("ada", "192.0.2.1", 30), 0);
        assert_eq!(seconds("ada", "192.0.2.1", 31), 59, "waiting did not count as an attempt");
        for step in 0..20 {
            seconds("ada", "192.0.2.1", 10_000 * step);
        }
        assert!(seconds("ada", "192.0.2.1", 190_001) <= 900);
        throttle.succeeded("ada", ip("192.0.2.1"));
        assert_eq!(seconds("ada", "192.0.2.1", 190_901), 0);
    }

    #[test]
    fn an_address_cannot_go_through_all_accounts_and_a_64_is_one() {
        let throttle = Throttle::default();
        let mut refused = 0;
        for number in 0..40 {
            let address = format!("2001:db8::{number:x}").parse().unwrap();
            refused += u32::from(throttle.begin(&format!("user{number}"), Some(address), Time::from_secs(1)).is_err());
        }
        assert_eq!(refused, 20);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..6_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            throttle.begin(&"x".repeat(500), Some(address), Time::from_secs(i64::from(number))).unwrap();
        }
        assert!(throttle.entries.lock().unwrap().len() <= MAX_ENTRIES);
    }
}
