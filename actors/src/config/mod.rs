//! The broker's settings. The `Default` values are the only list of defaults; the keys in comments are RocketMQ's.
//!
//! [`file::Settings`] gathers them: flags over the environment over a file over the defaults. The file is our own TOML
//! (`toml`) or RocketMQ's broker.conf (`broker_conf`, read by `properties`, its keys in `rocketmq_keys`); both end in
//! the one list of `setting`. What must hold between settings stands in `validate`.

mod broker_conf;
mod difference;
mod error;
pub mod file;
mod filters;
mod given;
pub mod live;
mod local_address;
mod nearest;
mod properties;
mod retention;
mod rocketmq_keys;
mod rocketmq_values;
mod setting;
mod size;
mod tls;
mod toml;
mod transactions;
mod validate;
mod value;

#[cfg(test)]
mod rules_test;
#[cfg(test)]
mod sources_test;
#[cfg(test)]
mod tls_rules_test;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::index::Layout as IndexLayout;
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::recovery::StoreLayout;

pub use difference::Difference;
pub use error::{ConfigError, Place};
pub use filters::FilterConfig;
pub use retention::RetentionConfig;
pub use size::{ByteSize, SizeError};
pub use tls::{ClientAuth, Pair, Password, TlsClientSettings, TlsContradiction, TlsMode, TlsSettings};
pub use transactions::TransactionConfig;
pub use validate::Invalid;
pub(crate) use value::peers_in;

use crate::slow::SlowLimits;
use crate::timer::TimerRules;

/// The part of the machine's memory that the newest messages are taken to fill, in percent.
const IN_MEMORY_PERCENT: u64 = 40;

/// What becomes of consumers that are far behind: what they read comes from the disk, in the way of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumers {
    /// Whether their groups are not served any more (`disableConsumeIfConsumerReadSlowly`).
    pub disable: bool,
    /// How many bytes of the log a group may have in front of it (`consumerFallbehindThreshold`).
    pub most_behind: u64,
    /// How often it is looked who has more.
    pub interval: Duration,
}

impl Default for SlowConsumers {
    fn default() -> Self {
        Self {
            disable: false,
            most_behind: 16 << 30,
            interval: Duration::from_secs(180),
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// The data directory (`storePathRootDir`).
    pub data: PathBuf,
    /// The commit log's directory, `<data>/commitlog` when `None` (`storePathCommitLog`).
    pub commit_log: Option<PathBuf>,
    /// The address that is listened on.
    pub listen: IpAddr,
    /// The address that clients are told (`brokerIP1`); must not be a wildcard.
    pub announce: IpAddr,
    /// The port; old clients use this one less 2 (`listenPort`). 0 lets the kernel pick.
    pub port: u16,
    /// The port of the name server that runs in this process; 0 lets the kernel pick.
    pub name_server_port: u16,
    /// The file of the name server's keys and values, `<data>/namesrv/kvConfig.json` when `None` (`kvConfigPath`).
    pub kv_config: Option<PathBuf>,
    /// Whether the name server's routes tell the order of brokers (`orderMessageEnable`).
    pub order_messages: bool,
    /// Whether the name server asks those of a product environment for routes that it does not have (`clusterTest`).
    pub cluster_test: bool,
    /// The product environment, whose name servers the address server tells (`productEnvName`).
    pub product_environment: String,
    /// Where `/healthz` and `/metrics` are served; nowhere when `None`.
    pub http: Option<SocketAddr>,
    /// Name servers to register with, as `host:port` (`namesrvAddr`).
    pub name_servers: Vec<String>,
    /// Whether an address server is asked for further name servers (`fetchNamesrvAddrByAddressServer`).
    pub ask_address_server: bool,
    /// The address server's host, with port 8080 or its own (`rocketmq.namesrv.domain`).
    pub address_server: String,
    /// The page of it that is asked for (`rocketmq.namesrv.domain.subgroup`).
    pub address_server_page: String,
    /// The cluster (`brokerClusterName`).
    pub cluster_name: String,
    /// The broker's name (`brokerName`).
    pub broker_name: String,
    /// 0 for a master (`brokerId`).
    pub broker_id: u64,
    /// Read 4, write 2, both 6 (`brokerPermission`).
    pub permission: u32,
    /// Queues of a topic made on first use (`defaultTopicQueueNums`).
    pub default_topic_queue_nums: u32,
    /// Whether the first message makes its topic (`autoCreateTopicEnable`).
    pub auto_create_topic: bool,
    /// Whether the first use makes a group (`autoCreateSubscriptionGroup`).
    pub auto_create_group: bool,
    /// When a message is acknowledged (`flushDiskType`).
    pub flush: FlushMode,
    /// How often the log is flushed under async flush (`flushIntervalCommitLog`).
    pub flush_interval: Duration,
    /// Bytes of a commit log file; `None` takes it from the files found, or 1 GiB (`mappedFileSizeCommitLog`).
    pub segment_bytes: Option<u64>,
    /// Bytes of a consume queue file (`mappedFileSizeConsumeQueue`).
    pub queue_file_bytes: u64,
    /// Whether tags codes are kept in extensions of the consume queues (`enableConsumeQueueExt`).
    pub queue_extension: bool,
    /// Bytes of a file of such an extension (`mappedFileSizeConsumeQueueExt`).
    pub extension_file_bytes: u64,
    /// The sizes of an index file; `None` without index (`messageIndexEnable`, `maxHashSlotNum`, `maxIndexNum`).
    pub index: Option<IndexLayout>,
    /// Whether recovery checks bodies (`checkCRCOnRecover`).
    pub check_crc: bool,
    /// How long the messages of each delay level wait (`messageDelayLevel`).
    pub delay_levels: DelayLevels,
    /// How often it is saved how far they are delivered (`flushDelayOffsetInterval`).
    pub delays_interval: Duration,
    /// Whether messages may ask for a time to be delivered at, and how far ahead (`timerWheelEnable`, `timerMaxDelaySec`).
    pub timers: TimerRules,
    /// How open transactions are checked.
    pub transactions: TransactionConfig,
    /// The longest record in bytes (`maxMessageSize`).
    pub max_message_size: u32,
    /// Told to clients with every send (`regionId`).
    pub region: String,
    /// Whether clients are told to trace messages (`traceOn`).
    pub trace_on: bool,
    /// Whether replies to other applications' requests are stored once they are handed over (`storeReplyMessageEnable`).
    pub store_replies: bool,
    /// Whether there is a topic for message traces from the start (`traceTopicEnable`).
    pub trace_topic: bool,
    /// Its name (`msgTraceTopicName`).
    pub trace_topic_name: String,
    /// Whether a pull without messages waits for one as long as it asks for (`longPollingEnable`).
    pub long_polling: bool,
    /// How long it waits otherwise (`shortPollingTimeMills`).
    pub short_polling: Duration,
    /// Whether consumers that are far behind are told to pull from the broker that their group's settings name, a slave
    /// mostly (`slaveReadEnable`).
    pub slave_read: bool,
    /// The newest part of the log, in bytes, which is taken to be in memory: pulls of what is older wait until it is.
    pub hot_bytes: u64,
    /// Filters by properties.
    pub filters: FilterConfig,
    /// How often consumer offsets are saved (`flushConsumerOffsetInterval`).
    pub offsets_interval: Duration,
    /// How often the broker registers with its name servers (`registerNameServerPeriod`).
    pub register_interval: Duration,
    /// Whether consumers are told of changes in their group (`notifyConsumerIdsChangedEnable`).
    pub notify_ids_changed: bool,
    /// What becomes of consumers that are far behind.
    pub slow_consumers: SlowConsumers,
    /// How long a queue stays locked for a consumer that does not renew its lock (`rocketmq.broker.rebalance.lockMaxLiveTime`).
    pub queue_lock_time: Duration,
    /// No sends are accepted before this time, in milliseconds since 1970 (`startAcceptSendRequestTimeStamp`).
    pub accept_sends_from_ms: u64,
    /// Sends are refused when less than this many bytes, or two commit log files, are free.
    pub free_bytes: u64,
    /// How often what the queues and the index hold is made durable and noted.
    pub checkpoint_interval: Duration,
    /// How long messages stay.
    pub retention: RetentionConfig,
    /// A connection with neither reads nor writes for this long is closed (`serverChannelMaxIdleTimeSeconds`).
    pub idle_limit: Duration,
    /// How many connections a listener keeps; further ones are closed at once.
    pub connections_max: usize,
    /// Bytes of messages that may be under way before their answers, over all connections.
    pub in_flight_bytes: usize,
    /// What is logged as slow.
    pub slow: SlowLimits,
    /// The machine's memory in bytes; `None` asks the machine.
    pub memory_bytes: Option<u64>,
    /// TLS on the ports of broker and name server.
    pub tls: TlsSettings,
    /// TLS on the connections to name servers.
    pub tls_client: TlsClientSettings,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./cuemq-data"),
            commit_log: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            announce: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 10_911,
            name_server_port: 9876,
            kv_config: None,
            order_messages: false,
            cluster_test: false,
            product_environment: "center".to_owned(),
            http: None,
            name_servers: Vec::new(),
            ask_address_server: false,
            address_server: "jmenv.tbsite.net".to_owned(),
            address_server_page: "nsaddr".to_owned(),
            cluster_name: "DefaultCluster".to_owned(),
            broker_name: "broker-a".to_owned(),
            broker_id: 0,
            permission: 6,
            default_topic_queue_nums: 8,
            auto_create_topic: true,
            auto_create_group: true,
            flush: FlushMode::Sync,
            flush_interval: Duration::from_millis(500),
            segment_bytes: None,
            queue_file_bytes: cuemq_storage::consume_queue::DEFAULT_FILE_BYTES,
            queue_extension: false,
            extension_file_bytes: cuemq_storage::consume_queue::DEFAULT_EXTENSION_FILE_BYTES,
            index: Some(IndexLayout::DEFAULT),
            check_crc: true,
            delay_levels: DelayLevels::default(),
            delays_interval: Duration::from_secs(1),
            timers: TimerRules::default(),
            transactions: TransactionConfig::default(),
            max_message_size: 4 << 20,
            region: "DefaultRegion".to_owned(),
            trace_on: true,
            store_replies: true,
            trace_topic: true,
            trace_topic_name: "RMQ_SYS_TRACE_TOPIC".to_owned(),
            long_polling: true,
            slave_read: false,
            short_polling: Duration::from_secs(1),
            hot_bytes: 512 << 20,
            filters: FilterConfig::default(),
            offsets_interval: Duration::from_secs(5),
            register_interval: Duration::from_secs(30),
            notify_ids_changed: true,
            slow_consumers: SlowConsumers::default(),
            queue_lock_time: Duration::from_secs(60),
            accept_sends_from_ms: 0,
            free_bytes: 256 << 20,
            checkpoint_interval: Duration::from_secs(2),
            retention: RetentionConfig::default(),
            idle_limit: Duration::from_secs(120),
            connections_max: 20_000,
            in_flight_bytes: 256 << 20,
            slow: SlowLimits::default(),
            memory_bytes: None,
            tls: TlsSettings::default(),
            tls_client: TlsClientSettings::default(),
        }
    }
}

impl BrokerConfig {
    /// Settings for tests: small files, ports that the kernel picks.
    #[must_use]
    pub fn for_test() -> Self {
        Self {
            port: 0,
            name_server_port: 0,
            segment_bytes: Some(1 << 20),
            queue_file_bytes: 6000,
            extension_file_bytes: 1000,
            index: IndexLayout::new(500, 2000),
            free_bytes: 0,
            checkpoint_interval: Duration::from_millis(200),
            ..Self::default()
        }
    }

    /// How many bytes of the log's newest part RocketMQ takes to be in memory: a new group starts at the beginning of a
    /// queue that lies in them, and asks its own settings else (`accessMessageInMemoryMaxRatio`, of which the default holds).
    #[must_use]
    pub fn in_memory_bytes(&self) -> u64 {
        let machine = || {
            let found = rustix::system::sysinfo();
            (found.totalram as u64).saturating_mul(u64::from(found.mem_unit))
        };
        self.memory_bytes.unwrap_or_else(machine) / 100 * IN_MEMORY_PERCENT
    }

    /// Whether new messages are tried on all filters when they come.
    #[must_use]
    pub fn makes_bitmaps(&self) -> bool {
        self.filters.bitmaps && self.queue_extension
    }

    /// The file of the name server's keys and values.
    #[must_use]
    pub fn kv_config_path(&self) -> PathBuf {
        let given = self.kv_config.clone();
        given.unwrap_or_else(|| self.data.join("namesrv").join("kvConfig.json"))
    }

    /// Where the store lies and how its files are made.
    #[must_use]
    pub fn layout(&self) -> StoreLayout {
        let mut layout = StoreLayout::at(&self.data);
        if let Some(commit_log) = &self.commit_log {
            layout.commit_log.clone_from(commit_log);
        }
        layout.segment_bytes = self.segment_bytes;
        layout.queue_file_bytes = self.queue_file_bytes;
        layout.extension_file_bytes = self.queue_extension.then_some(self.extension_file_bytes);
        layout.index = self.index;
        layout.check_crc = self.check_crc;
        layout.levels = self.delay_levels.clone();
        layout
    }
}
