//! The rules of gathering settings about TLS, of which RocketMQ has some in a file of their own.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use cuemq_storage::disk::{Disk, MemoryDisk, OpenMode};

use super::file::{Flags, Outside, Settings};
use super::{ClientAuth, Pair, Password, TlsClientSettings, TlsMode, TlsSettings};

/// What the documentation of RocketMQ shows, with a line for the mode.
const TLS_PROPERTIES: &str = "tls.test.mode.enable=false\ntls.server.mode=enforcing\ntls.server.need.client.auth=require\n\
                              tls.server.keyPath=/opt/server.key\ntls.server.keyPassword=123456\n\
                              tls.server.certPath=/opt/server.pem\ntls.server.authClient=true\n\
                              tls.server.trustCertPath=/opt/ca.pem\n\
                              tls.client.keyPath=/opt/client.key\ntls.client.keyPassword=\n\
                              tls.client.certPath=/opt/client.pem\ntls.client.authServer=true\n\
                              tls.client.trustCertPath=/opt/ca.pem\n";

/// Gathers from the first of these files; the others lie beside it.
fn gather(files: &[(&str, &str)], name_server_only: bool) -> Result<Settings, String> {
    let disk = MemoryDisk::new(1);
    for (name, text) in files {
        if let Some(folder) = Path::new(name).parent() {
            disk.create_directory(folder).unwrap();
        }
        let file = disk.open(Path::new(name), OpenMode::Create).unwrap();
        file.write_at(&[IoSlice::new(text.as_bytes())], 0).unwrap();
    }
    let flags = Flags {
        file: Some(files[0].0.into()),
        ..Flags::default()
    };
    let outside = Outside {
        disk: &disk,
        local_address: || Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    Settings::from_outside(&flags, name_server_only, &outside).map_err(|error| error.to_string())
}

fn expected() -> (TlsSettings, TlsClientSettings) {
    let path = |name: &str| Some(PathBuf::from(format!("/opt/{name}")));
    let server = TlsSettings {
        mode: TlsMode::Enforcing,
        self_signed: false,
        pair: Pair {
            cert: path("server.pem"),
            key: path("server.key"),
            key_password: Some(Password("123456".to_owned())),
        },
        client_auth: ClientAuth::Require,
        trust: path("ca.pem"),
    };
    let client = TlsClientSettings {
        enable: None,
        pair: Pair {
            cert: path("client.pem"),
            key: path("client.key"),
            key_password: None,
        },
        check: Some(true),
        trust: path("ca.pem"),
    };
    (server, client)
}

#[test]
fn javas_names_count_in_a_broker_conf_and_in_the_file_that_it_names_and_in_javas_own_place() {
    let named = ("/etc/tls.properties", TLS_PROPERTIES);
    let naming = (
        "/broker.conf",
        "tls.server.mode=disabled\ntls.config.file=/etc/tls.properties\n",
    );
    let known = ("/etc/rocketmq/tls.properties", TLS_PROPERTIES);
    for files in [
        &[("/broker.conf", TLS_PROPERTIES)][..],
        &[naming, named],
        &[("/broker.conf", ""), known],
    ] {
        let settings = gather(files, false).unwrap();
        let table = settings.table(false);
        assert!(table.contains("(hidden)") && !table.contains("123456"), "{table}");
        let config = settings.into_config();
        assert_eq!((config.tls, config.tls_client), expected(), "{files:?}");
    }
    let config = gather(&[("/namesrv.conf", TLS_PROPERTIES)], true)
        .unwrap()
        .into_config();
    assert_eq!(
        (config.tls, config.tls_client),
        (expected().0, TlsClientSettings::default())
    );
}

#[test]
fn a_toml_says_all_of_it_and_looks_nowhere_else() {
    let text = "[tls]\nmode = \"enforcing\"\nself_signed = false\ncert = \"/opt/server.pem\"\nkey = \"/opt/server.key\"\n\
                key_password = \"123456\"\nclient_auth = \"require\"\ntrust = \"/opt/ca.pem\"\n\
                [tls_client]\ncert = \"/opt/client.pem\"\nkey = \"/opt/client.key\"\ncheck = true\ntrust = \"/opt/ca.pem\"\n";
    let config = gather(&[("/cuemq.toml", text)], false).unwrap().into_config();
    assert_eq!((config.tls, config.tls_client), expected());
    let javas = ("/etc/rocketmq/tls.properties", TLS_PROPERTIES);
    let config = gather(&[("/cuemq.toml", ""), javas], false).unwrap().into_config();
    assert_eq!(config.tls, TlsSettings::default());
}

#[test]
fn a_file_that_is_named_and_not_there_is_an_error_and_so_is_a_mode_that_is_none() {
    let missing = gather(&[("/broker.conf", "tls.config.file=/none.properties\n")], false).unwrap_err();
    assert!(
        missing.contains("/none.properties") && missing.contains("tls.config.file"),
        "{missing}"
    );
    let mode = gather(&[("/broker.conf", "tls.server.mode=on\n")], false).unwrap_err();
    assert!(
        mode.contains("tls.server.mode = on cannot be used: write \"disabled\""),
        "{mode}"
    );
}

#[test]
fn a_file_about_tls_sets_nothing_else() {
    let other = ("/etc/rocketmq/tls.properties", "brokerName=other\ntls.enable=true\n");
    let settings = gather(&[("/broker.conf", "brokerName=one\n"), other], false).unwrap();
    assert!(
        settings
            .notes
            .iter()
            .any(|note| format!("{note:?}").contains("brokerName has no effect in a file about TLS"))
    );
    let config = settings.into_config();
    assert_eq!(
        (config.broker_name.as_str(), config.tls_client.enable),
        ("one", Some(true))
    );
}
