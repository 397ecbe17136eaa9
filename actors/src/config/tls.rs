//! What can be set about TLS: on the ports that others connect to (`tls.*`, Java's `tls.server.*`), and on the connections
//! that the broker makes to name servers (`tls_client.*`, Java's `tls.client.*`); and what must hold between these settings.
//!
//! Java has them as system properties and in a tls.properties; here they also stand in a broker.conf or namesrv.conf.

use std::fmt;
use std::path::PathBuf;

use super::value::{Read, Value, Wrong};

/// Who may connect how (`tls.server.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Nobody with TLS.
    Disabled,
    /// Everybody: the first byte of a connection says whether it is TLS.
    #[default]
    Permissive,
    /// Nobody without TLS.
    Enforcing,
}

/// Whether clients show a certificate (`tls.server.need.client.auth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// One that is shown must be good.
    Optional,
    /// Each must show a good one.
    Require,
}

/// A password that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The chain, its owner's certificate first (`certPath`).
    pub cert: Option<PathBuf>,
    /// The key (`keyPath`).
    pub key: Option<PathBuf>,
    /// What opens an encrypted key (`keyPassword`).
    pub key_password: Option<Password>,
}

/// TLS on the ports of broker and name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Who may connect how.
    pub mode: TlsMode,
    /// Whether a self-signed certificate is made on the first hello where none is given (`tls.test.mode.enable`).
    pub self_signed: bool,
    /// The server's own certificate.
    pub pair: Pair,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// The authorities whose clients are let in (`tls.server.trustCertPath`).
    pub trust: Option<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            mode: TlsMode::default(),
            self_signed: true,
            pair: Pair::default(),
            client_auth: ClientAuth::default(),
            trust: None,
        }
    }
}

/// TLS on the connections to name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsClientSettings {
    /// Whether they are TLS (`tls.enable`); where nobody says, they are if the broker itself enforces it, as in Java.
    pub enable: Option<bool>,
    /// The broker's certificate as a client.
    pub pair: Pair,
    /// Whether name servers must show a certificate of a trusted authority (`tls.client.authServer`); where nobody says, they
    /// must if authorities are given.
    pub check: Option<bool>,
    /// These authorities (`tls.client.trustCertPath`).
    pub trust: Option<PathBuf>,
}

impl TlsClientSettings {
    /// Whether connections to name servers are TLS.
    #[must_use]
    pub fn is_enabled(&self, mode: TlsMode) -> bool {
        self.enable.unwrap_or(mode == TlsMode::Enforcing)
    }

    /// Whether their certificates are checked.
    #[must_use]
    pub fn checks(&self) -> bool {
        self.check.unwrap_or(self.trust.is_some())
    }
}

/// Settings about TLS that cannot hold together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsContradiction {
    /// A certificate without its key, or the other way round.
    #[error("{given} is given and {missing} is not: give both (`cuemq tls init` makes such files), or neither")]
    HalfPair {
        /// What is there.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// Nobody could connect.
    #[error(
        "tls.mode (tls.server.mode) = enforcing without a certificate lets nobody in: give tls.cert and tls.key \
         (tls.server.certPath, tls.server.keyPath; `cuemq tls init` makes such files)"
    )]
    NoCertificate,
    /// Nothing to hold the clients' certificates against.
    #[error(
        "tls.client_auth (tls.server.need.client.auth) asks clients for certificates, and nothing says whose count: give \
         tls.trust (tls.server.trustCertPath), or write none"
    )]
    NoTrust,
    /// Nothing to hold the name servers' certificates against.
    #[error(
        "tls_client.check (tls.client.authServer) = true without authorities: give tls_client.trust \
         (tls.client.trustCertPath), or write false"
    )]
    NoServerTrust,
}

/// Checks what must hold between the settings about TLS.
///
/// # Errors
/// The first rule that does not hold.
pub(super) fn validate(server: &TlsSettings, client: &TlsClientSettings) -> Result<(), TlsContradiction> {
    whole(
        &server.pair,
        "tls.cert (tls.server.certPath)",
        "tls.key (tls.server.keyPath)",
    )?;
    whole(
        &client.pair,
        "tls_client.cert (tls.client.certPath)",
        "tls_client.key (tls.client.keyPath)",
    )?;
    if server.mode == TlsMode::Enforcing && server.pair.cert.is_none() && !server.self_signed {
        return Err(TlsContradiction::NoCertificate);
    }
    if server.client_auth != ClientAuth::None && server.trust.is_none() {
        return Err(TlsContradiction::NoTrust);
    }
    if client.check == Some(true) && client.trust.is_none() {
        return Err(TlsContradiction::NoServerTrust);
    }
    Ok(())
}

fn whole(pair: &Pair, cert: &'static str, key: &'static str) -> Result<(), TlsContradiction> {
    let (given, missing) = match (&pair.cert, &pair.key) {
        (Some(_), None) => (cert, key),
        (None, Some(_)) => (key, cert),
        _ => return Ok(()),
    };
    Err(TlsContradiction::HalfPair { given, missing })
}

pub(super) fn mode(value: &Value) -> Read<TlsMode> {
    match value.text().as_deref() {
        Ok("disabled") => Ok(TlsMode::Disabled),
        Ok("permissive") => Ok(TlsMode::Permissive),
        Ok("enforcing") => Ok(TlsMode::Enforcing),
        _ => Err(Wrong(
            "\"disabled\", \"permissive\" (with or without TLS) or \"enforcing\" (with TLS alone)".to_owned(),
        )),
    }
}

pub(super) fn mode_name(mode: TlsMode) -> String {
    match mode {
        TlsMode::Disabled => "disabled",
        TlsMode::Permissive => "permissive",
        TlsMode::Enforcing => "enforcing",
    }
    .to_owned()
}

pub(super) fn client_auth(value: &Value) -> Read<ClientAuth> {
    match value.text().as_deref() {
        Ok("none") => Ok(ClientAuth::None),
        Ok("optional") => Ok(ClientAuth::Optional),
        Ok("require") => Ok(ClientAuth::Require),
        _ => Err(Wrong("\"none\", \"optional\" or \"require\"".to_owned())),
    }
}

pub(super) fn client_auth_name(auth: ClientAuth) -> String {
    match auth {
        ClientAuth::None => "none",
        ClientAuth::Optional => "optional",
        ClientAuth::Require => "require",
    }
    .to_owned()
}

/// A path, or none where the text is empty.
pub(super) fn path(value: &Value) -> Read<Option<PathBuf>> {
    Ok(Some(value.text()?).filter(|text| !text.is_empty()).map(Into::into))
}

pub(super) fn path_name(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| path.display().to_string())
}

/// A password, or none where the text is empty.
pub(super) fn password(value: &Value) -> Read<Option<Password>> {
    Ok(Some(value.text()?).filter(|text| !text.is_empty()).map(Password))
}

/// That there is one, and nothing more.
pub(super) fn password_name(password: &Option<Password>) -> String {
    password
        .as_ref()
        .map_or_else(String::new, |password| format!("{password:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_printed_nowhere() {
        let pair = Pair {
            key_password: Some(Password("123456".to_owned())),
            ..Pair::default()
        };
        assert!(!format!("{pair:?}{}", password_name(&pair.key_password)).contains("123456"));
    }

    #[test]
    fn settings_that_keep_everybody_out_or_ask_for_nothing_are_refused() {
        let client = TlsClientSettings::default();
        let server = |change: fn(&mut TlsSettings)| {
            let mut server = TlsSettings::default();
            change(&mut server);
            validate(&server, &client).map_err(|error| error.to_string())
        };
        assert_eq!(server(|_| {}), Ok(()));
        let half = server(|server| server.pair.cert = Some("c.pem".into())).unwrap_err();
        assert!(
            half.contains("tls.key (tls.server.keyPath) is not: give both"),
            "{half}"
        );
        let nobody = server(|server| (server.mode, server.self_signed) = (TlsMode::Enforcing, false)).unwrap_err();
        assert!(nobody.contains("give tls.cert and tls.key"), "{nobody}");
        let whose = server(|server| server.client_auth = ClientAuth::Require).unwrap_err();
        assert!(whose.contains("give tls.trust"), "{whose}");
        let unchecked = TlsClientSettings {
            check: Some(true),
            ..TlsClientSettings::default()
        };
        let unchecked = validate(&TlsSettings::default(), &unchecked);
        assert_eq!(unchecked, Err(TlsContradiction::NoServerTrust));
    }

    #[test]
    fn a_broker_that_enforces_tls_speaks_it_to_its_name_servers_unless_told_otherwise() {
        let client = |enable| TlsClientSettings {
            enable,
            ..TlsClientSettings::default()
        };
        assert!(client(None).is_enabled(TlsMode::Enforcing));
        assert!(!client(None).is_enabled(TlsMode::Permissive));
        assert!(!client(Some(false)).is_enabled(TlsMode::Enforcing));
        assert!(client(Some(true)).is_enabled(TlsMode::Disabled));
    }
}
