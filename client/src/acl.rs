//! Signs requests for brokers that let in only whom they know (`AclClientRPCHook`).
//!
//! The signature is Base64 of HMAC-SHA1, under the secret key, over the values of all extension fields in the order of their
//! names, but for the signature's own, and the body behind them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cuemq_net::command::Command;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::instance::RequestHook;

const ACCESS_KEY: &str = "AccessKey";
const SECURITY_TOKEN: &str = "SecurityToken";
const SIGNATURE: &str = "Signature";

/// Whom requests come from. Give it to [`ClientOptions::request_hook`](crate::ClientOptions::request_hook) last, so that
/// what other hooks add is signed too.
pub struct AclRequestHook {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
}

impl AclRequestHook {
    /// Signs in the name of an access key.
    #[must_use]
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            security_token: None,
        }
    }

    /// Adds the token of keys that are lent for a time.
    #[must_use]
    pub fn security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(token.into());
        self
    }

    fn signature(&self, request: &Command) -> String {
        let mut fields: Vec<_> = request.fields.iter().filter(|(name, _)| *name != SIGNATURE).collect();
        fields.sort_unstable();
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret_key.as_bytes()).expect("a key of any length will do");
        for (_, value) in fields {
            mac.update(value.as_bytes());
        }
        mac.update(&request.body);
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl RequestHook for AclRequestHook {
    fn before(&self, _address: &str, request: &mut Command) {
        request.fields.set(ACCESS_KEY, &self.access_key);
        if let Some(token) = &self.security_token {
            request.fields.set(SECURITY_TOKEN, token);
        }
        request.fields.set(SIGNATURE, self.signature(request));
    }
}

/// Keys are not printed.
impl std::fmt::Debug for AclRequestHook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AclRequestHook")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuemq_net::code::RequestCode;

    /// `printf RocketMQ1Tbody | openssl dgst -sha1 -hmac 12345678 -binary | base64`
    const SIGNED: &str = "d/rW9hcJr4oi8PKUkBOUpClpFtg=";

    #[test]
    fn the_values_are_signed_in_the_order_of_their_names_and_the_body_behind_them() {
        let request = |fields: &[(&str, &str)]| {
            let empty = Command::request(RequestCode::SEND_MESSAGE_V2).with_body("body");
            fields
                .iter()
                .fold(empty, |request, (name, value)| request.with_field(name, value))
        };
        let hook = AclRequestHook::new("RocketMQ", "12345678");
        let mut signed = request(&[("topic", "T"), ("a", "1")]);
        hook.before("a:1", &mut signed);
        assert_eq!(signed.fields.get("AccessKey"), Some("RocketMQ"));
        assert_eq!(signed.fields.get("Signature"), Some(SIGNED));
        let mut again = request(&[("a", "1"), ("topic", "T"), ("Signature", "old")]);
        hook.before("a:1", &mut again);
        assert_eq!(again.fields.get("Signature"), Some(SIGNED));
        let mut with_token = request(&[("a", "1"), ("topic", "T")]);
        AclRequestHook::new("RocketMQ", "12345678")
            .security_token("t")
            .before("a:1", &mut with_token);
        assert_ne!(with_token.fields.get("Signature"), Some(SIGNED));
        assert!(!format!("{hook:?}").contains("12345678"));
    }
}
