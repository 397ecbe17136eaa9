//! From files in PEM to what rustls works with; and the self-signed certificate where none is given.

use std::path::PathBuf;
use std::sync::Arc;

use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::pem::Contents;
use super::verifier::ChainAlone;
use super::{Time, TlsError, provider};
use crate::config::{ClientAuth, Pair, Password, TlsClientSettings, TlsSettings};

/// The longest file in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One of the files of a side, and what names it.
#[derive(Clone, Debug)]
struct Named {
    setting: &'static str,
    path: PathBuf,
}

/// A certificate chain and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The files of one side of TLS, as they are named.
#[derive(Clone, Debug)]
pub struct Files {
    pair: Option<(Named, Named)>,
    key_password: Option<Password>,
    trust: Option<Named>,
}

/// What was in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pair: Option<(Vec<u8>, Vec<u8>)>,
    trust: Option<Vec<u8>>,
}

impl Files {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self {
            pair: None,
            key_password: None,
            trust: None,
        }
    }

    /// Those of the ports.
    #[must_use]
    pub fn of_server(settings: &TlsSettings) -> Self {
        let trust = settings.trust.as_ref();
        Self::new(
            &settings.pair,
            trust.filter(|_| settings.client_auth != ClientAuth::None),
            ["tls.cert", "tls.key", "tls.trust"],
        )
    }

    /// Those of the connections to name servers.
    #[must_use]
    pub fn of_client(settings: &TlsClientSettings) -> Self {
        let trust = settings.trust.as_ref();
        Self::new(
            &settings.pair,
            trust.filter(|_| settings.checks()),
            ["tls_client.cert", "tls_client.key", "tls_client.trust"],
        )
    }

    fn new(pair: &Pair, trust: Option<&PathBuf>, [cert, key, authorities]: [&'static str; 3]) -> Self {
        let named = |setting, path: &PathBuf| Named {
            setting,
            path: path.clone(),
        };
        Self {
            pair: pair
                .cert
                .as_ref()
                .zip(pair.key.as_ref())
                .map(|(cert_path, key_path)| (named(cert, cert_path), named(key, key_path))),
            key_password: pair.key_password.clone(),
            trust: trust.map(|path| named(authorities, path)),
        }
    }

    /// Whether there are any.
    #[must_use]
    pub fn are_given(&self) -> bool {
        self.pair.is_some() || self.trust.is_some()
    }

    /// Reads them.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(&self, disk: &dyn Disk) -> Result<Read, TlsError> {
        let read = |named: &Named| {
            let bytes = disk.read_whole(&named.path, FILE_BYTES_MAX);
            bytes.map_err(|source| TlsError::Unreadable {
                setting: named.setting,
                path: named.path.clone(),
                source,
            })
        };
        let pair = self.pair.as_ref();
        Ok(Read {
            pair: pair
                .map(|(cert, key)| Ok::<_, TlsError>((read(cert)?, read(key)?)))
                .transpose()?,
            trust: self.trust.as_ref().map(read).transpose()?,
        })
    }

    fn identity(&self, contents: &Read) -> Result<Option<Identity>, TlsError> {
        let (Some((cert, key)), Some((cert_bytes, key_bytes))) = (&self.pair, &contents.pair) else {
            return Ok(None);
        };
        let chain = cert.holding(cert_bytes).certificates()?;
        let key = key.holding(key_bytes).key(self.key_password.as_ref())?;
        Ok(Some((chain, key)))
    }

    fn authorities(&self, contents: &Read) -> Result<Option<Arc<RootCertStore>>, TlsError> {
        let (Some(trust), Some(bytes)) = (&self.trust, &contents.trust) else {
            return Ok(None);
        };
        let mut store = RootCertStore::empty();
        for certificate in trust.holding(bytes).certificates()? {
            store.add(certificate).map_err(|error| TlsError::Unusable {
                setting: trust.setting,
                path: trust.path.clone(),
                what: format!("holds something else ({error})"),
                wanted: "certificates of authorities",
            })?;
        }
        Ok(Some(Arc::new(store)))
    }

    /// Where certificate and key came from, for whom they do not fit.
    fn mismatch(&self, source: rustls::Error) -> TlsError {
        match &self.pair {
            Some((cert, key)) => TlsError::Mismatch {
                cert: cert.path.clone(),
                key: key.path.clone(),
                source,
            },
            None => refused(&source),
        }
    }

    /// What the ports work with; `None` where no certificate is given.
    ///
    /// # Errors
    /// When something in the files cannot be used.
    pub fn server(
        &self,
        contents: &Read,
        auth: ClientAuth,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let verifier = self.verifier(contents, auth)?;
        let Some((chain, key)) = self.identity(contents)? else {
            return Ok(None);
        };
        let config = server_config(verifier, (chain, key), clock)?;
        Ok(Some(config.map_err(|source| self.mismatch(source))?))
    }

    /// What the ports work with where no certificate is given: one that is made now, and is nobody's.
    ///
    /// # Errors
    /// When something in the other files cannot be used, or the system gives no random numbers.
    pub fn self_signed(
        &self,
        contents: &Read,
        auth: ClientAuth,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let verifier = self.verifier(contents, auth)?;
        let key = KeyPair::generate().map_err(|error| refused(&error))?;
        let certificate = CertificateParams::new(["localhost".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .map_err(|error| refused(&error))?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        server_config(verifier, (vec![certificate.der().clone()], key.into()), clock)?.map_err(|error| refused(&error))
    }

    fn verifier(&self, contents: &Read, auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Some(authorities) = self.authorities(contents)? else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider());
        let builder = match auth {
            ClientAuth::Require => builder,
            ClientAuth::None | ClientAuth::Optional => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| refused(&error))
    }

    /// What connections to name servers work with.
    ///
    /// # Errors
    /// When something in the files cannot be used.
    pub fn client(&self, contents: &Read, clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = provider();
        let chain = self.authorities(contents)?.map(|authorities| {
            WebPkiServerVerifier::builder_with_provider(authorities, Arc::clone(&provider))
                .build()
                .map_err(|error| refused(&error))
        });
        let verifier = ChainAlone {
            chain: chain.transpose()?,
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_details(provider, Arc::new(Time(Arc::clone(clock))))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Arc::new(match self.identity(contents)? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| self.mismatch(source))?,
            None => builder.with_no_client_auth(),
        }))
    }
}

impl Named {
    fn holding<'a>(&'a self, bytes: &'a [u8]) -> Contents<'a> {
        Contents {
            setting: self.setting,
            path: &self.path,
            bytes,
        }
    }
}

fn server_config(
    verifier: Arc<dyn ClientCertVerifier>,
    (chain, key): Identity,
    clock: &Arc<dyn Clock>,
) -> Result<Result<Arc<ServerConfig>, rustls::Error>, TlsError> {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(Time(Arc::clone(clock))))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key);
    Ok(config.map(Arc::new))
}

fn refused(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Refused(error.to_string())
}
