//! Brokers: settings, figures, clean-up (codes 25, 26, 28, 306, 315, 316, 329), and how release 5's consumers get their
//! messages (401).

use std::collections::BTreeMap;

use cuemq_net::body::{Body, BrokerStatsData, KvTable, SetMessageRequestMode};
use cuemq_net::code::RequestCode;
use cuemq_net::dialect::Style;
use cuemq_net::request::BrokerStats;

use super::{Admin, nothing, read};
use crate::error::Error;

/// The settings in `name=value` lines.
pub(super) fn settings_in(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The settings as `name=value` lines.
pub(super) fn settings_text(settings: &BTreeMap<String, String>) -> String {
    settings
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

impl Admin {
    /// All settings of a broker (26).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn get_broker_config(&self, address: &str) -> Result<BTreeMap<String, String>, Error> {
        let answer = self.ask(address, RequestCode::GET_BROKER_CONFIG, nothing, "").await?;
        Ok(settings_in(&answer.body))
    }

    /// Changes settings of a broker (25).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn update_broker_config(&self, address: &str, settings: &BTreeMap<String, String>) -> Result<(), Error> {
        self.ask(
            address,
            RequestCode::UPDATE_BROKER_CONFIG,
            nothing,
            settings_text(settings),
        )
        .await?;
        Ok(())
    }

    /// A broker's figures by name, all as text (28).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn fetch_broker_runtime_stats(&self, address: &str) -> Result<BTreeMap<String, String>, Error> {
        let answer = self
            .ask(address, RequestCode::GET_BROKER_RUNTIME_INFO, nothing, "")
            .await?;
        Ok(read::<KvTable>(&answer)?.table)
    }

    /// One of a broker's statistics over the last minute, hour and day (315), as `TOPIC_PUT_NUMS` of a topic.
    ///
    /// # Errors
    /// When the broker has no such statistics.
    pub async fn view_broker_stats_data(&self, address: &str, name: &str, key: &str) -> Result<BrokerStatsData, Error> {
        let header = BrokerStats {
            stats_name: name,
            stats_key: key,
        };
        let code = RequestCode::VIEW_BROKER_STATS_DATA;
        read(&self.ask(address, code, |fields| header.write(fields), "").await?)
    }

    /// Has a broker delete entries of queues whose messages are gone (306).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn clean_expired_consumer_queue(&self, address: &str) -> Result<(), Error> {
        self.ask_long(address, RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE, nothing)
            .await?;
        Ok(())
    }

    /// Has a broker delete queues of topics that it no longer has (316).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn clean_unused_topic(&self, address: &str) -> Result<(), Error> {
        self.ask_long(address, RequestCode::CLEAN_UNUSED_TOPIC, nothing).await?;
        Ok(())
    }

    /// Has a broker delete files of its log that are old enough (329).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn delete_expired_commit_log(&self, address: &str) -> Result<(), Error> {
        self.ask_long(address, RequestCode::DELETE_EXPIRED_COMMITLOG, nothing)
            .await?;
        Ok(())
    }

    /// Says how a group of release 5 gets a topic's messages (401).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn set_message_request_mode(&self, address: &str, mode: &SetMessageRequestMode) -> Result<(), Error> {
        let body = mode.encode(Style::Standard);
        self.ask(address, RequestCode::SET_MESSAGE_REQUEST_MODE, nothing, body)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines_of_name_and_value() {
        let settings = settings_in(b"# a comment\nbrokerName=broker-a\nnamesrvAddr = a:1;b:2\nodd\nquery=a=b\n");
        let expected = [("brokerName", "broker-a"), ("namesrvAddr", "a:1;b:2"), ("query", "a=b")];
        let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(settings, expected);
        assert_eq!(settings_in(settings_text(&settings).as_bytes()), settings);
    }
}
