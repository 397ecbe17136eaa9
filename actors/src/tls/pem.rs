//! Certificates and keys out of files in PEM: keys as PKCS#8, PKCS#1 or SEC1, and PKCS#8 under a password.

use std::path::Path;

use pkcs8::der::Document;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::TlsError;
use crate::config::Password;

const BEGIN_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END_ENCRYPTED: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What makes a key of another form one that is read here.
const REWRITE: &str =
    "`openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in OLD -out NEW` writes one that can be";

/// A file's contents and what is said of it.
pub(super) struct Contents<'a> {
    pub(super) setting: &'static str,
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
}

impl Contents<'_> {
    /// All certificates, in their order.
    ///
    /// # Errors
    /// When there is none, or one that is none.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.bytes).collect();
        let all = all.map_err(|error| self.unusable(error.to_string(), "certificates"))?;
        if all.is_empty() {
            return Err(self.unusable("holds no certificate".to_owned(), "certificates"));
        }
        Ok(all)
    }

    /// The first key.
    ///
    /// # Errors
    /// When there is none, or it is under a password that is missing or wrong.
    pub(super) fn key(&self, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, TlsError> {
        if let Some(locked) = self.encrypted() {
            return self.open(locked, password);
        }
        let key = PrivateKeyDer::from_pem_slice(self.bytes);
        key.map_err(|error| self.unusable(format!("holds no key ({error})"), "a key"))
    }

    /// The text of an encrypted key.
    fn encrypted(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes).ok()?;
        let (_, from) = text.split_once(BEGIN_ENCRYPTED)?;
        let (key, _) = from.split_once(END_ENCRYPTED)?;
        Some(key)
    }

    fn open(&self, locked: &str, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, TlsError> {
        let Some(Password(password)) = password else {
            return Err(self.locked("it is under a password: give the key_password (keyPassword) beside it"));
        };
        let text = format!("{BEGIN_ENCRYPTED}{locked}{END_ENCRYPTED}");
        let (_, document) =
            Document::from_pem(&text).map_err(|error| self.unusable(format!("is broken ({error})"), "a key"))?;
        let unknown =
            |error: &dyn std::fmt::Display| self.locked(&format!("its form is not known here ({error}); {REWRITE}"));
        let info: EncryptedPrivateKeyInfoRef<'_> = document.decode_msg().map_err(|error| unknown(&error))?;
        let opened = info.decrypt(password).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) => {
                self.locked("the key_password (keyPassword) is wrong: correct it")
            }
            other => unknown(&other),
        })?;
        Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
    }

    fn locked(&self, what: &str) -> TlsError {
        TlsError::Locked {
            path: self.path.to_owned(),
            what: what.to_owned(),
        }
    }

    fn unusable(&self, what: String, wanted: &'static str) -> TlsError {
        TlsError::Unusable {
            setting: self.setting,
            path: self.path.to_owned(),
            what,
            wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::provider;
    use super::*;

    /// One key, made for this test by `openssl`: open, under the password 123456, and under it as OpenSSL wrote it long ago.
    const OPEN: &str = "-----BEGIN EC PRIVATE KEY-----\n\
                        MHcCAQEEIB07VdEA4oXoLBqw46y+gH8IofWs+BRhU0wR2BpA5FwXoAoGCCqGSM49\n\
                        AwEHoUQDQgAEFFSz+YqMn5oTJCR3dLJ7Sbv1O8EJk4pvIX8BdKXd3T3x7mh/FBgm\n\
                        S+v0hg9MLXNT18cGtkZQyEVKCuEjt4tqJw==\n\
                        -----END EC PRIVATE KEY-----";
    const LOCKED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
                          MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgg1x3kEmmyhQICCAAw\n\
                          DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJmJv06rwiMOQRLWzhEh1bcEgZDj\n\
                          h4ieMqbfK4jJ1XM37CnXsVR8+7cbGdPuNQ4UeOFoYdS/Iwuw1MU9zDLYELfu4XIQ\n\
                          7jXMmFn7iduYyQGUzp7bJMMjr9O747jhxa8K7FEn81TX7v+meWIhdY3OgBqkxWt8\n\
                          VkAqLthJRfshwaRKmDqs/6T5iQeDQCXRSxulum4mkbONTMzDRzpTDhW3JFq08sk=\n\
                          -----END ENCRYPTED PRIVATE KEY-----";
    const LOCKED_LONG_AGO: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
                                   MIGxMBwGCiqGSIb3DQEMAQMwDgQIG1VqFU/GapQCAggABIGQ1rAop1LsjhuovQNO\n\
                                   tlU81DlvrPt6qIAQ7mxSfd8bTAWZ9muYItdHKkznb2RFNtko9UGYIxwd4ORllJLA\n\
                                   NnHY6CinD+X7kkqsIL2wN93y/xugwPYbaVUobMu0o96u0fsuH3CXmewdrCKBBJkS\n\
                                   NpGooj7KUG9G4bsKf39iKMHYa3SHsrBEK1BHyOUbuHEJBSWj\n\
                                   -----END ENCRYPTED PRIVATE KEY-----";

    fn key(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
        let contents = Contents {
            setting: "tls.key",
            path: Path::new("server.key"),
            bytes: text.as_bytes(),
        };
        let password = password.map(|password| Password(password.to_owned()));
        contents.key(password.as_ref()).map_err(|error| error.to_string())
    }

    /// The public key, which is the same in each form.
    fn public(key: PrivateKeyDer<'static>) -> Vec<u8> {
        let key = provider().key_provider.load_private_key(key).unwrap();
        key.public_key().unwrap().to_vec()
    }

    #[test]
    fn a_key_under_a_password_is_the_one_that_was_locked() {
        let open = public(key(OPEN, None).unwrap());
        assert_eq!(public(key(LOCKED, Some("123456")).unwrap()), open);
        let behind_text = format!("Bag Attributes\n    friendlyName: broker\n{LOCKED}\n");
        assert_eq!(public(key(&behind_text, Some("123456")).unwrap()), open);
        assert_eq!(public(key(OPEN, Some("not needed")).unwrap()), open);
    }

    #[test]
    fn a_key_that_stays_locked_says_what_to_do() {
        let missing = key(LOCKED, None).unwrap_err();
        assert!(
            missing.contains("server.key") && missing.contains("give the key_password"),
            "{missing}"
        );
        let wrong = key(LOCKED, Some("654321")).unwrap_err();
        assert!(
            wrong.contains("is wrong: correct it") && !wrong.contains("654321"),
            "{wrong}"
        );
        let old = key(LOCKED_LONG_AGO, Some("123456")).unwrap_err();
        assert!(old.contains("`openssl pkcs8 -topk8"), "{old}");
    }

    #[test]
    fn a_file_with_something_else_is_named() {
        let certificate = Contents {
            setting: "tls.cert",
            path: Path::new("server.pem"),
            bytes: OPEN.as_bytes(),
        };
        let none = certificate.certificates().unwrap_err().to_string();
        assert_eq!(
            none,
            "server.pem holds no certificate: give tls.cert a file in PEM, with certificates"
        );
        let text = key("no key", None).unwrap_err();
        assert!(
            text.starts_with("server.key holds no key") && text.contains("tls.key"),
            "{text}"
        );
    }
}
