//! The way of a request that carries documents, whatever its protocol: a place among the requests, a source, the
//! body read with its limits and cut into documents, and the wait until every document's fate is known.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, StatusCode, request::Parts},
};
use tokio::time::Instant;
use vedette_event::{Reason, Source};
use vedette_spool::{Refused, Spool};

use super::{
    Level, Options,
    body::{BodyError, Decompressor, Incoming, Sink},
    documents::{Documents, Fate},
};
use crate::receive::{
    deliver::Peers,
    places::{Place, Places},
};

/// Portions of one request that may be on their way to the disk.
const PORTIONS_IN_FLIGHT: usize = 8;

/// Who sends a request, where the listener knows it.
pub(super) fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

fn address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip())
}

/// What the requests of one receiver share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) peers: Peers,
    spool: Spool,
    /// Requests whose bodies are being read.
    reading: Places,
    /// Requests whose documents are stored and shall come further.
    waiting: Places,
}

impl Shared {
    pub(super) fn new(spool: Spool, receiver: &'static str, options: Options) -> Arc<Shared> {
        let peers = Peers::new(spool.clone(), receiver, options.parser.as_deref());
        let limits = &options.limits;
        let reading = Places::new(limits.requests, limits.requests_per_peer);
        let waiting = Places::new(limits.waiting, limits.waiting_per_peer);
        Arc::new(Shared { options, peers, spool, reading, waiting })
    }

    pub(super) fn peer_source(&self, peer: Option<SocketAddr>) -> Result<Arc<Source>, Refused> {
        match peer {
            Some(peer) => self.peers.source(peer.ip()),
            None => self.peers.named("local"),
        }
    }

    pub(super) fn is_allowed(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
        let is_allowed = self.options.authorize.as_ref().is_none_or(|authorize| authorize.allow(headers, peer));
        if !is_allowed {
            self.options.counters.requests_refused.add(1);
        }
        is_allowed
    }

    /// Why the spool takes nothing now, if it does not.
    pub(super) fn is_refusing(&self) -> Option<Reason> {
        self.spool.status().refusing
    }

    /// A place among the requests that are read at a time, if there is one for this peer.
    pub(super) fn enter(&self, peer: Option<SocketAddr>) -> Result<Place, &'static str> {
        let place = self.reading.enter(address(peer));
        place.ok_or_else(|| self.too_many())
    }

    fn too_many(&self) -> &'static str {
        self.options.counters.requests_refused.add(1);
        "too many requests at a time"
    }

    /// The level that a request asks for, if it asks.
    fn asked(&self, parts: &Parts) -> Result<Option<Level>, String> {
        let asked = Level::asked(parts)?;
        match (asked, &self.options.acknowledge) {
            (None | Some(Level::Stored), _) => {}
            (Some(level), Some(acknowledge)) => acknowledge.offers(level)?,
            (Some(level), None) => return Err(format!("ack: `{level}` is not offered here, only `stored` is")),
        }
        Ok(asked)
    }

    /// Waits until the stored documents have come to a level, if they do in time; the one that they have come to. None if
    /// nothing was stored.
    async fn wait_for(&self, level: Level, documents: &Documents, place: Place) -> Option<Level> {
        let (next_seq, limits) = (documents.next_seq()?, &self.options.limits);
        let Some(acknowledge) = self.options.acknowledge.as_ref().filter(|_| level > Level::Stored) else {
            return Some(Level::Stored);
        };
        let Some(_waiting) = self.waiting.enter(place.peer()) else {
            return Some(Level::Stored);
        };
        // Whoever waits keeps nobody from being read.
        drop(place);
        Some(acknowledge.wait(documents.source().id, next_seq, level, limits.acknowledge_time).await)
    }

    /// The peer's place among the requests, and its source.
    pub(super) fn admit(&self, peer: Option<SocketAddr>) -> Result<(Place, Arc<Source>), String> {
        let place = self.enter(peer)?;
        let source = self.peer_source(peer).map_err(|refused| refused.to_string())?;
        Ok((place, source))
    }

    /// The same for clients that drop what they are told to send later: a place is waited for.
    pub(super) async fn admit_patiently(&self, peer: Option<SocketAddr>) -> Result<(Place, Arc<Source>), String> {
        let limits = &self.options.limits;
        let deadline = Instant::now() + limits.acknowledge_time;
        let place = self.reading.enter_by(address(peer), deadline).await;
        let place = place.ok_or_else(|| self.too_many())?;
        let source = self.peer_source(peer).map_err(|refused| refused.to_string())?;
        Ok((place, source))
    }

    pub(super) fn documents(&self, source: Arc<Source>) -> Documents {
        let counters = self.options.counters.clone();
        Documents::new(self.spool.clone(), source, counters, &self.options.limits)
    }
}

/// Cuts a body into documents.
pub(super) trait BodyCutter: Sink {
    fn documents(&mut self) -> &mut Documents;

    /// Why the body is not read on, if it is not.
    fn fatal(&self) -> Option<Fatal>;

    /// The body has ended, and nothing was wrong with it.
    fn finish(&mut self);

    /// Takes some of the documents that are only known at the end; false when there are no more.
    fn unpack(&mut self) -> bool {
        false
    }
}

/// Why a request is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fatal {
    pub(super) status: StatusCode,
    pub(super) reason: String,
    /// How the documents are counted that were read and not yet handed over.
    pub(super) counted: Reason,
}

/// A request that was refused as a whole; some of its documents may be stored already.
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) reason: String,
    pub(super) stored: usize,
}

/// Reads the body and stores its documents. Afterwards the fate of every document is known, and the level that the stored ones
/// have come to, if the request asks for one.
pub(super) async fn store<C: BodyCutter>(
    shared: &Shared,
    place: Place,
    parts: &Parts,
    body: Body,
    cutter: C,
) -> Result<(C, Option<Level>), Failure> {
    let counters = &shared.options.counters;
    let refuse = |status, reason| {
        counters.requests_refused.add(1);
        Failure { status, reason, stored: 0 }
    };
    let asked = shared.asked(parts).map_err(|reason| refuse(StatusCode::BAD_REQUEST, reason))?;
    let read = read(shared, &parts.headers, body, cutter).await;
    let (mut cutter, mut fatal) = read.map_err(|failed| refuse(failed.status(), failed.to_string()))?;
    if fatal.is_none() {
        while cutter.unpack() {
            cutter.documents().settle(PORTIONS_IN_FLIGHT).await;
        }
        fatal = too_many(&mut cutter);
    }
    if let Some(Fatal { status, reason, counted }) = fatal {
        counters.requests_refused.add(1);
        let documents = cutter.documents();
        documents.abandon(counted);
        if counted == Reason::Malformed {
            documents.refuse(Fate::Refused(counted));
        }
        documents.settle(0).await;
        return Err(Failure { status, reason, stored: documents.stored() });
    }
    counters.requests.add(1);
    cutter.documents().hand_over();
    cutter.documents().settle(0).await;
    let reached = match asked {
        Some(level) => shared.wait_for(level, cutter.documents(), place).await,
        None => None,
    };
    Ok((cutter, reached))
}

fn too_many(cutter: &mut impl BodyCutter) -> Option<Fatal> {
    cutter.documents().are_too_many().then(|| Fatal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "the request has more records, or longer ones together, than one may have; send smaller requests"
            .to_owned(),
        counted: Reason::TooLarge,
    })
}

/// Reads the body to its end or to what makes it unreadable.
async fn read<C: BodyCutter>(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
    cutter: C,
) -> Result<(C, Option<Fatal>), BodyError> {
    let limits = &shared.options.limits;
    let mut incoming = Incoming::new(body, headers, limits)?;
    let mut decompressor = Decompressor::new(headers, limits.body_bytes, cutter)?;
    let failed = loop {
        let piece = match incoming.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break decompressor.finish().err(),
            Err(failed) => break Some(failed),
        };
        if let Err(failed) = decompressor.write(&piece).await {
            break Some(failed);
        }
        let Some(cutter) = decompressor.sink() else { break None };
        if cutter.fatal().is_some() || cutter.documents().are_too_many() {
            break None;
        }
        cutter.documents().settle(PORTIONS_IN_FLIGHT).await;
    };
    let mut cutter = decompressor.take_sink().ok_or(BodyError::Lost)?;
    let fatal = match failed {
        Some(failed) => Some(Fatal { status: failed.status(), reason: failed.to_string(), counted: Reason::Truncated }),
        None => cutter.fatal().or_else(|| {
            if !cutter.documents().are_too_many() {
                cutter.finish();
            }
            cutter.fatal()
        }),
    };
    Ok((cutter, fatal))
}

/// `%2E` and the like, in a path or a query.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()))
            .flatten();
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
