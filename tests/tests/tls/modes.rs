//! Who may connect how: permissive, disabled, enforcing, with and without a certificate.

use std::net::SocketAddr;

use cuemq_actors::config::TlsMode;
use cuemq_actors::testing::TestBroker;

use crate::{Authority, knows, log, plain, ports, secure, takes_any};

/// A broker without files for TLS.
fn without_files(mode: TlsMode, self_signed: bool) -> TestBroker {
    log::listen();
    let broker = TestBroker::builder().config(|config| {
        config.tls.mode = mode;
        config.tls.self_signed = self_signed;
    });
    broker.start().unwrap()
}

/// Waits for the line that says why a client was sent away.
#[track_caller]
fn said(client: SocketAddr, words: &str) {
    log::line(&["WARN", &client.to_string(), words]);
}

#[test]
fn without_any_setting_every_port_takes_connections_with_tls_and_without() {
    log::listen();
    let broker = TestBroker::start();
    for port in ports(&broker) {
        assert!(plain(port).is_served(), "{port}");
        assert!(secure(port, "localhost", &takes_any()).unwrap().is_served(), "{port}");
    }
    assert_eq!(broker.metrics().tls_handshakes.get(), 3);
    assert_eq!(broker.metrics().tls_refused.get(), 0);
}

#[test]
fn enforcing_serves_every_port_with_tls_alone_and_says_whom_it_sends_away() {
    let authority = Authority::new();
    let broker = authority.broker("localhost", |_| {}).start().unwrap();
    let config = authority.client(None);
    for port in ports(&broker) {
        let mut client = plain(port);
        let address = client.stream.local_addr().unwrap();
        assert!(!client.is_served(), "{port}");
        said(
            address,
            "it speaks without TLS, and tls.mode (tls.server.mode) is enforcing",
        );
        assert!(secure(port, "localhost", &config).unwrap().is_served(), "{port}");
    }
    assert_eq!(broker.metrics().tls_refused.get(), 3);
}

#[test]
fn a_broker_that_enforces_tls_is_known_to_its_name_server_and_to_another_one() {
    let authority = Authority::new();
    let name_server = authority.broker("localhost", |_| {}).start().unwrap();
    let permissive = TestBroker::builder().config(|config| {
        config.broker_name = "broker-b".to_owned();
        config.name_servers = vec![name_server.name_server().to_string()];
        config.tls_client.enable = Some(true);
        config.tls_client.trust = Some(authority.path("ca.pem"));
    });
    let permissive = permissive.start().unwrap();
    let mut asked = secure(name_server.name_server(), "localhost", &authority.client(None)).unwrap();
    assert!(knows(&mut asked, name_server.broker()));
    assert!(knows(&mut asked, permissive.broker()));
}

#[test]
fn disabled_sends_a_hello_away_and_serves_the_others() {
    let broker = without_files(TlsMode::Disabled, true);
    let mut hello = plain(broker.broker());
    hello.write(&[0x16, 3, 1]);
    assert!(hello.next().is_none());
    let address = hello.stream.local_addr().unwrap();
    said(
        address,
        "it begins with a TLS handshake, and tls.mode (tls.server.mode) is disabled",
    );
    assert!(plain(broker.broker()).is_served());
}

#[test]
fn without_a_certificate_and_without_test_mode_a_hello_is_told_what_is_missing() {
    let broker = without_files(TlsMode::Permissive, false);
    let mut hello = plain(broker.broker());
    hello.write(&[0x16, 3, 1]);
    assert!(hello.next().is_none());
    said(hello.stream.local_addr().unwrap(), "give tls.cert and tls.key");
    assert!(plain(broker.broker()).is_served());
}

#[test]
fn a_hello_that_is_none_ends_its_connection_alone_with_a_reason() {
    let broker = without_files(TlsMode::Permissive, true);
    let mut witness = secure(broker.broker(), "localhost", &takes_any()).unwrap();
    assert!(witness.is_served());
    for senseless in [
        // a record of another version with bytes that are no hello
        [&[0x16, 3, 1, 0, 5][..], b"hello"].concat(),
        // a record of more than TLS allows
        [&[0x16, 3, 3, 0xff, 0xff][..], &[7; 4096]].concat(),
        // much more than a hello
        vec![0x16; 200_000],
    ] {
        let mut client = plain(broker.broker());
        let address = client.stream.local_addr().unwrap();
        client.write(&senseless);
        while client.stream_is_open() {}
        said(address, "closing a connection whose TLS handshake has failed");
    }
    assert!(witness.is_served());
    assert_eq!(broker.metrics().tls_refused.get(), 3);
}
