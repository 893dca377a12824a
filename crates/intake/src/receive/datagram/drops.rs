//! How many datagrams the kernel threw away because nobody read them in time.

use std::{fs, os::fd::AsFd};

/// Reads the `drops` column of our socket in `/proc/net/udp` and `/proc/net/udp6`.
pub(super) struct KernelDrops {
    inode: String,
    last: u64,
}

impl KernelDrops {
    /// `None` where the kernel does not tell.
    pub(super) fn of(socket: impl AsFd) -> Option<KernelDrops> {
        let inode = rustix::fs::fstat(socket).ok()?.st_ino.to_string();
        let mut drops = KernelDrops { inode, last: 0 };
        drops.last = drops.total()?;
        Some(drops)
    }

    /// Datagrams dropped since the last call.
    pub(super) fn since_last(&mut self) -> u64 {
        let total = self.total().unwrap_or(self.last);
        // The kernel's counter is 32 bits wide and wraps.
        let new = (total as u32).wrapping_sub(self.last as u32);
        self.last = total;
        u64::from(new)
    }

    fn total(&self) -> Option<u64> {
        ["/proc/net/udp", "/proc/net/udp6"]
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .find_map(|table| drops_of(&table, &self.inode))
    }
}

/// The columns are `sl local remote st queues tr retrnsmt uid timeout inode ref pointer drops`.
fn drops_of(table: &str, inode: &str) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_ours = columns.get(9) == Some(&inode);
        is_ours.then(|| columns.last()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_drops_column() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
            519: 0100007F:159A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 81723 2 0000000000000000 42\n";
        assert_eq!(super::drops_of(table, "81723"), Some(42));
        assert_eq!(super::drops_of(table, "8172"), None);
        assert_eq!(super::drops_of("garbage\nmore garbage", "1"), None);
    }
}
