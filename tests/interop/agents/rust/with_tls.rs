//! The agent's connections with TLS: it trusts the authority in a folder of `cuemq tls init`, and shows that folder's client certificate.

use std::path::Path;
use std::sync::Arc;

use cuemq_client::ClientOptions;
use cuemq_client::tls::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::disallowed_methods, reason = "a program that reads its files when it starts")]
fn read(folder: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The options with TLS.
pub(crate) fn over_tls(options: ClientOptions, folder: &Path) -> Result<ClientOptions, Failure> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(&read(folder, "ca.pem")?)?)?;
    let certificate = CertificateDer::from_pem_slice(&read(folder, "client.pem")?)?;
    let key = PrivateKeyDer::from_pem_slice(&read(folder, "client.key")?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_client_auth_cert(vec![certificate], key)?;
    Ok(options.network(Arc::new(Tls::new(config))))
}
