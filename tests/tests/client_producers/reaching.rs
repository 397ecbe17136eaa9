//! How a client finds its servers and speaks to them: an address server, TLS, signatures.

use std::sync::{Arc, Mutex};

use cuemq_actors::config::{ClientAuth, TlsMode};
use cuemq_actors::testing::TestBroker;
use cuemq_client::instance::RequestHook;
use cuemq_client::tls::Tls;
use cuemq_client::{AclRequestHook, Cause, ClientOptions, Message, Producer};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::options;

#[tokio::test]
async fn a_client_that_is_given_no_name_server_asks_the_address_server() {
    let broker = TestBroker::builder()
        .config(|config| config.http = Some(([127, 0, 0, 1], 0).into()))
        .start()
        .unwrap();
    let client_options = ClientOptions::new().address_server(broker.http().to_string());
    let producer = Producer::builder("p")
        .client_options(client_options)
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    producer.shutdown().await;
    let nowhere = ClientOptions::new().start().await.unwrap_err();
    assert!(matches!(nowhere.trouble().cause, Cause::NoNameServer), "{nowhere}");
}

/// An authority's certificate, and a broker that enforces TLS with one that it signed for 127.0.0.1, and asks clients for one or not.
fn enforcing(folder: &std::path::Path, auth: ClientAuth) -> (CertificateDer<'static>, TestBroker) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&own_key, &issuer)
        .unwrap();
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", own.pem()),
        ("server.key", own_key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let broker = TestBroker::builder().config(|config| {
        config.tls.mode = TlsMode::Enforcing;
        config.tls.pair.cert = Some(folder.join("server.pem"));
        config.tls.pair.key = Some(folder.join("server.key"));
        config.tls.client_auth = auth;
        config.tls.trust = (auth != ClientAuth::None).then(|| folder.join("ca.pem"));
        // the broker is a client of its name server
        config.tls_client.trust = Some(folder.join("ca.pem"));
        config.tls_client.pair = config.tls.pair.clone();
    });
    (authority.der().clone(), broker.start().unwrap())
}

fn trusting(authorities: &[CertificateDer<'static>]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[tokio::test]
async fn a_client_speaks_tls_to_servers_whose_authority_it_trusts_and_to_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, broker) = enforcing(folder.path(), ClientAuth::None);
    let with = |config| options(&broker).network(Arc::new(Tls::new(config)));
    let producer = Producer::builder("p")
        .client_options(with(trusting(&[authority])))
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    producer.shutdown().await;
    refused(
        with(trusting(&[])),
        "the TLS handshake failed: invalid peer certificate",
    )
    .await;
    refused(options(&broker), "the server may want TLS: give ClientOptions::network").await;
}

/// Whoever sends with these options is told so.
async fn refused(options: ClientOptions, words: &str) {
    let producer = Producer::builder("p").client_options(options).start().await.unwrap();
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert!(error.is_retry() && error.to_string().contains(words), "{error}");
    producer.shutdown().await;
}

#[tokio::test]
async fn a_client_without_the_certificate_that_a_server_wants_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, broker) = enforcing(folder.path(), ClientAuth::Require);
    let options = options(&broker).network(Arc::new(Tls::new(trusting(&[authority]))));
    refused(options, "the server may want a certificate of this client").await;
}

#[tokio::test]
async fn a_client_that_speaks_tls_where_nobody_does_is_told_so() {
    let broker = TestBroker::builder().config(|config| config.tls.mode = TlsMode::Disabled);
    let broker = broker.start().unwrap();
    let options = options(&broker).network(Arc::new(Tls::new(trusting(&[]))));
    refused(options, "the server may speak without TLS").await;
}

/// Remembers what requests look like when they leave.
#[derive(Default)]
struct Seen(Mutex<Vec<(i32, bool)>>);

impl RequestHook for Seen {
    fn before(&self, _address: &str, request: &mut Command) {
        let is_signed = ["AccessKey", "Signature"]
            .iter()
            .all(|name| request.fields.get(name).is_some());
        self.0.lock().unwrap().push((request.code, is_signed));
    }
}

#[tokio::test]
async fn every_request_is_signed_where_that_is_asked_for() {
    let broker = TestBroker::start();
    let seen = Arc::new(Seen::default());
    let signs = AclRequestHook::new("RocketMQ", "12345678");
    let options = options(&broker)
        .request_hook(Arc::new(signs))
        .request_hook(Arc::clone(&seen) as Arc<_>);
    let producer = Producer::builder("p").client_options(options).start().await.unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    producer.send_oneway(Message::new("T", "b")).await.unwrap();
    producer.shutdown().await;
    let seen = seen.0.lock().unwrap();
    assert!(seen.iter().all(|(_, is_signed)| *is_signed), "{seen:?}");
    for code in [
        RequestCode::GET_ROUTEINTO_BY_TOPIC,
        RequestCode::HEART_BEAT,
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::UNREGISTER_CLIENT,
    ] {
        assert!(seen.iter().any(|(seen, _)| *seen == code.0), "{code}");
    }
}
