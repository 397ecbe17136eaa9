//! What must hold between settings, and the limits that no file format knows of.

use std::net::IpAddr;
use std::time::Duration;

use cuemq_net::frame::MAX_FRAME_BYTES;
use cuemq_storage::commit_log::BLANK_BYTES;
use cuemq_storage::consume_queue::LEAST_EXTENSION_FILE_BYTES;

use super::BrokerConfig;
use super::filters::FilterConfig;
use super::size::ByteSize;
use super::tls::{self, TlsContradiction};

/// The longest record: what a frame leaves beside its header and what a record adds to what was sent.
pub(super) const RECORD_BYTES_MAX: u32 = MAX_FRAME_BYTES as u32 - (128 << 10);
/// The shortest limit of a record that lets ordinary messages through.
const RECORD_BYTES_MIN: u32 = 1024;
/// The shortest commit log file.
const SEGMENT_BYTES_MIN: u64 = 4096;
/// Lengths of files are Java's ints.
const FILE_BYTES_MAX: u64 = i32::MAX as u64;
/// The length of a consume queue entry.
const QUEUE_UNIT_BYTES: u64 = 20;
/// How often RocketMQ's brokers register at most and at least; a name server forgets a broker after 120 s.
pub(super) const REGISTER_INTERVALS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];
/// The longest name of a cluster or broker; both are names of topics as well.
const NAME_CHARS_MAX: usize = 127;

/// Settings that cannot hold together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The second port, 2 below, does not exist.
    #[error(
        "port = {0} leaves no room for the port of old clients, which is 2 less: use a port from 3 on, or 0 for a free pair"
    )]
    Port(u16),
    /// Clients would be told an address that is none.
    #[error("announce = {0} is no address that a client can connect to: announce one of this machine's own addresses")]
    Announce(IpAddr),
    /// Bits that a broker's permission does not have.
    #[error(
        "broker.permission (brokerPermission) = {0} means nothing: use 6 to read and write, 4 to read, 2 to write, 0 for neither"
    )]
    Permission(u32),
    /// An id that only a replica has.
    #[error("broker.id (brokerId) = {0} is that of a replica, and there is no replication yet: use 0, or leave it out")]
    BrokerId(u64),
    /// A name that cannot be a topic's.
    #[error("{key} = {name:?} is no name: use 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`")]
    Name {
        /// The setting.
        key: &'static str,
        /// What it says.
        name: String,
    },
    /// A region that would break the properties it is stored in.
    #[error("broker.region (regionId) = {0:?} holds a control character: use plain letters")]
    Region(String),
    /// A number of queues that no topic has.
    #[error("topics.default_queue_nums (defaultTopicQueueNums) = {0} is out of range: use 1 to 65535")]
    QueueNums(u32),
    /// A length of commit log files that cannot be.
    #[error("store.segment_bytes (mappedFileSizeCommitLog) = {} cannot be: use {SEGMENT_BYTES_MIN} to {FILE_BYTES_MAX} bytes", ByteSize(*.0))]
    SegmentBytes(u64),
    /// A length of consume queue files that cannot be.
    #[error(
        "store.queue_file_bytes (mappedFileSizeConsumeQueue) = {0} is no multiple of {QUEUE_UNIT_BYTES} up to {FILE_BYTES_MAX}: use 6000000, or what the files have"
    )]
    QueueFileBytes(u64),
    /// A length of extension files that cannot be.
    #[error(
        "store.extension_file_bytes (mappedFileSizeConsumeQueueExt) = {0} cannot be: use {LEAST_EXTENSION_FILE_BYTES} to {FILE_BYTES_MAX} bytes, what the files have, or leave it out"
    )]
    ExtensionFileBytes(u64),
    /// A length of records that no frame carries, or that refuses everything.
    #[error(
        "limits.message_bytes (maxMessageSize) = {0} is out of range: use {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX} bytes"
    )]
    MessageBytes(u32),
    /// Less room for messages under way than one may take.
    #[error(
        "limits.in_flight_bytes = {in_flight} is less than one message of limits.message_bytes = {message}: use at least as much"
    )]
    InFlightBytes {
        /// Bytes that may be under way.
        in_flight: usize,
        /// The longest record in bytes.
        message: u32,
    },
    /// No connection could be kept.
    #[error("limits.connections = 0 lets nobody in: use 1 or more")]
    Connections,
    /// Bitmaps of filters that no unit of a consume queue's extension can hold.
    #[error(
        "filters.error_percent (maxErrorRateOfBloomFilter) = {error_percent} and filters.groups (expectConsumerNumUseFilter) = \
         {groups} make no bitmap: use 20 and 32, or what the store was written with"
    )]
    FilterBits {
        /// In how many of a hundred cases one group may be taken for another.
        error_percent: u32,
        /// How many groups are told apart.
        groups: u32,
    },
    /// A time that would run without a pause.
    #[error("{0} = 0 would never rest: use a time such as 1s")]
    NoTime(&'static str),
    /// A lock that everybody could take at once.
    #[error("groups.lock_time (rocketmq.broker.rebalance.lockMaxLiveTime) = 0 locks nothing: use 60s, or leave it out")]
    NoLockTime,
    /// Name servers would forget the broker in between, or be asked all the time.
    #[error("name_server.register_interval (registerNameServerPeriod) = {} is out of range: use 10s to 60s", humantime::format_duration(*.0))]
    RegisterInterval(Duration),
    /// Settings about TLS that do not hold together.
    #[error(transparent)]
    Tls(#[from] TlsContradiction),
}

impl BrokerConfig {
    /// Checks what must hold between the settings.
    ///
    /// # Errors
    /// The first rule that does not hold; the text ends with what to write.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_network()?;
        self.validate_identity()?;
        self.validate_store()?;
        tls::validate(&self.tls, &self.tls_client)?;
        self.validate_times()
    }

    /// The longest record that is stored: it also has to fit a commit log file.
    #[must_use]
    pub fn record_bytes_max(&self) -> u64 {
        let limit = u64::from(self.max_message_size);
        let in_file = self.segment_bytes.map(|bytes| bytes.saturating_sub(BLANK_BYTES));
        in_file.map_or(limit, |in_file| in_file.min(limit))
    }

    fn validate_network(&self) -> Result<(), Invalid> {
        if matches!(self.port, 1 | 2) {
            return Err(Invalid::Port(self.port));
        }
        if self.announce.is_unspecified() || self.announce.is_multicast() {
            return Err(Invalid::Announce(self.announce));
        }
        if self.connections_max == 0 {
            return Err(Invalid::Connections);
        }
        if !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&self.max_message_size) {
            return Err(Invalid::MessageBytes(self.max_message_size));
        }
        if (self.in_flight_bytes as u64) < u64::from(self.max_message_size) {
            return Err(Invalid::InFlightBytes {
                in_flight: self.in_flight_bytes,
                message: self.max_message_size,
            });
        }
        Ok(())
    }

    fn validate_identity(&self) -> Result<(), Invalid> {
        if !matches!(self.permission, 0 | 2 | 4 | 6) {
            return Err(Invalid::Permission(self.permission));
        }
        if self.broker_id != 0 {
            return Err(Invalid::BrokerId(self.broker_id));
        }
        if self.default_topic_queue_nums == 0 || self.default_topic_queue_nums > 65_535 {
            return Err(Invalid::QueueNums(self.default_topic_queue_nums));
        }
        if self.region.contains(char::is_control) {
            return Err(Invalid::Region(self.region.clone()));
        }
        let names = [
            ("broker.name (brokerName)", &self.broker_name),
            ("broker.cluster (brokerClusterName)", &self.cluster_name),
            ("topics.trace_name (msgTraceTopicName)", &self.trace_topic_name),
        ];
        match names.into_iter().find(|(_, name)| !is_name(name)) {
            Some((key, name)) => Err(Invalid::Name {
                key,
                name: name.clone(),
            }),
            None => Ok(()),
        }
    }

    fn validate_store(&self) -> Result<(), Invalid> {
        if let Some(bytes) = self.segment_bytes
            && !(SEGMENT_BYTES_MIN..=FILE_BYTES_MAX).contains(&bytes)
        {
            return Err(Invalid::SegmentBytes(bytes));
        }
        let queue = self.queue_file_bytes;
        if queue == 0 || queue > FILE_BYTES_MAX || !queue.is_multiple_of(QUEUE_UNIT_BYTES) {
            return Err(Invalid::QueueFileBytes(queue));
        }
        let extension = self.extension_file_bytes;
        if !(LEAST_EXTENSION_FILE_BYTES..=FILE_BYTES_MAX).contains(&extension) {
            return Err(Invalid::ExtensionFileBytes(extension));
        }
        let FilterConfig {
            error_percent, groups, ..
        } = self.filters;
        if self.filters.bloom().is_none() {
            return Err(Invalid::FilterBits { error_percent, groups });
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), Invalid> {
        let times = [
            ("flush_interval (flushIntervalCommitLog)", self.flush_interval),
            (
                "groups.offsets_interval (flushConsumerOffsetInterval)",
                self.offsets_interval,
            ),
            ("groups.slow_interval", self.slow_consumers.interval),
            ("store.checkpoint_interval", self.checkpoint_interval),
            ("delays.save_interval", self.delays_interval),
            ("transactions.check_interval", self.transactions.check_interval),
            ("retention.interval (cleanResourceInterval)", self.retention.interval),
            ("limits.idle (serverChannelMaxIdleTimeSeconds)", self.idle_limit),
        ];
        if let Some((key, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(Invalid::NoTime(key));
        }
        if self.queue_lock_time.is_zero() {
            return Err(Invalid::NoLockTime);
        }
        let [shortest, longest] = REGISTER_INTERVALS;
        if (shortest..=longest).contains(&self.register_interval) {
            Ok(())
        } else {
            Err(Invalid::RegisterInterval(self.register_interval))
        }
    }
}

fn is_name(name: &str) -> bool {
    // Java checks nothing; a topic's folder and an order topic's text are made of it.
    let is_letter = |c: char| c.is_alphanumeric() || "-_.%|".contains(c);
    let is_dots = name.chars().all(|c| c == '.');
    !is_dots && name.chars().count() <= NAME_CHARS_MAX && name.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(change: impl FnOnce(&mut BrokerConfig)) -> Invalid {
        let mut config = BrokerConfig::default();
        change(&mut config);
        config.validate().unwrap_err()
    }

    #[test]
    fn the_defaults_and_the_settings_for_tests_are_valid() {
        assert_eq!(BrokerConfig::default().validate(), Ok(()));
        assert_eq!(BrokerConfig::for_test().validate(), Ok(()));
    }

    #[test]
    fn a_port_leaves_room_for_the_one_two_below() {
        for port in [1, 2] {
            assert_eq!(invalid(|config| config.port = port), Invalid::Port(port));
        }
        for port in [0, 3, 65_535] {
            assert_eq!(
                BrokerConfig {
                    port,
                    ..BrokerConfig::default()
                }
                .validate(),
                Ok(())
            );
        }
    }

    #[test]
    fn a_wildcard_is_never_announced() {
        for address in ["0.0.0.0", "::", "224.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(invalid(|config| config.announce = address), Invalid::Announce(address));
        }
    }

    #[test]
    fn a_permission_is_made_of_read_and_write() {
        for permission in [1, 3, 5, 7, 8] {
            assert_eq!(
                invalid(|config| config.permission = permission),
                Invalid::Permission(permission)
            );
        }
    }

    #[test]
    fn there_is_no_replica_yet() {
        assert_eq!(invalid(|config| config.broker_id = 1), Invalid::BrokerId(1));
    }

    #[test]
    fn names_are_names_of_topics() {
        for name in ["", "a b", "a\u{1}", "..", "a/b", "a:1", &"n".repeat(128)] {
            let broker = invalid(|config| config.broker_name = name.to_owned());
            assert!(
                matches!(
                    broker,
                    Invalid::Name {
                        key: "broker.name (brokerName)",
                        ..
                    }
                ),
                "{name:?}"
            );
            let cluster = invalid(|config| config.cluster_name = name.to_owned());
            assert!(
                matches!(
                    cluster,
                    Invalid::Name {
                        key: "broker.cluster (brokerClusterName)",
                        ..
                    }
                ),
                "{name:?}"
            );
        }
        let host = BrokerConfig {
            broker_name: "mq-1.example.org".into(),
            ..BrokerConfig::default()
        };
        assert_eq!(host.validate(), Ok(()));
        assert_eq!(
            invalid(|config| config.region = "a\u{2}".into()),
            Invalid::Region("a\u{2}".into())
        );
    }

    #[test]
    fn a_topic_has_1_to_65535_queues() {
        for nums in [0, 65_536] {
            assert_eq!(
                invalid(|config| config.default_topic_queue_nums = nums),
                Invalid::QueueNums(nums)
            );
        }
    }

    #[test]
    fn a_commit_log_file_has_javas_length() {
        for bytes in [0, 4095, 1 << 31] {
            assert_eq!(
                invalid(|config| config.segment_bytes = Some(bytes)),
                Invalid::SegmentBytes(bytes)
            );
        }
    }

    #[test]
    fn a_file_of_an_extension_takes_a_unit() {
        for bytes in [0, 23, 1 << 31] {
            assert_eq!(
                invalid(|config| config.extension_file_bytes = bytes),
                Invalid::ExtensionFileBytes(bytes)
            );
        }
    }

    #[test]
    fn a_consume_queue_file_holds_whole_entries() {
        for bytes in [0, 30, (1 << 31) + 12] {
            assert_eq!(
                invalid(|config| config.queue_file_bytes = bytes),
                Invalid::QueueFileBytes(bytes)
            );
        }
    }

    #[test]
    fn a_record_fits_a_frame_and_what_may_be_under_way() {
        for bytes in [0, 1023, 16 << 20] {
            assert_eq!(
                invalid(|config| config.max_message_size = bytes),
                Invalid::MessageBytes(bytes)
            );
        }
        let expected = Invalid::InFlightBytes {
            in_flight: 1 << 20,
            message: 4 << 20,
        };
        assert_eq!(invalid(|config| config.in_flight_bytes = 1 << 20), expected);
    }

    #[test]
    fn a_record_also_fits_a_commit_log_file() {
        let config = BrokerConfig {
            segment_bytes: Some(65_536),
            ..BrokerConfig::default()
        };
        assert_eq!(config.record_bytes_max(), 65_536 - BLANK_BYTES);
        assert_eq!(BrokerConfig::default().record_bytes_max(), 4 << 20);
    }

    #[test]
    fn nothing_runs_without_a_pause() {
        assert!(matches!(
            invalid(|config| config.flush_interval = Duration::ZERO),
            Invalid::NoTime(_)
        ));
        assert!(matches!(
            invalid(|config| config.offsets_interval = Duration::ZERO),
            Invalid::NoTime(_)
        ));
        assert!(matches!(
            invalid(|config| config.slow_consumers.interval = Duration::ZERO),
            Invalid::NoTime(_)
        ));
        assert!(matches!(
            invalid(|config| config.checkpoint_interval = Duration::ZERO),
            Invalid::NoTime(_)
        ));
        assert!(matches!(
            invalid(|config| config.idle_limit = Duration::ZERO),
            Invalid::NoTime(_)
        ));
        assert_eq!(invalid(|config| config.connections_max = 0), Invalid::Connections);
        assert_eq!(
            invalid(|config| config.queue_lock_time = Duration::ZERO),
            Invalid::NoLockTime
        );
    }

    #[test]
    fn a_broker_registers_before_it_is_forgotten() {
        for seconds in [0, 9, 61] {
            let interval = Duration::from_secs(seconds);
            assert_eq!(
                invalid(|config| config.register_interval = interval),
                Invalid::RegisterInterval(interval)
            );
        }
    }

    #[test]
    fn what_is_wrong_ends_with_what_to_write() {
        let text = invalid(|config| config.port = 2).to_string();
        assert!(text.ends_with("use a port from 3 on, or 0 for a free pair"), "{text}");
    }
}
