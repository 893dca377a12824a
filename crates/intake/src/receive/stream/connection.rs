//! One connection of any protocol: read, cut, store, answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::{Dialogue, Next, Protocol, Turn};
use crate::receive::{
    Config, Counters, Limits, ReceiveError,
    deliver::{Left, Peers, store_patiently},
    listen::{End, Listener, Serve},
};

/// How much a connection reads at a time: little while it is quiet, more while it keeps up filling it.
const SMALLEST_READ: usize = 8 << 10;
const LARGEST_READ: usize = 256 << 10;
/// A peer that waits for an answer hears from us at least so often.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A bound TCP listener.
pub struct StreamReceiver {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    protocol: Protocol,
    peers: Peers,
    spool: Spool,
    config: Config,
}

impl StreamReceiver {
    pub(super) async fn bind(
        protocol: Protocol,
        config: Config,
        acceptor: Option<TlsAcceptor>,
        spool: Spool,
    ) -> Result<StreamReceiver, ReceiveError> {
        let receiver = protocol.receiver(acceptor.is_some());
        let listener = Listener::bind(config.address, acceptor).await?;
        let peers = Peers::new(spool.clone(), receiver, config.parser.as_deref());
        Ok(StreamReceiver { listener, shared: Arc::new(Shared { protocol, peers, spool, config }) })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves connections until shutdown; then stores what they have already sent.
    ///
    /// # Errors
    /// None at present; a failing `accept` is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        self.listener.run(self.shared, shutdown).await;
        Ok(())
    }
}

impl Serve for Shared {
    type Peer = Arc<Source>;

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    fn counters(&self) -> &Counters {
        &self.config.counters
    }

    fn admit(&self, peer: SocketAddr) -> Option<Arc<Source>> {
        self.peers
            .source(peer.ip())
            .inspect_err(|refused| tracing::warn!(peer = %peer.ip(), %refused, "connection closed"))
            .ok()
    }

    async fn connection<S>(&self, stream: S, source: Arc<Source>, shutdown: &CancellationToken) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let dialogue = self.protocol.dialogue(&self.config);
        Connection { shared: self, source, dialogue, reader, writer, shutdown }.run().await
    }
}

struct Connection<'a, S> {
    shared: &'a Shared,
    source: Arc<Source>,
    dialogue: Box<dyn Dialogue>,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    shutdown: &'a CancellationToken,
}

/// How a turn went.
enum Took {
    /// Whether anything was complete.
    All(bool),
    /// The connection ends.
    Closed,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    async fn run(mut self) -> End {
        let limits = &self.shared.config.limits;
        let mut message_began: Option<Instant> = None;
        let mut read_size = SMALLEST_READ;
        let greeting = self.dialogue.greeting();
        if self.say(&greeting).await.is_err() {
            return End::Closed;
        }
        let end = loop {
            // Trickling bytes does not help: the deadline is that of the message's beginning.
            let deadline = match message_began {
                Some(began) => began + limits.message_time,
                None => Instant::now() + limits.idle,
            };
            let buffer = self.dialogue.buffer();
            buffer.reserve(read_size);
            let read = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break End::Closed,
                read = tokio::time::timeout_at(deadline, self.reader.read_buf(buffer)) => read,
            };
            match read {
                Err(_) => break End::TooSlow,
                // A reset: what came before it is cut below.
                Ok(Err(_) | Ok(0)) => break End::Closed,
                Ok(Ok(count)) if count >= read_size => read_size = (read_size * 2).min(LARGEST_READ),
                Ok(Ok(count)) if count < read_size / 4 => read_size = (read_size / 2).max(SMALLEST_READ),
                Ok(Ok(_)) => {}
            }
            let completed = match self.take().await {
                Took::All(completed) => completed,
                Took::Closed => return End::Closed,
            };
            message_began = match self.dialogue.is_inside() {
                false => None,
                true if completed => Some(Instant::now()),
                true => message_began.or_else(|| Some(Instant::now())),
            };
        };
        let mut turn = Turn::default();
        self.dialogue.end(&mut turn);
        self.settle(turn).await;
        end
    }

    /// Cuts and stores everything that is complete.
    async fn take(&mut self) -> Took {
        let mut completed = false;
        loop {
            let mut turn = Turn::default();
            let next = self.dialogue.take(&mut turn);
            completed |= !turn.records.is_empty() || !turn.reply.is_empty() || turn.too_large > 0;
            if !self.settle(turn).await {
                self.abandon();
                return Took::Closed;
            }
            match next {
                Next::Read => return Took::All(completed),
                // A turn without records does not wait for anything: others shall come to theirs.
                Next::Again => tokio::task::yield_now().await,
                Next::Close => return Took::Closed,
            }
        }
    }

    /// Stores a turn's records and then sends its reply; false if the connection must end.
    async fn settle(&mut self, turn: Turn) -> bool {
        let shared = self.shared;
        for (reason, count) in [(Reason::TooLarge, turn.too_large), (Reason::Malformed, turn.malformed)] {
            if count > 0 {
                shared.spool.refuse(&self.source, reason, count);
            }
        }
        if turn.truncated > 0 {
            shared.spool.shed(&self.source, Reason::Truncated, turn.truncated);
        }
        if !turn.records.is_empty() && !self.store(turn.records).await {
            return false;
        }
        self.say(&turn.reply).await.is_ok()
    }

    async fn store(&mut self, records: Vec<bytes::Bytes>) -> bool {
        let shared = self.shared;
        let left = self.left();
        let source = self.source.clone();
        let storing = store_patiently(&shared.spool, &source, records, &shared.config.counters, left, self.shutdown);
        let Some(keep_alive) = self.dialogue.keep_alive() else { return storing.await };
        let mut storing = std::pin::pin!(storing);
        loop {
            match tokio::time::timeout(KEEP_ALIVE, storing.as_mut()).await {
                Ok(stored) => return stored,
                // Whether the peer is still there shows when it is answered.
                Err(_) => drop(write(&mut self.writer, &keep_alive, &shared.config.limits).await),
            }
        }
    }

    /// What was cut and can no longer be stored.
    fn abandon(&mut self) {
        let mut unread = 0;
        loop {
            let mut turn = Turn::default();
            let next = self.dialogue.take(&mut turn);
            unread += turn.records.len() as u64;
            if next != Next::Again {
                break;
            }
        }
        self.left().count(&self.shared.spool, &self.source, Reason::Busy, unread);
    }

    fn left(&self) -> Left {
        if self.dialogue.acknowledges() { Left::WithSender } else { Left::Nowhere }
    }

    async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        write(&mut self.writer, bytes, &self.shared.config.limits).await
    }
}

/// A peer that does not read its answers is not waited for.
async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8], limits: &Limits) -> std::io::Result<()> {
    let writing = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    tokio::time::timeout(limits.message_time, writing).await?
}
