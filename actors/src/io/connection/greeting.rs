//! The first byte of a connection, which says whether it speaks TLS; and what TLS asks for beyond reading and writing.

use std::io;
use std::pin::Pin;
use std::task::Context;

use super::Connection;
use crate::tls::server::Speech;

impl Connection {
    /// Looks at the first bytes of a connection: whether they are frames. Those of a TLS handshake are handed on with the
    /// stream, which gives out what they protect from then on.
    pub(super) fn greet(&mut self, first: &[u8]) -> Result<Speech, String> {
        let speech = self.io.handshakes.admit(first.first().copied().unwrap_or_default());
        let speech = speech.map_err(|reason| {
            if let Some(left_out) = self.io.metrics.greetings_told.due(self.io.clock.monotonic()) {
                let remote = self.peer.remote;
                tracing::warn!(%remote, reason, left_out, "closing a connection at its first byte");
            }
            reason.to_owned()
        })?;
        self.speech = Some(speech);
        if speech == Speech::Tls {
            let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
            self.stream = self.io.handshakes.accept(stream, first);
        }
        Ok(speech)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.speech == Some(Speech::Tls)
    }

    /// TLS gathers what is written until it is asked to let it go.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unflushed {
            self.unflushed = Pin::new(&mut *self.stream).poll_flush(cx)?.is_pending();
            let stalled = &self.peer.stalled;
            match (self.unflushed, stalled.get()) {
                (true, None) => stalled.set(Some(self.io.clock.monotonic())),
                (false, Some(_)) => stalled.set(None),
                _ => {}
            }
        }
        Ok(())
    }

    /// Says in TLS that the connection ends, as far as the other side takes it at once.
    pub(super) fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        if self.is_tls() {
            let _ = Pin::new(&mut *self.stream).poll_shutdown(cx);
        }
    }
}
