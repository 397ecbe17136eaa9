//! TLS on the ports of broker and name server: whole brokers on real sockets, and a client of rustls that is none of ours.
//!
//! Here: certificates, the client, and what brokers log. The tests are sorted by subject: `modes` (who may connect how),
//! `clients` (whose certificate counts), `files` (what happens when they change), `bytes` (what goes over a connection).
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test prepares files that a broker finds, and is its client"
)]

mod bytes;
mod clients;
mod files;
mod log;
mod modes;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::bytes::BytesMut;
use cuemq_actors::config::{BrokerConfig, TlsMode};
use cuemq_actors::testing::{TestBroker, TestBrokerBuilder};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

/// How long an answer may take; far longer than any does, so that a loaded machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, and the directory for what it signs.
struct Authority {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new certificate for `name`, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes a new certificate for `name` and its key where a broker looks for them.
    fn write(&self, name: &str) {
        let (certificate, key) = self.sign(name);
        std::fs::write(self.path("server.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("server.key"), key.serialize_pem()).unwrap();
    }

    /// A broker that enforces TLS with a certificate for `name`, and trusts this authority as a client of its name server.
    fn broker(&self, name: &str, change: impl FnOnce(&mut BrokerConfig)) -> TestBrokerBuilder {
        self.write(name);
        log::listen();
        TestBroker::builder().config(|config| {
            config.tls.mode = TlsMode::Enforcing;
            config.tls.pair.cert = Some(self.path("server.pem"));
            config.tls.pair.key = Some(self.path("server.key"));
            config.tls_client.trust = Some(self.path("ca.pem"));
            change(config);
        })
    }

    /// What a client works with that trusts this authority, and shows `own`.
    fn client(&self, own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let builder = builder().with_root_certificates(roots);
        Arc::new(match own {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    /// A client's own certificate and key.
    fn identity(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.sign("client");
        (
            certificate.der().clone(),
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
    }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// A client that takes any certificate, as one in RocketMQ's test mode.
fn takes_any() -> Arc<ClientConfig> {
    #[derive(Debug)]
    struct TakesAny;

    impl ServerCertVerifier for TakesAny {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
    let builder = builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny));
    Arc::new(builder.with_no_client_auth())
}

/// A connection, with or without TLS.
struct Connection<S> {
    stream: S,
    read: BytesMut,
    last_opaque: i32,
}

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn socket(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn plain(address: SocketAddr) -> Connection<TcpStream> {
    Connection::over(socket(address))
}

/// A connection with TLS to a server called `name`, once the handshake is done on this side.
fn secure(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Result<Connection<Secure>, String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(client, socket(address));
    while stream.conn.is_handshaking() {
        stream
            .conn
            .complete_io(&mut stream.sock)
            .map_err(|error| error.to_string())?;
    }
    Ok(Connection::over(stream))
}

impl<S: Read + Write> Connection<S> {
    fn over(stream: S) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            last_opaque: 0,
        }
    }

    fn send(&mut self, command: Command) -> std::io::Result<i32> {
        self.last_opaque += 1;
        let command = Command {
            opaque: self.last_opaque,
            ..command
        };
        let mut bytes = Vec::new();
        command.encode(&mut bytes).unwrap();
        self.stream.write_all(&bytes)?;
        self.stream.flush()?;
        Ok(self.last_opaque)
    }

    fn write(&mut self, bytes: &[u8]) {
        // It may have heard enough before it has all.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads what there is, which is no command; whether more may come.
    fn stream_is_open(&mut self) -> bool {
        self.stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0)
    }

    /// The next command from the broker; `None` when it has closed the connection.
    fn next(&mut self) -> Option<Command> {
        loop {
            if let Some(found) = frame::check(&self.read, MAX_FRAME_BYTES).unwrap() {
                return Some(Command::decode(&self.read.split_to(found.total).freeze()).unwrap());
            }
            let mut bytes = [0; 64 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.read.extend_from_slice(&bytes[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came from the broker: {error}")
                }
                // A reset, or an alert.
                Err(_) => return None,
            }
        }
    }

    /// Sends a request and gives its answer; `None` when the broker closes the connection instead.
    fn ask(&mut self, command: Command) -> Option<Command> {
        let opaque = self.send(command).ok()?;
        let answer = self.next()?;
        assert_eq!(answer.opaque, opaque, "the answer belongs to the request");
        Some(answer)
    }

    /// Whether a request is served here.
    fn is_served(&mut self) -> bool {
        self.ask(Command::request(RequestCode::from_i32(9999)))
            .is_some_and(|answer| answer.code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0)
    }
}

/// A send of 310 to queue 0, as a 4.x client fills it in.
fn send_to(topic: &str, body: Vec<u8>) -> Command {
    Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_field("a", "producers")
        .with_field("b", topic)
        .with_field("c", "TBW102")
        .with_field("d", 4)
        .with_field("e", 0)
        .with_field("f", 0)
        .with_field("g", 1_700_000_000_000_i64)
        .with_field("h", 0)
        .with_field("i", "")
        .with_body(body)
}

/// Whether a name server has the route of the topic that every broker has, to this broker.
fn knows(name_server: &mut Connection<Secure>, broker: SocketAddr) -> bool {
    let asked = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "TBW102");
    let answer = name_server.ask(asked).unwrap();
    String::from_utf8_lossy(&answer.body).contains(&broker.to_string())
}

/// The three ports of a broker with its name server.
fn ports(broker: &TestBroker) -> [SocketAddr; 3] {
    let mut fast = broker.broker();
    fast.set_port(fast.port() - 2);
    [broker.broker(), fast, broker.name_server()]
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
