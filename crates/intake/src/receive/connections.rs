//! How many connections are open, in all and per peer.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Open connections by peer.
#[derive(Clone, Default)]
pub(crate) struct OpenConnections(Arc<Open>);

#[derive(Default)]
struct Open {
    by_peer: Mutex<HashMap<IpAddr, usize>>,
    /// A place was given back.
    left: Notify,
}

/// A place among the open connections; dropping it gives it back.
pub(crate) struct Place {
    open: OpenConnections,
    peer: IpAddr,
}

impl OpenConnections {
    pub(crate) fn enter(&self, peer: IpAddr, limit: usize, limit_per_peer: usize) -> Option<Place> {
        let peer = peer.to_canonical();
        let mut open = self.0.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let of_peer = open.get(&peer).copied().unwrap_or(0);
        if total >= limit || of_peer >= limit_per_peer {
            return None;
        }
        open.insert(peer, of_peer + 1);
        Some(Place { open: self.clone(), peer })
    }

    /// The same, waiting for a place until the deadline.
    pub(crate) async fn enter_by(
        &self,
        peer: IpAddr,
        limit: usize,
        limit_per_peer: usize,
        deadline: Instant,
    ) -> Option<Place> {
        loop {
            // Before looking, so that a place that is given back meanwhile is heard of.
            let left = self.0.left.notified();
            if let Some(place) = self.enter(peer, limit, limit_per_peer) {
                return Some(place);
            }
            timeout_at(deadline, left).await.ok()?;
        }
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
        let mut open = self.open.0.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
        drop(open);
        self.open.0.left.notify_waiters();
    }
}
