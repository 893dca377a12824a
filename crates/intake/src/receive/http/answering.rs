//! Ends connections whose client does not read its answers.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// A stream whose writes fail once something has waited too long to be taken whole. A client that takes a byte now and then
/// has no more time than one that takes none.
pub(super) struct Answering<S> {
    stream: S,
    limit: Duration,
    /// Since the first write that had to wait; until all is written.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Answering<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Answering { stream, limit, waiting: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let (Poll::Ready(_), None) = (&polled, &self.waiting) {
            return polled;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match waiting.as_mut().poll(context) {
            Poll::Pending => polled,
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Hyper flushes when it has nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.watch(context, polled))?;
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}

/// Whether an error is one of these.
pub(super) fn is_unread(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_trickling_client_gets_no_more_time_than_one_that_reads_nothing() {
        for reads in [false, true] {
            let (ours, mut theirs) = tokio::io::duplex(16);
            let mut stream = Answering::new(ours, Duration::from_millis(300));
            let reader = tokio::spawn(async move {
                while reads && theirs.read_u8().await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::future::pending::<()>().await;
            });
            // Byte by byte this would take four seconds.
            let error = stream.write_all(&[b'x'; 100]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{reads}");
            reader.abort();
        }
    }

    #[tokio::test]
    async fn each_answer_has_its_own_time() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = Answering::new(ours, Duration::from_secs(2));
        let reader = tokio::spawn(async move {
            let mut piece = [0; 16];
            while theirs.read(&mut piece).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        });
        // All together take longer than one may.
        for _ in 0..8 {
            stream.write_all(&[b'x'; 40]).await.unwrap();
            stream.flush().await.unwrap();
        }
        drop(stream);
        reader.await.unwrap();
    }
}
