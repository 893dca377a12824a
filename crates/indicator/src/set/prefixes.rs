//! Networks: all that an address lies in, the narrowest first.
//!
//! Networks are nested or apart, so their ends cut the addresses into stretches, each with one narrowest network. An address's stretch is found by
//! binary search, the wider networks by going up from the narrowest. Nothing is hashed, and a look-up takes the same few steps whatever
//! the networks are.

use std::net::IpAddr;

const NONE: u32 = u32::MAX;

/// Networks of one family; addresses are `u32` or `u128`.
#[derive(Debug, Default)]
struct Family<A> {
    /// Where stretches begin, ascending.
    starts: Vec<A>,
    /// The narrowest network of each stretch, as an index into `networks`.
    narrowest: Vec<u32>,
    networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    /// The network's first entry in the set.
    entry: u32,
    /// The narrowest network around it.
    around: u32,
}

impl<A: Copy + Ord> Family<A> {
    /// From networks as first and last address and entry.
    fn build(mut networks: Vec<(A, A, u32)>, next: impl Fn(A) -> Option<A>) -> Self {
        // A wider network comes before those within it.
        networks.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut family =
            Family { starts: Vec::new(), narrowest: Vec::new(), networks: Vec::with_capacity(networks.len()) };
        let mut open: Vec<(A, u32)> = Vec::new();
        for (first, last, entry) in networks {
            family.close(&mut open, Some(first), &next);
            let around = open.last().map_or(NONE, |(_, network)| *network);
            let network = family.networks.len() as u32;
            family.networks.push(Network { entry, around });
            family.begin(first, network);
            open.push((last, network));
        }
        family.close(&mut open, None, &next);
        family.starts.shrink_to_fit();
        family.narrowest.shrink_to_fit();
        family
    }

    /// Ends the networks that lie before `before`.
    fn close(&mut self, open: &mut Vec<(A, u32)>, before: Option<A>, next: &impl Fn(A) -> Option<A>) {
        while let Some((last, _)) = open.last().copied() {
            if before.is_some_and(|before| last >= before) {
                return;
            }
            open.pop();
            let around = open.last().map_or(NONE, |(_, network)| *network);
            if let Some(behind) = next(last) {
                self.begin(behind, around);
            }
        }
    }

    fn begin(&mut self, start: A, narrowest: u32) {
        if self.starts.last() == Some(&start) {
            if let Some(last) = self.narrowest.last_mut() {
                *last = narrowest;
            }
            return;
        }
        self.starts.push(start);
        self.narrowest.push(narrowest);
    }

    fn around(&self, address: A) -> impl Iterator<Item = u32> + '_ {
        let stretch = self.starts.partition_point(|start| *start <= address).checked_sub(1);
        let narrowest = stretch.map_or(NONE, |stretch| self.narrowest[stretch]);
        let known = |network: u32| self.networks.get(network as usize).copied();
        std::iter::successors(known(narrowest), move |network| known(network.around)).map(|network| network.entry)
    }

    fn bytes(&self) -> usize {
        self.starts.capacity() * size_of::<A>() + self.narrowest.capacity() * 4 + self.networks.capacity() * 8
    }
}

/// Networks of both families.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    v4: Family<u32>,
    v6: Family<u128>,
}

impl Prefixes {
    /// From different networks: first address, length, entry.
    pub(super) fn build(networks: impl Iterator<Item = (IpAddr, u8, u32)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (first, length, entry) in networks {
            match first {
                IpAddr::V4(first) => {
                    let first = first.to_bits();
                    v4.push((first, first | u32::MAX.checked_shr(u32::from(length)).unwrap_or(0), entry));
                }
                IpAddr::V6(first) => {
                    let first = first.to_bits();
                    v6.push((first, first | u128::MAX.checked_shr(u32::from(length)).unwrap_or(0), entry));
                }
            }
        }
        Prefixes {
            v4: Family::build(v4, |address| address.checked_add(1)),
            v6: Family::build(v6, |address| address.checked_add(1)),
        }
    }

    /// The entries of all networks that hold the address, the narrowest first.
    pub(super) fn around(&self, address: IpAddr, mut found: impl FnMut(u32)) {
        match address {
            IpAddr::V4(v4) => self.v4.around(v4.to_bits()).for_each(&mut found),
            IpAddr::V6(v6) => self.v6.around(v6.to_bits()).for_each(&mut found),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn masked(bits: u32, length: u8) -> u32 {
        bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
    }

    proptest! {
        #[test]
        fn every_network_around_an_address_is_found_the_narrowest_first(
            // Few bits, so that networks nest and touch; both ends of all addresses occur.
            networks in prop::collection::btree_set((0_u32..64, 0_u8..=32), 0..40),
            probes in prop::collection::vec(0_u32..64, 1..20),
        ) {
            let spread = |bits: u32| bits.reverse_bits() | (bits & 7) | if bits == 63 { u32::MAX } else { 0 };
            let mut all: Vec<(u32, u8)> = networks.iter().map(|(bits, length)| (masked(spread(*bits), *length), *length)).collect();
            all.sort_unstable();
            all.dedup();
            let prefixes = Prefixes::build(all.iter().enumerate().map(|(entry, (first, length))| {
                (IpAddr::V4(Ipv4Addr::from_bits(*first)), *length, entry as u32)
            }));
            for probe in probes.into_iter().map(spread).chain([0, u32::MAX]) {
                let mut want: Vec<u32> = (0..all.len() as u32)
                    .filter(|entry| masked(probe, all[*entry as usize].1) == all[*entry as usize].0)
                    .collect();
                want.sort_by_key(|entry| std::cmp::Reverse(all[*entry as usize].1));
                let mut got = Vec::new();
                prefixes.around(IpAddr::V4(Ipv4Addr::from_bits(probe)), |entry| got.push(entry));
                prop_assert_eq!(got, want);
            }
        }
    }
}
