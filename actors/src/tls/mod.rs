//! TLS as RocketMQ has it: on every port of broker and name server, beside connections without it.
//!
//! | file | what it does |
//! |---|---|
//! | `material` | files in PEM to what rustls works with |
//! | `pem` | certificates and keys out of a file, also keys under a password |
//! | `server` | the certificate that handshakes use, and who may connect how |
//! | `stream` | a connection's stream from its hello on, and one to a name server |
//! | `verifier` | what a name server's certificate is held against |
//! | `watch` | the actor that looks for changed files |
//!
//! The first byte of a connection decides (`io::connection`): 0x16 begins a TLS handshake and no frame, whose length would
//! be 369 MB then. Randomness is the system's own and not the [`Entropy`](cuemq_storage::entropy::Entropy) seam's: a
//! simulation speaks without TLS.

pub mod material;
mod pem;
pub mod server;
pub mod stream;
mod verifier;
pub mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cuemq_storage::clock::Clock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Why TLS cannot be had with what is given. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read ({source}): let this user read it, or correct {setting}", path.display())]
    Unreadable {
        /// What names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} {what}: give {setting} a file in PEM, with {wanted}", path.display())]
    Unusable {
        /// What names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A key that is kept under a password, and cannot be opened.
    #[error("the key in {} cannot be opened: {what}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        what: String,
    },
    /// Certificate and key do not go together, or cannot be used.
    #[error("{} and {} cannot be used together ({source}): give a certificate and its own key", cert.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// What rustls does not take.
    #[error("TLS cannot be set up ({0})")]
    Refused(String),
}

/// The one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The broker's time, for how long certificates are good.
struct Time(Arc<dyn Clock>);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let since_1970 = std::time::Duration::from_millis(self.0.now_ms());
        Some(UnixTime::since_unix_epoch(since_1970))
    }
}
