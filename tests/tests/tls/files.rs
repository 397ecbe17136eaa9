//! What happens when the files of TLS are wrong at the start, or change while a broker runs.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use crate::{Authority, PATIENCE, log, secure, text};

/// Connects again and again until the broker is called `name`.
#[track_caller]
fn becomes(address: std::net::SocketAddr, name: &str, config: &Arc<ClientConfig>) {
    let began = Instant::now();
    while let Err(error) = secure(address, name, config) {
        assert!(began.elapsed() < PATIENCE, "it is still not {name}: {error}");
    }
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let authority = Authority::new();
    let broker = authority.broker("old.example", |_| {}).start().unwrap();
    let config = authority.client(None);
    let mut open = secure(broker.broker(), "old.example", &config).unwrap();
    assert!(open.is_served());
    authority.write("new.example");
    becomes(broker.broker(), "new.example", &config);
    assert!(open.is_served(), "what was opened before goes on");
}

#[test]
fn a_broken_new_file_is_said_and_the_old_certificate_stays_until_it_is_mended() {
    let authority = Authority::new();
    let broker = authority.broker("first.example", |_| {}).start().unwrap();
    let (path, config) = (authority.path("server.pem"), authority.client(None));
    let good = text(&path);
    fs::write(&path, "no certificate any more").unwrap();
    let shown = path.display().to_string();
    let said = log::line(&["ERROR", &shown, "holds no certificate", "mend them"]);
    assert!(said.contains("what they held before stays in use"), "{said}");
    assert!(secure(broker.broker(), "first.example", &config).unwrap().is_served());

    let (other, _) = authority.sign("other.example");
    fs::write(&path, other.pem()).unwrap();
    log::line(&["ERROR", &shown, "cannot be used together"]);
    assert!(secure(broker.broker(), "first.example", &config).unwrap().is_served());

    fs::remove_file(&path).unwrap();
    log::line(&["ERROR", &shown, "cannot be read"]);
    fs::write(&path, good).unwrap();
    authority.write("second.example");
    becomes(broker.broker(), "second.example", &config);
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let refused = |name: &str, contents: &str| {
        let broker = authority.broker("localhost", |_| {});
        fs::write(authority.path(name), contents).unwrap();
        match broker.start() {
            Ok(_) => panic!("it starts with {contents:?} as {name}"),
            Err(error) => error.to_string(),
        }
    };
    let (other, _) = authority.sign("other.example");
    assert!(refused("server.pem", &other.pem()).ends_with("give a certificate and its own key"));
    assert!(refused("server.key", "nothing").contains("server.key holds no key"));
    let trust = text(&authority.path("ca.pem"));
    assert!(refused("ca.pem", "nothing").contains("give tls_client.trust a file in PEM"));
    fs::write(authority.path("ca.pem"), trust).unwrap();
    assert!(
        authority.broker("localhost", |_| {}).start().is_ok(),
        "and with good ones it starts"
    );
}
