//! Whose certificate counts, where clients show one.

use cuemq_actors::config::ClientAuth;
use cuemq_actors::testing::TestBroker;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::{Authority, Connection, knows, log, secure, socket};

fn asking(authority: &Authority, auth: ClientAuth) -> TestBroker {
    let broker = authority.broker("localhost", |config| {
        config.tls.client_auth = auth;
        config.tls.trust = Some(authority.path("ca.pem"));
        // The broker is a client of its name server.
        config.tls_client.pair = config.tls.pair.clone();
    });
    broker.start().unwrap()
}

/// Whether a client that shows `own` is served.
fn served(broker: &TestBroker, authority: &Authority, own: Option<&Authority>) -> bool {
    let config = authority.client(own.map(Authority::identity));
    let client = secure(broker.broker(), "localhost", &config);
    client.is_ok_and(|mut client| client.is_served())
}

/// Connects with this certificate, is not served, and gives what the broker logged of it. The client hears of its refusal
/// before the broker counts it, and other tests log the same of theirs, so the line is found by the client's port.
fn refused(broker: &TestBroker, authority: &Authority, own: Option<&Authority>) -> String {
    let config = authority.client(own.map(Authority::identity));
    let name = ServerName::try_from("localhost").unwrap();
    let socket = socket(broker.broker());
    let remote = format!("remote={} ", socket.local_addr().unwrap());
    let stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
    assert!(!Connection::over(stream).is_served());
    log::line(&["WARN", "handshake has failed", &remote])
}

#[test]
fn required_lets_in_clients_of_the_trusted_authority_alone() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = asking(&authority, ClientAuth::Require);
    assert!(served(&broker, &authority, Some(&authority)));
    let without = refused(&broker, &authority, None);
    assert!(without.contains("peer sent no certificates"), "{without}");
    let wrong = refused(&broker, &authority, Some(&stranger));
    assert!(wrong.contains("invalid peer certificate"), "{wrong}");
    assert_eq!(broker.metrics().tls_refused.get(), 2);
    let client = authority.client(Some(authority.identity()));
    let mut name_server = secure(broker.name_server(), "localhost", &client).unwrap();
    assert!(knows(&mut name_server, broker.broker()), "the broker shows its own");
}

#[test]
fn optional_lets_in_clients_without_a_certificate_and_none_with_a_wrong_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = asking(&authority, ClientAuth::Optional);
    assert!(served(&broker, &authority, None));
    assert!(served(&broker, &authority, Some(&authority)));
    assert!(!served(&broker, &authority, Some(&stranger)));
}

#[test]
fn a_client_can_tell_the_server_from_another_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = authority.broker("broker.example", |_| {}).start().unwrap();
    let told = |name, config| secure(broker.broker(), name, &config).map(|_| ());
    assert_eq!(told("broker.example", authority.client(None)), Ok(()));
    assert!(told("other.example", authority.client(None)).is_err(), "by its name");
    assert!(
        told("broker.example", stranger.client(None)).is_err(),
        "by its authority"
    );
}
