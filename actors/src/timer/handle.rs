//! What a producer recalls its message by, told with the answer to its send (`RecallMessageHandle` in Java, version 1): the
//! base64 of `v1 topic broker time key`, in the alphabet for addresses, with padding.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const VERSION: &str = "v1";

/// As Java reads and writes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Text that is no handle. The words are RocketMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recall handle is invalid")]
pub struct NoHandle;

/// A handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The message's topic.
    pub topic: String,
    /// The name of the broker that has it.
    pub broker: String,
    /// When it is due, in milliseconds since 1970, as it was written.
    pub time: String,
    /// The message's unique key.
    pub unique_key: String,
}

impl Handle {
    /// The text of a handle.
    #[must_use]
    pub fn text(topic: &str, broker: &str, at_ms: u64, unique_key: &str) -> String {
        BASE64.encode(format!("{VERSION} {topic} {broker} {at_ms} {unique_key}"))
    }

    /// Reads a handle.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> Result<Self, NoHandle> {
        let bytes = BASE64.decode(text).map_err(|_| NoHandle)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut parts = text.split(' ');
        if parts.next() != Some(VERSION) {
            return Err(NoHandle);
        }
        let mut part = || parts.next().map(str::to_owned).ok_or(NoHandle);
        let (topic, broker, time) = (part()?, part()?, part()?);
        let unique_key = part()?;
        if unique_key.is_empty() {
            return Err(NoHandle);
        }
        Ok(Self {
            topic,
            broker,
            time,
            unique_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_java_s_to_the_byte() {
        // Base64.getUrlEncoder() of `v1 T broker-a 1700000001000 7F00??`, whose last characters take both special letters.
        let text = Handle::text("T", "broker-a", 1_700_000_001_000, "7F00\u{ff}\u{3bf}~?");
        assert_eq!(text, "djEgVCBicm9rZXItYSAxNzAwMDAwMDAxMDAwIDdGMDDDv86_fj8=");
        let handle = Handle::read(&text).unwrap();
        assert_eq!(
            (&*handle.topic, &*handle.broker, &*handle.time),
            ("T", "broker-a", "1700000001000")
        );
        assert_eq!(
            Handle::read(text.trim_end_matches('=')),
            Ok(handle),
            "Java needs no padding"
        );
    }

    #[test]
    fn what_is_no_handle_says_so_in_java_s_words() {
        for text in ["", "%", "djEgVA==", "djIgVCBicm9rZXItYSAxNzAwMDAwMDAxMDAwIDdGMDA="] {
            assert_eq!(
                Handle::read(text).unwrap_err().to_string(),
                "recall handle is invalid",
                "{text}"
            );
        }
    }
}
