//! What the ports of a process work with: who may connect how, and the certificate that the next handshake uses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use rustls::{ClientConfig, ServerConfig};

use super::TlsError;
use super::material::{Files, Read};
use crate::config::{BrokerConfig, ClientAuth, TlsClientSettings, TlsMode, TlsSettings};

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// One side of TLS whose files may change.
pub trait Side: Send + Sync {
    /// What it is for, in the log.
    fn name(&self) -> &'static str;

    /// Its files.
    fn files(&self) -> &Files;

    /// What was in them when they were taken into use.
    fn in_use(&self) -> Read;

    /// Takes what is in them now into use; what is open already goes on as it began.
    ///
    /// # Errors
    /// When it cannot be used; nothing has changed then.
    fn renew(&self, contents: Read) -> Result<(), TlsError>;
}

/// What a process has of TLS.
#[derive(Clone)]
pub struct Tls {
    /// For its ports.
    pub server: Arc<TlsServer>,
    /// For the connections to name servers, where they are TLS.
    pub client: Option<Arc<TlsClient>>,
}

impl Tls {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// When one of them cannot be read or used.
    pub fn open(config: &BrokerConfig, disk: &dyn Disk, clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let client = &config.tls_client;
        Ok(Self {
            server: Arc::new(TlsServer::open(&config.tls, disk, Arc::clone(clock))?),
            client: match client.is_enabled(config.tls.mode) {
                true => Some(Arc::new(TlsClient::open(client, disk, Arc::clone(clock))?)),
                false => None,
            },
        })
    }

    /// Those that have files.
    #[must_use]
    pub fn with_files(&self) -> Vec<Arc<dyn Side>> {
        let server = Arc::clone(&self.server) as Arc<dyn Side>;
        let client = self.client.clone().map(|client| client as Arc<dyn Side>);
        let sides = std::iter::once(server).chain(client);
        sides.filter(|side| side.files().are_given()).collect()
    }
}

/// TLS on the ports.
pub struct TlsServer {
    mode: TlsMode,
    auth: ClientAuth,
    self_signed: bool,
    files: Files,
    clock: Arc<dyn Clock>,
    in_use: Mutex<Read>,
    /// `None` until the self-signed certificate is made.
    config: ArcSwapOption<ServerConfig>,
}

/// How a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// In frames.
    Plain,
    /// In TLS.
    Tls,
}

impl TlsServer {
    fn open(settings: &TlsSettings, disk: &dyn Disk, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let files = match settings.mode {
            TlsMode::Disabled => Files::none(),
            TlsMode::Permissive | TlsMode::Enforcing => Files::of_server(settings),
        };
        let contents = files.read(disk)?;
        let server = Self {
            mode: settings.mode,
            auth: settings.client_auth,
            self_signed: settings.self_signed,
            files,
            clock,
            in_use: Mutex::new(contents.clone()),
            config: ArcSwapOption::empty(),
        };
        server.renew(contents)?;
        Ok(server)
    }

    /// The monotonic time.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// How a connection whose first byte is this one speaks.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, first: u8) -> Result<Speech, &'static str> {
        match (first == HANDSHAKE, self.mode) {
            (true, TlsMode::Disabled) => {
                Err("it begins with a TLS handshake, and tls.mode (tls.server.mode) is disabled")
            }
            (false, TlsMode::Enforcing) => Err("it speaks without TLS, and tls.mode (tls.server.mode) is enforcing"),
            (true, _) if !self.self_signed && self.config.load().is_none() => Err(
                "it begins with a TLS handshake, and there is no certificate: give tls.cert and tls.key (tls.server.certPath, \
                 tls.server.keyPath)",
            ),
            (true, _) => Ok(Speech::Tls),
            (false, _) => Ok(Speech::Plain),
        }
    }

    /// What the next handshake works with. Where no certificate is given, the first one makes it: that takes well below a
    /// millisecond.
    ///
    /// # Errors
    /// When none can be made.
    pub fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        if let Some(config) = self.config.load_full() {
            return Ok(config);
        }
        let in_use = self.in_use();
        // Another thread may have made it meanwhile.
        if let Some(config) = self.config.load_full() {
            return Ok(config);
        }
        let config = self.files.self_signed(&in_use, self.auth, &self.clock)?;
        tracing::info!("no certificate is given: TLS runs with a self-signed one, which was made now");
        self.config.store(Some(Arc::clone(&config)));
        Ok(config)
    }

    fn in_use(&self) -> MutexGuard<'_, Read> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Side for TlsServer {
    fn name(&self) -> &'static str {
        "the ports"
    }

    fn files(&self) -> &Files {
        &self.files
    }

    fn in_use(&self) -> Read {
        Self::in_use(self).clone()
    }

    fn renew(&self, contents: Read) -> Result<(), TlsError> {
        // Where there is none, the next hello makes one, for the authorities that count now.
        let config = self.files.server(&contents, self.auth, &self.clock)?;
        let mut in_use = Self::in_use(self);
        *in_use = contents;
        self.config.store(config);
        Ok(())
    }
}

/// TLS on the connections to name servers.
pub struct TlsClient {
    files: Files,
    clock: Arc<dyn Clock>,
    in_use: Mutex<Read>,
    config: ArcSwap<ClientConfig>,
}

impl TlsClient {
    fn open(settings: &TlsClientSettings, disk: &dyn Disk, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let files = Files::of_client(settings);
        let contents = files.read(disk)?;
        Ok(Self {
            config: ArcSwap::new(files.client(&contents, &clock)?),
            files,
            clock,
            in_use: Mutex::new(contents),
        })
    }

    /// What the next connection works with.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.load_full()
    }
}

impl Side for TlsClient {
    fn name(&self) -> &'static str {
        "connections to name servers"
    }

    fn files(&self) -> &Files {
        &self.files
    }

    fn in_use(&self) -> Read {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renew(&self, contents: Read) -> Result<(), TlsError> {
        self.config.store(self.files.client(&contents, &self.clock)?);
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = contents;
        Ok(())
    }
}
