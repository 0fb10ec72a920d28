//! A time limit on each request of a connection, and on taking its answer.
//!
//! The HTTP server limits only the head of a connection's first request. A peer that sends half of a second one, or that
//! never reads an answer, would hold its connection, and the memory that goes with it, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::time::{Instant, Sleep, sleep_until};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that breaks off when its peer takes longer than a limit. Between requests it may be idle for ever: that is the
/// server's own keep-alive to say.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    limit: Duration,
    /// When the first byte came that nothing was written after yet.
    receiving: Option<Instant>,
    /// Since when the peer takes nothing.
    blocked: Option<Instant>,
    /// Rings at a limit, or before it: it is set anew when it has rung, rather than with every request.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// Lets a peer take up to `limit` from the first byte of a request to the first of its answer, and as long again for
    /// taking that.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            receiving: None,
            blocked: None,
            alarm: None,
        }
    }

    /// Pending until what began at `since` has taken too long; then an error.
    fn wait(&mut self, since: Instant, cx: &mut Context<'_>) -> Poll<io::Error> {
        let end = since + self.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if Instant::now() >= end {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            alarm.as_mut().reset(end);
        }
    }

    /// Passes on what a write or a flush came to, and limits how long it may be pending.
    fn sent<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.blocked = None;
            return outcome;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        self.wait(since, cx).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                self.receiving.get_or_insert_with(Instant::now);
            }
            return Poll::Ready(outcome);
        }
        match self.receiving {
            Some(since) => self.wait(since, cx).map(Err),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if outcome.is_ready() {
            self.receiving = None;
        }
        self.sent(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.sent(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// What becomes of a stream whose peer does `peer`, when it is read to its end, answered after every 2 bytes.
    async fn served<F: Future<Output = ()>>(
        peer: impl FnOnce(tokio::io::DuplexStream) -> F,
    ) -> io::Result<()> {
        let (near, far) = duplex(64);
        let mut guarded = Guarded::new(near, LIMIT);
        let serve = async {
            let mut request = [0; 2];
            loop {
                guarded.read_exact(&mut request).await?;
                guarded.write_all(&request).await?;
                guarded.flush().await?;
            }
        };
        tokio::select! {
            outcome = serve => outcome,
            () = peer(far) => Ok(()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_cut_off_whatever_number_it_has() {
        for whole in 0..3 {
            let started = Instant::now();
            let error = served(async |mut far| {
                for _ in 0..whole {
                    far.write_all(b"ab").await.unwrap();
                    far.read_exact(&mut [0; 2]).await.unwrap();
                    tokio::time::sleep(LIMIT * 3).await; // idle
                }
                far.write_all(b"a").await.unwrap();
                pending::<()>().await;
            })
            .await
            .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(
                started.elapsed().as_secs(),
                (LIMIT * (whole * 3 + 1)).as_secs()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_take_less_pass_one_after_the_other() {
        served(async |mut far| {
            for _ in 0..5 {
                far.write_all(b"a").await.unwrap();
                tokio::time::sleep(LIMIT * 9 / 10).await;
                far.write_all(b"b").await.unwrap();
                far.read_exact(&mut [0; 2]).await.unwrap();
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_no_answer_is_cut_off() {
        let error = served(async |mut far| {
            loop {
                far.write_all(b"ab").await.unwrap();
            }
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
