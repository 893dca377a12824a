//! The promise that an append gets, and what it becomes.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::sync::oneshot;
use vedette_event::{Reason, Time};

use crate::Refused;

/// Records are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The first record's sequence number within its source; the others follow without a gap.
    pub first_seq: u64,
    /// How many records.
    pub count: usize,
    /// The receive time they were stamped with (with [`crate::Spool::append_at`], the first one's).
    pub received: Time,
}

/// An append that waits for its commit. Dropping it does not take the records back.
#[derive(Debug)]
#[must_use = "only a ticket that was waited for says that the records are durable"]
pub struct Ticket(oneshot::Receiver<Result<Receipt, Refused>>);

pub(crate) type Resolver = oneshot::Sender<Result<Receipt, Refused>>;

pub(crate) fn ticket() -> (Resolver, Ticket) {
    let (sender, receiver) = oneshot::channel();
    (sender, Ticket(receiver))
}

impl Ticket {
    /// Waits until the records are durable; works in any async runtime.
    ///
    /// # Errors
    /// When the disk was full or writing failed; none of the append's records is stored then.
    pub async fn wait(self) -> Result<Receipt, Refused> {
        self.0.await.unwrap_or_else(|_| Err(Refused::new(Reason::WriteFailed, "the spool's writer has stopped")))
    }

    /// The same for a thread of its own.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn wait_blocking(self) -> Result<Receipt, Refused> {
        block_on(self.wait())
    }
}

/// Not `blocking_recv`, which panics when a runtime's thread calls it.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
