//! `cuemq tls init` makes files that a server and its clients use as they are.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command as Frame;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{Home, PATIENCE, Running, SETTINGS, ask_over, cuemq, run};

fn init(home: &Home, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = cuemq(["tls", "init"].iter().chain(arguments));
    command.current_dir(home.path());
    let (out, said, status) = run(command);
    (out, said, status.code())
}

/// What a client works with that trusts the authority in a directory, and shows its certificate.
fn client(folder: &Path) -> Arc<ClientConfig> {
    let certificate = |name: &str| CertificateDer::from_pem_file(folder.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("client.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_root_certificates(roots);
    Arc::new(
        builder
            .with_client_auth_cert(vec![certificate("client.pem")], key)
            .unwrap(),
    )
}

/// Asks over TLS a server that must be one of `name`.
fn ask(address: std::net::SocketAddr, name: &str, config: &Arc<ClientConfig>, request: &Frame) -> Frame {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ask_over(
        &mut StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket),
        request,
    )
}

#[test]
fn what_tls_init_makes_and_prints_runs_a_server_that_its_client_trusts() {
    let home = Home::new();
    let (settings, said, status) = init(&home, &["--name", "broker.example", "--name", "10.1.2.3"]);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    fs::write(home.path().join("small.toml"), format!("{SETTINGS}\n{settings}")).unwrap();
    let server = Running::start(home.command("server"));
    let (broker, name_server) = (server.address("broker"), server.address("name server"));
    let config = client(&home.path().join("cuemq-tls"));
    for name in ["broker.example", "10.1.2.3", "localhost", "127.0.0.1"] {
        let answer = ask(broker, name, &config, &crate::message("Secure"));
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    }
    let route = Frame::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "Secure");
    let route = ask(name_server, "localhost", &config, &route);
    assert!(
        String::from_utf8_lossy(&route.body).contains(&broker.to_string()),
        "{route:?}"
    );
    server.stop();
}

#[test]
fn keys_are_their_owners_alone_and_nothing_is_overwritten() {
    let home = Home::new();
    assert_eq!(init(&home, &["--dir", "here"]).2, Some(0));
    let folder = home.path().join("here");
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    for key in ["ca.key", "server.key", "client.key"] {
        assert_eq!(mode(key), 0o600, "{key}");
        let text = fs::read_to_string(folder.join(key)).unwrap();
        assert!(
            text.starts_with("-----BEGIN PRIVATE KEY-----"),
            "Java reads PKCS#8 alone: {key}"
        );
    }
    let before = fs::read(folder.join("server.key")).unwrap();
    fs::remove_file(folder.join("ca.pem")).unwrap();
    let (out, said, status) = init(&home, &["--dir", "here"]);
    assert_eq!((out.as_str(), status), ("", Some(2)));
    assert!(
        said.contains("ca.key is there already") && said.contains("--dir"),
        "{said}"
    );
    assert_eq!(fs::read(folder.join("server.key")).unwrap(), before);
    assert!(!folder.join("ca.pem").exists(), "not half of a new one either");
    let (_, said, status) = init(&home, &["--dir", "there", "--name", "no name"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("--name"), "{said}");
}
