//! Finding what an event says.

use std::net::IpAddr;

use vedette_event::Time;

use super::{Indicators, NONE};
use crate::{Indicator, Kind, Observable, normal, observable::address_key};

/// As what a text is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// An address, and the networks around it.
    Address,
    /// A domain, and the domains above it.
    Domain,
    /// An address or a domain.
    Host,
    /// A URL, with and without its scheme, and its host.
    Url,
    /// A hash of any kind.
    Hash,
    /// Several hashes in one text: Sysmon's `MD5=…,SHA256=…`.
    Hashes,
    /// A mail address, and its domain.
    Mail,
}

/// An observable of the set.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub(super) set: &'a Indicators,
    pub(super) first: u32,
}

impl<'a> Known<'a> {
    /// Its kind.
    pub fn kind(self) -> Kind {
        Kind::from_number(self.set.entries[self.first as usize].kind)
    }

    /// Itself.
    pub fn observable(self) -> Observable {
        Observable::from_key(self.kind(), self.set.key(&self.set.entries[self.first as usize]))
    }

    /// What each feed says of it.
    pub fn indicators(self) -> impl Iterator<Item = Indicator> + use<'a> {
        self.set.chain(self.first).map(move |entry| self.set.indicator(entry))
    }

    /// What feeds say of it that holds for an event of this time, and with this port if it names one.
    pub fn holding(self, time: Time, port: Option<u16>) -> impl Iterator<Item = Indicator> + use<'a> {
        let set = self.set;
        set.chain(self.first)
            .filter(move |entry| set.window(*entry).holds(time, port))
            .map(move |entry| set.indicator(entry))
    }

    /// Whether anything holds, without reading what.
    pub(crate) fn holds(self, time: Time, port: Option<u16>) -> bool {
        self.set.chain(self.first).any(|entry| self.set.window(entry).holds(time, port))
    }

    /// The same number for the same observable of one set.
    pub(crate) fn number(self) -> u32 {
        self.first
    }
}

/// Room for a text's normal form, so that looking up allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    text: Vec<u8>,
}

impl Indicators {
    /// Adds everything that is known of a text, the closest first: an address before the networks around it, a domain before those above it.
    /// A text of another shape is known to nobody.
    pub fn look_up<'a>(&'a self, look: Look, text: &str, known: &mut Vec<Known<'a>>) {
        self.search(look, text, &mut Scratch::default(), &mut |first| known.push(Known { set: self, first }));
    }

    pub(crate) fn look_up_in<'a>(
        &'a self,
        look: Look,
        text: &str,
        scratch: &mut Scratch,
        found: &mut impl FnMut(Known<'a>),
    ) {
        self.search(look, text, scratch, &mut |first| found(Known { set: self, first }));
    }

    fn has(&self, kind: Kind) -> bool {
        self.counts[kind as usize] > 0
    }

    fn search(&self, look: Look, text: &str, scratch: &mut Scratch, found: &mut impl FnMut(u32)) {
        let buffer = &mut scratch.text;
        buffer.clear();
        let text = text.trim();
        buffer.reserve(text.len() + 8);
        match look {
            Look::Address => {
                if let Some(address) = normal::address(text) {
                    self.address(address, found);
                }
            }
            Look::Host | Look::Domain => match normal::address(text) {
                Some(address) if look == Look::Host => self.address(address, found),
                Some(_) => {}
                None if self.depths != 0 => {
                    if let Ok(labels) = normal::domain(text, buffer) {
                        self.domain(buffer, labels, found);
                    }
                }
                None => {}
            },
            Look::Url => {
                let Ok(places) = normal::url(text, buffer) else { return };
                let (with_scheme, without) = self.url_forms;
                if with_scheme && places.slashes > 0 {
                    self.whole(Kind::Url, buffer, found);
                }
                if without {
                    self.whole(Kind::Url, &buffer[places.slashes..], found);
                }
                let host = &buffer[places.host];
                match str::from_utf8(host).ok().and_then(normal::address) {
                    Some(address) => self.address(address, found),
                    None => {
                        let labels = host.iter().filter(|byte| **byte == b'.').count() + 1;
                        self.domain(host, labels as u32, found);
                    }
                }
            }
            Look::Hash => {
                if let Ok(kind) = normal::hash(text, buffer)
                    && self.has(kind)
                {
                    self.whole(kind, buffer, found);
                }
            }
            Look::Hashes => {
                // Each text is at most as long as a field, and each hash is looked at once.
                for part in text.split([',', ';', '|', ' ']) {
                    let hash = part.rsplit_once(['=', ':']).map_or(part, |(_, hash)| hash).trim();
                    buffer.clear();
                    if let Ok(kind) = normal::hash(hash, buffer)
                        && self.has(kind)
                    {
                        self.whole(kind, buffer, found);
                    }
                }
            }
            Look::Mail => {
                let Ok(domain) = normal::mail(text, buffer) else { return };
                if self.has(Kind::Mail) {
                    self.whole(Kind::Mail, buffer, found);
                }
                let domain = &buffer[domain..];
                let labels = domain.iter().filter(|byte| **byte == b'.').count() + 1;
                self.domain(domain, labels as u32, found);
            }
        }
    }

    fn whole(&self, kind: Kind, key: &[u8], found: &mut impl FnMut(u32)) {
        if let Some(first) = self.find(kind, key) {
            found(first);
        }
    }

    fn address(&self, address: IpAddr, found: &mut impl FnMut(u32)) {
        if self.has(Kind::Address) {
            self.whole(Kind::Address, address_key(address).as_slice(), found);
        }
        if self.has(Kind::Network) {
            self.prefixes.around(address, |first| {
                debug_assert_ne!(first, NONE);
                found(first);
            });
        }
    }

    /// A domain in its normal form, and those above it: only as deep as there are any.
    fn domain(&self, domain: &[u8], labels: u32, found: &mut impl FnMut(u32)) {
        if self.depths == 0 {
            return;
        }
        let mut rest = domain;
        for depth in (1..=labels.min(127)).rev() {
            if self.depths & 1 << depth != 0 {
                self.whole(Kind::Domain, rest, found);
            }
            let Some(dot) = memchr::memchr(b'.', rest) else { return };
            rest = &rest[dot + 1..];
        }
    }
}
