//! TLS over any network, by rustls; behind the feature `tls`.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::network::{BoxFuture, Network, Stream, Tcp};

/// A network whose connections all speak TLS, those to name servers too (`useTLS` in Java).
///
/// ```no_run
/// # fn start(config: rustls::ClientConfig) {
/// use std::sync::Arc;
/// use cuemq_client::{ClientOptions, tls::Tls};
///
/// let options = ClientOptions::new().namesrv_addr("ns.example:9876").network(Arc::new(Tls::new(config)));
/// # }
/// ```
pub struct Tls {
    connector: TlsConnector,
    below: Arc<dyn Network>,
    name: Option<ServerName<'static>>,
}

impl Tls {
    /// Over TCP. Which authorities are trusted, and which certificate this client shows, the configuration says.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        Self::over(config, Arc::new(Tcp))
    }

    /// Over another network.
    #[must_use]
    pub fn over(config: ClientConfig, below: Arc<dyn Network>) -> Self {
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            below,
            name: None,
        }
    }

    /// Expects this name in every server's certificate, instead of the host that it is connected by: name servers tell
    /// brokers by their IP addresses, which certificates seldom hold.
    #[must_use]
    pub fn server_name(mut self, name: ServerName<'static>) -> Self {
        self.name = Some(name);
        self
    }

    fn name_for(&self, address: &str) -> io::Result<ServerName<'static>> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed: {error}{}", if *.is_plain { "; the server may speak without TLS" } else { "" })]
struct HandshakeFailed {
    #[source]
    error: io::Error,
    /// Whether a server does so that speaks without TLS.
    is_plain: bool,
}

fn failed(error: io::Error) -> io::Error {
    let kind = error.kind();
    let is_plain = matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    );
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let is_plain = is_plain || matches!(cause, Some(rustls::Error::InvalidMessage(_)));
    io::Error::new(kind, HandshakeFailed { error, is_plain })
}

impl Network for Tls {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let name = self.name_for(address)?;
            let stream = self.below.connect(address).await?;
            let stream = self.connector.connect(name, stream).await.map_err(failed)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn own_address<'a>(&'a self, toward: &'a str) -> BoxFuture<'a, IpAddr> {
        self.below.own_address(toward)
    }

    fn is_secure(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
