//! One UDP socket: what arrived is taken in portions and handed to the spool.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::{Refused, Spool};

use super::{Datagrams, Found, Protocol, drops::KernelDrops};
use crate::receive::{Config, ReceiveError, deliver::Peers};

/// Datagrams taken per wake-up before the spool is fed.
const DRAIN: usize = 1024;
const LARGEST_DATAGRAM: usize = 65_535;
/// Datagrams are received into shared buffers of this size.
const BUFFER: usize = 256 << 10;
const DROPS_INTERVAL: Duration = Duration::from_secs(1);

/// A bound UDP listener.
pub struct UdpReceiver {
    socket: UdpSocket,
    address: SocketAddr,
    datagrams: Datagrams,
    peers: Peers,
    spool: Spool,
    config: Config,
}

/// What became of one append: nothing to do when it is stored, else who lost how many and why.
type Loss = Option<(Arc<Source>, u64, Reason)>;

impl UdpReceiver {
    pub(super) fn bind(protocol: Protocol, config: Config, spool: Spool) -> Result<Self, ReceiveError> {
        let bind = || {
            let socket = std::net::UdpSocket::bind(config.address)?;
            socket.set_nonblocking(true)?;
            // The forced size needs a capability; the plain one is capped by net.core.rmem_max.
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, config.limits.udp_buffer_bytes).or_else(
                |_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, config.limits.udp_buffer_bytes),
            )?;
            let socket = UdpSocket::from_std(socket)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = bind().map_err(|error| ReceiveError::Bind { address: config.address, error })?;
        let peers = Peers::new(spool.clone(), protocol.receiver(), config.parser.as_deref());
        let datagrams = protocol.datagrams(&config.limits);
        Ok(UdpReceiver { socket, address, datagrams, peers, spool, config })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives until shutdown. Records that the spool cannot take are shed and counted, as are those
    /// that the kernel dropped (under `<receiver>:other`, for their senders are unknown).
    ///
    /// # Errors
    /// When the socket breaks.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        let mut drops = KernelDrops::of(&self.socket);
        if drops.is_none() {
            tracing::warn!(address = %self.address, "this system does not tell how many datagrams the kernel drops; such losses are not counted");
        }
        let mut tick = tokio::time::interval(DROPS_INTERVAL);
        let mut buffer = BytesMut::with_capacity(BUFFER);
        let mut waiting: FuturesUnordered<BoxFuture<'static, Loss>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(loss) = waiting.next(), if !waiting.is_empty() => self.settle(loss),
                _ = tick.tick() => {
                    self.count_drops(&mut drops);
                    self.give_up_late(false);
                }
                ready = self.socket.readable() => {
                    ready.map_err(|error| self.broken(error))?;
                    self.drain(&mut buffer, &mut waiting)?;
                }
            }
        }
        // What has already arrived is still ours.
        self.drain(&mut buffer, &mut waiting)?;
        self.count_drops(&mut drops);
        self.give_up_late(true);
        while let Some(loss) = waiting.next().await {
            self.settle(loss);
        }
        Ok(())
    }

    /// Takes what has arrived, at most [`DRAIN`] datagrams, and appends it per peer.
    fn drain(
        &mut self,
        buffer: &mut BytesMut,
        waiting: &mut FuturesUnordered<BoxFuture<'static, Loss>>,
    ) -> Result<(), ReceiveError> {
        let mut arrived: HashMap<IpAddr, Vec<Bytes>> = HashMap::new();
        for _ in 0..DRAIN {
            if buffer.capacity() - buffer.len() < LARGEST_DATAGRAM {
                *buffer = BytesMut::with_capacity(BUFFER);
            }
            match self.socket.try_recv_buf_from(buffer) {
                Ok((_, peer)) => match self.datagrams.take(peer.ip(), buffer.split()) {
                    Found::Record(record) => arrived.entry(peer.ip()).or_default().push(record),
                    Found::Lost(reason) => self.lose(peer.ip(), reason, 1),
                    Found::Nothing => {}
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A peer's ICMP answer to something we never sent; the socket is fine.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted) => {
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
        for (peer, records) in arrived {
            let count = records.len() as u64;
            let bytes = records.iter().map(|record| record.len() as u64).sum();
            let appended = self.peers.source(peer).and_then(|source| Ok((self.append(&source, records)?, source)));
            match appended {
                Ok((ticket, source)) => {
                    self.config.counters.records.add(count);
                    self.config.counters.bytes.add(bytes);
                    waiting.push(Box::pin(async move {
                        let refused = ticket.wait().await.err()?;
                        Some((source, count, refused.reason))
                    }));
                }
                Err(refused) => self.lose(peer, refused.reason, count),
            }
        }
        Ok(())
    }

    /// Messages whose missing parts will not come.
    fn give_up_late(&mut self, all: bool) {
        for peer in self.datagrams.late(all) {
            self.lose(peer, Reason::Truncated, 1);
        }
    }

    fn append(&self, source: &Source, records: Vec<Bytes>) -> Result<vedette_spool::Ticket, Refused> {
        self.spool.append(source, records)
    }

    fn settle(&self, loss: Loss) {
        if let Some((source, count, reason)) = loss {
            self.spool.shed(&source, reason, count);
        }
    }

    fn lose(&self, peer: IpAddr, reason: Reason, count: u64) {
        match self.peers.source(peer).or_else(|_| self.peers.other()) {
            Ok(source) => self.spool.shed(&source, reason, count),
            Err(refused) => {
                tracing::error!(%peer, %reason, count, %refused, "datagrams lost that no source could be charged with")
            }
        }
    }

    fn count_drops(&self, drops: &mut Option<KernelDrops>) {
        let count = drops.as_mut().map_or(0, KernelDrops::since_last);
        if count == 0 {
            return;
        }
        match self.peers.other() {
            Ok(source) => self.spool.shed(&source, Reason::KernelDrop, count),
            Err(refused) => tracing::error!(count, %refused, "kernel drops that no source could be charged with"),
        }
    }

    fn broken(&self, error: io::Error) -> ReceiveError {
        ReceiveError::Socket { address: self.address, error }
    }
}
