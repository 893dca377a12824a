//! How much goes on at a time, in all and per peer: open connections, requests being read, replies that wait.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// A number of places, of which each peer can have some. Who waits for one gets it in the order of coming.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    per_peer: usize,
    /// Of peers that have or want a place.
    peers: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A place; dropping it gives it back.
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_peer: OwnedSemaphorePermit,
    // After the permits: with the last of them the peer is forgotten.
    peer: Peer,
}

/// A peer that has or wants a place.
struct Peer {
    places: Places,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(all: usize, per_peer: usize) -> Places {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Places(Arc::new(Inner { all, per_peer: per_peer.min(Semaphore::MAX_PERMITS), peers: Mutex::default() }))
    }

    /// A place for a peer, if there is one now.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Place> {
        let (peer, own) = self.peer(peer);
        let of_peer = own.try_acquire_owned().ok()?;
        let of_all = self.0.all.clone().try_acquire_owned().ok()?;
        Some(Place { _of_all: of_all, _of_peer: of_peer, peer })
    }

    /// The same, waiting for a place until the deadline.
    pub(crate) async fn enter_by(&self, peer: IpAddr, deadline: Instant) -> Option<Place> {
        let (peer, own) = self.peer(peer);
        let both = async {
            let of_peer = own.acquire_owned().await.ok()?;
            Some((of_peer, self.0.all.clone().acquire_owned().await.ok()?))
        };
        let (of_peer, of_all) = timeout_at(deadline, both).await.ok()??;
        Some(Place { _of_all: of_all, _of_peer: of_peer, peer })
    }

    fn peer(&self, address: IpAddr) -> (Peer, Arc<Semaphore>) {
        let address = address.to_canonical();
        let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = peers.entry(address).or_insert_with(|| Arc::new(Semaphore::new(self.0.per_peer))).clone();
        (Peer { places: self.clone(), address }, own)
    }
}

impl Place {
    /// Whose it is.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer.address
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut peers = self.places.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // Held by the map alone: nobody has or wants a place. New ones are taken under the same lock.
        if peers.get(&self.address).is_some_and(|own| Arc::strong_count(own) == 1) {
            peers.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn known(places: &Places) -> usize {
        places.0.peers.lock().unwrap().len()
    }

    #[test]
    fn places_are_limited_and_peers_forgotten() {
        let places = Places::new(3, 2);
        let two = [places.enter(ONE).unwrap(), places.enter(ONE).unwrap()];
        assert!(places.enter(ONE).is_none());
        let third = places.enter(OTHER).unwrap();
        assert!(places.enter(OTHER).is_none(), "no place in all");
        assert_eq!(known(&places), 2);
        drop(two);
        assert_eq!(known(&places), 1);
        drop(third);
        assert_eq!(known(&places), 0);
        // The same peer, as IPv6 writes it.
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let _two = [places.enter(ONE).unwrap(), places.enter(mapped).unwrap()];
        assert!(places.enter(ONE).is_none() && known(&places) == 1);
    }

    #[tokio::test]
    async fn who_waits_is_next() {
        let places = Places::new(2, 1);
        let first = places.enter(ONE).unwrap();
        let soon = |millis| Instant::now() + Duration::from_millis(millis);
        assert!(places.enter_by(ONE, soon(20)).await.is_none(), "nobody leaves");
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.enter_by(ONE, soon(30_000)).await.is_some() }
        });
        tokio::task::yield_now().await;
        let _other = places.enter(OTHER).expect("others are not kept waiting");
        drop(first);
        assert!(waiting.await.unwrap());
        // Who gives up leaves nothing behind.
        let held = places.enter(ONE).unwrap();
        let given_up = tokio::spawn({
            let places = places.clone();
            async move { places.enter_by(ONE, soon(30_000)).await.is_some() }
        });
        tokio::task::yield_now().await;
        given_up.abort();
        assert!(given_up.await.is_err());
        drop(held);
        assert_eq!(known(&places), 1);
    }
}
