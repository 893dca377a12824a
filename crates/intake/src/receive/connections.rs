//! How many connections are open, in all and per peer.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Open connections by peer.
#[derive(Clone, Default)]
pub(crate) struct OpenConnections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among the open connections; dropping it gives it back.
pub(crate) struct Place {
    open: OpenConnections,
    peer: IpAddr,
}

impl OpenConnections {
    pub(crate) fn enter(&self, peer: IpAddr, limit: usize, limit_per_peer: usize) -> Option<Place> {
        let peer = peer.to_canonical();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let of_peer = open.get(&peer).copied().unwrap_or(0);
        if total >= limit || of_peer >= limit_per_peer {
            return None;
        }
        open.insert(peer, of_peer + 1);
        Some(Place { open: self.clone(), peer })
    }
}

impl Place {
    /// Whose it is.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}
