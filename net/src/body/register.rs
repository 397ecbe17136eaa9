//! What a broker tells a name server about itself (code 103). Java's `RegisterBrokerBody`.
//!
//! Plain, it is JSON. Compressed, it is a zlib stream of, with integers of 4 bytes big-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 4 + n | length and JSON of the [`DataVersion`] |
//! | 4 | number of topics |
//! | 4 + n each | length and text `topic readQueues writeQueues perm filterType`, one blank between; release 5 adds a JSON of attributes |
//! | 4 + n | length and JSON of the list of filter servers, or 0 |
//!
//! What follows, as release 5 writes, is ignored. This form has no room for a topic's `order` and `topicSysFlag`.

#![deny(clippy::indexing_slicing)]

use super::{Body, DataVersion, TopicConfig, TopicConfigTable, TopicFilterType};
use crate::dialect::{self, DialectError, Style};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use thiserror::Error;

/// The most that a compressed body may unfold to, in bytes: 300,000 topics with names of ordinary length.
pub const MAX_INFLATED: u64 = 16 << 20;

/// The body of a registration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBrokerBody {
    /// The addresses of the broker's filter servers; none given leaves the known ones.
    pub filter_server_list: Option<Vec<String>>,
    /// The broker's topics.
    #[serde(rename = "topicConfigSerializeWrapper")]
    pub topics: TopicConfigTable,
}

/// Why a compressed registration was refused.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// The bytes are no zlib stream.
    #[error("the compressed registration does not unfold")]
    Inflate(#[source] std::io::Error),
    /// It unfolds to more than [`MAX_INFLATED`].
    #[error("the compressed registration unfolds to more than {MAX_INFLATED} bytes")]
    TooLong,
    /// It ends early.
    #[error("the registration ends inside its {0}")]
    CutShort(&'static str),
    /// A topic's text has too few words or a word that is no number.
    #[error("cannot read the topic `{0}` of the registration")]
    Topic(String),
    /// A JSON part is wrong.
    #[error(transparent)]
    Dialect(#[from] DialectError),
}

impl Body for RegisterBrokerBody {}

impl RegisterBrokerBody {
    /// Prints the compressed form.
    pub fn encode_compressed(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        put_part(&mut plain, &self.topics.data_version.encode(Style::Fastjson));
        plain.extend_from_slice(&length_of(self.topics.topic_config_table.len()));
        for (name, topic) in &self.topics.topic_config_table {
            put_part(&mut plain, topic_text(name, topic).as_bytes());
        }
        let mut filter_servers = Vec::new();
        let list = dialect::to_value(&self.filter_server_list).expect("a list of strings has a form");
        dialect::write(&list, &mut filter_servers, Style::Fastjson);
        put_part(&mut plain, &filter_servers);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
        written.expect("a vector takes whatever is written to it")
    }

    /// Reads the compressed form.
    ///
    /// # Errors
    /// If it does not unfold, unfolds to more than [`MAX_INFLATED`] bytes, ends early, or a part of it is malformed.
    pub fn decode_compressed(body: &[u8]) -> Result<Self, RegisterError> {
        let mut plain = Vec::new();
        let mut inflated = ZlibDecoder::new(body).take(MAX_INFLATED + 1);
        let length = inflated.read_to_end(&mut plain).map_err(RegisterError::Inflate)?;
        if length as u64 > MAX_INFLATED {
            return Err(RegisterError::TooLong);
        }
        let mut rest = plain.as_slice();
        let data_version = DataVersion::decode(take_part(&mut rest, "data version")?)?;
        let mut topics = TopicConfigTable {
            data_version,
            ..TopicConfigTable::default()
        };
        for _ in 0..take_length(&mut rest, "number of topics")? {
            let topic = read_topic(take_part(&mut rest, "topics")?)?;
            topics.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        let filter_server_list = match take_part(&mut rest, "filter servers")? {
            [] => None,
            list => dialect::from_value(dialect::parse(list)?)?,
        };
        Ok(RegisterBrokerBody {
            filter_server_list,
            topics,
        })
    }
}

fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn put_part(plain: &mut Vec<u8>, part: &[u8]) {
    plain.extend_from_slice(&length_of(part.len()));
    plain.extend_from_slice(part);
}

fn take_length(rest: &mut &[u8], what: &'static str) -> Result<usize, RegisterError> {
    let (length, behind) = rest.split_first_chunk::<4>().ok_or(RegisterError::CutShort(what))?;
    *rest = behind;
    usize::try_from(u32::from_be_bytes(*length)).map_err(|_| RegisterError::CutShort(what))
}

fn take_part<'a>(rest: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], RegisterError> {
    let length = take_length(rest, what)?;
    let (part, behind) = rest.split_at_checked(length).ok_or(RegisterError::CutShort(what))?;
    *rest = behind;
    Ok(part)
}

fn topic_text(name: &str, topic: &TopicConfig) -> String {
    let TopicConfig {
        read_queue_nums: read,
        write_queue_nums: write,
        perm,
        ..
    } = topic;
    format!("{name} {read} {write} {perm} {}", topic.topic_filter_type.name())
}

fn read_topic(text: &[u8]) -> Result<TopicConfig, RegisterError> {
    let text = String::from_utf8_lossy(text);
    let mut words = text.splitn(6, ' ');
    let mut topic = || {
        Some(TopicConfig {
            topic_name: words.next()?.to_owned(),
            read_queue_nums: words.next()?.parse().ok()?,
            write_queue_nums: words.next()?.parse().ok()?,
            perm: words.next()?.parse().ok()?,
            topic_filter_type: TopicFilterType::from_name(words.next()?)?,
            ..TopicConfig::default()
        })
    };
    topic().ok_or_else(|| RegisterError::Topic(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> RegisterBrokerBody {
        let mut body = RegisterBrokerBody {
            filter_server_list: Some(vec!["f:1".into()]),
            ..Default::default()
        };
        body.topics.data_version = DataVersion {
            counter: 3,
            timestamp: 1_530_000_000_000,
            state_version: None,
        };
        for (name, perm) in [("%RETRY%g", 6), ("TBW102", 7)] {
            let topic = TopicConfig {
                topic_name: name.into(),
                perm,
                read_queue_nums: 8,
                ..TopicConfig::default()
            };
            body.topics.topic_config_table.insert(name.into(), topic);
        }
        body
    }

    fn deflated(parts: &[&[u8]]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        parts.iter().for_each(|part| encoder.write_all(part).unwrap());
        encoder.finish().unwrap()
    }

    #[test]
    fn the_compressed_form_holds_what_the_plain_one_does() {
        assert_eq!(
            RegisterBrokerBody::decode_compressed(&sample().encode_compressed()).unwrap(),
            sample()
        );
        assert_eq!(
            RegisterBrokerBody::decode(&sample().encode(Style::Fastjson)).unwrap(),
            sample()
        );
    }

    #[test]
    fn the_compressed_layout_is_as_documented() {
        let parts: [&[u8]; 7] = [
            b"\0\0\0\x02{}",
            b"\0\0\0\x01",
            b"\0\0\0\x1aT 4 3 6 SINGLE_TAG {\"a\":1}",
            b"\0\0\0\x02[]",
            b"more",
            b"",
            b"",
        ];
        let body = RegisterBrokerBody::decode_compressed(&deflated(&parts)).unwrap();
        let topic = body.topics.topic_config_table.get("T").unwrap();
        assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm), (4, 3, 6));
        assert_eq!(body.filter_server_list, Some(vec![]));
    }

    #[test]
    fn a_body_that_unfolds_without_end_is_refused() {
        let bomb = deflated(&[&vec![0; MAX_INFLATED as usize + 1]]);
        assert!(bomb.len() < 100_000);
        assert!(matches!(
            RegisterBrokerBody::decode_compressed(&bomb),
            Err(RegisterError::TooLong)
        ));
    }

    #[test]
    fn a_claimed_number_of_topics_allocates_nothing() {
        let body = deflated(&[b"\0\0\0\x02{}", b"\xff\xff\xff\xff"]);
        assert!(matches!(
            RegisterBrokerBody::decode_compressed(&body),
            Err(RegisterError::CutShort("topics"))
        ));
    }

    #[test]
    fn a_topic_without_numbers_is_named() {
        let body = deflated(&[b"\0\0\0\x02{}", b"\0\0\0\x01", b"\0\0\0\x05T x 3"]);
        let error = RegisterBrokerBody::decode_compressed(&body).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the topic `T x 3` of the registration");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = RegisterBrokerBody::decode_compressed(&bytes);
            let _ = RegisterBrokerBody::decode_compressed(&deflated(&[&bytes]));
        }
    }
}
