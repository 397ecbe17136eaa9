//! The keys of RocketMQ's broker.conf and namesrv.conf, and what each of them does here.
//!
//! One broker.conf feeds Java's `BrokerConfig`, `MessageStoreConfig`, `NettyServerConfig` and `NettyClientConfig`. The
//! keys are those of the releases 4.3 to 4.9, and the ones of 5.x that many files have.

/// How a Java value reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands.
    Text,
    /// As it stands; empty where there is none.
    MaybeText,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Truth,
    /// A whole number of milliseconds.
    Millis,
    /// A whole number of seconds.
    Seconds,
    /// A whole number of hours.
    Hours,
    /// A part of the disk in percent that Java brings within 10 to 95.
    DiskPercent,
    /// A whole number of milliseconds that Java brings within 10 to 60 s.
    RegisterPeriod,
    /// A length in bytes that Java rounds up to whole consume queue entries.
    QueueFileBytes,
    /// A length in bytes; what no frame carries is of no use.
    MessageBytes,
    /// SYNC_FLUSH or ASYNC_FLUSH.
    Flush,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is the setting of this name.
    Sets(&'static str, Form),
    /// brokerRole: one role runs.
    Role,
    /// brokerId: a master's is 0, whatever is written.
    Id,
    /// What is asked for with `true` protects or changes data in a way that is not there: better no broker than that.
    Refused(&'static str),
    /// It is decided here, for this reason.
    Settled(&'static str),
    /// tls.config.file: names the file that says more about TLS.
    TlsFile,
    /// It tunes threads, buffers and files in ways that are not those of this broker.
    Foreign,
    /// What it is about is not there yet.
    NotYet,
}

use Effect::{Foreign, Id, NotYet, Refused, Role, Sets, Settled, TlsFile};

/// The effect of a broker's key.
pub(super) fn of_broker(key: &str) -> Option<Effect> {
    let other = [(FOREIGN, Foreign), (NOT_YET, NotYet)];
    let listed = || {
        other
            .into_iter()
            .find(|(keys, _)| keys.contains(&key))
            .map(|(_, effect)| effect)
    };
    let known = BROKER.iter().chain(TLS_SERVER).chain(TLS_CLIENT);
    let known = known.into_iter().find(|(name, _)| *name == key);
    known.map(|(_, effect)| *effect).or_else(listed)
}

/// The effect of a name server's key.
pub(super) fn of_name_server(key: &str) -> Option<Effect> {
    let known = NAME_SERVER.iter().chain(TLS_SERVER).find(|(name, _)| *name == key);
    known.map(|(_, effect)| *effect)
}

/// All keys, of brokers and name servers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let with_effect = BROKER.iter().chain(NAME_SERVER).chain(TLS_SERVER).chain(TLS_CLIENT);
    let with_effect = with_effect.map(|(name, _)| *name);
    with_effect
        .chain(FOREIGN.iter().copied())
        .chain(NOT_YET.iter().copied())
}

/// Whether a setting is one of those that RocketMQ calls important (`mqbroker -m`).
pub(super) fn is_important(setting: &str) -> bool {
    let sets = |key: &str| matches!(of_broker(key), Some(Sets(name, _)) if name == setting);
    IMPORTANT.iter().any(|key| sets(key))
}

/// The keys that carry `@ImportantField` and have an effect here.
const IMPORTANT: [&str; 13] = [
    "autoCreateSubscriptionGroup",
    "autoCreateTopicEnable",
    "brokerClusterName",
    "brokerIP1",
    "brokerName",
    "deleteWhen",
    "fileReservedTime",
    "flushDiskType",
    "flushIntervalCommitLog",
    "messageIndexEnable",
    "namesrvAddr",
    "storePathCommitLog",
    "storePathRootDir",
];

const BROKER: &[(&str, Effect)] = &[
    ("storePathRootDir", Sets("data", Form::Text)),
    ("storePathCommitLog", Sets("store.commit_log", Form::Text)),
    ("brokerIP1", Sets("announce", Form::Text)),
    ("listenPort", Sets("port", Form::Number)),
    ("namesrvAddr", Sets("name_server.addresses", Form::Text)),
    (
        "fetchNamesrvAddrByAddressServer",
        Sets("name_server.ask_address_server", Form::Truth),
    ),
    (
        "rocketmq.namesrv.domain",
        Sets("name_server.address_server", Form::Text),
    ),
    (
        "rocketmq.namesrv.domain.subgroup",
        Sets("name_server.address_server_page", Form::Text),
    ),
    (
        "registerNameServerPeriod",
        Sets("name_server.register_interval", Form::RegisterPeriod),
    ),
    ("brokerName", Sets("broker.name", Form::Text)),
    ("brokerClusterName", Sets("broker.cluster", Form::Text)),
    ("brokerId", Id),
    ("brokerRole", Role),
    ("brokerPermission", Sets("broker.permission", Form::Number)),
    ("regionId", Sets("broker.region", Form::Text)),
    ("traceOn", Sets("broker.trace", Form::Truth)),
    (
        "startAcceptSendRequestTimeStamp",
        Sets("broker.accept_sends_from_ms", Form::Number),
    ),
    ("autoCreateTopicEnable", Sets("topics.auto_create", Form::Truth)),
    ("defaultTopicQueueNums", Sets("topics.default_queue_nums", Form::Number)),
    ("traceTopicEnable", Sets("topics.trace", Form::Truth)),
    ("msgTraceTopicName", Sets("topics.trace_name", Form::Text)),
    ("storeReplyMessageEnable", Sets("topics.store_replies", Form::Truth)),
    ("autoCreateSubscriptionGroup", Sets("groups.auto_create", Form::Truth)),
    (
        "notifyConsumerIdsChangedEnable",
        Sets("groups.notify_changes", Form::Truth),
    ),
    (
        "disableConsumeIfConsumerReadSlowly",
        Sets("groups.disable_slow", Form::Truth),
    ),
    ("consumerFallbehindThreshold", Sets("groups.slow_bytes", Form::Number)),
    (
        "rocketmq.broker.rebalance.lockMaxLiveTime",
        Sets("groups.lock_time", Form::Millis),
    ),
    (
        "flushConsumerOffsetInterval",
        Sets("groups.offsets_interval", Form::Millis),
    ),
    ("slaveReadEnable", Sets("pulls.slave_read", Form::Truth)),
    ("longPollingEnable", Sets("pulls.long_polling", Form::Truth)),
    ("shortPollingTimeMills", Sets("pulls.short_polling", Form::Millis)),
    ("enablePropertyFilter", Sets("filters.sql", Form::Truth)),
    ("enableCalcFilterBitMap", Sets("filters.bitmaps", Form::Truth)),
    ("filterSupportRetry", Sets("filters.on_retry", Form::Truth)),
    ("maxErrorRateOfBloomFilter", Sets("filters.error_percent", Form::Number)),
    ("expectConsumerNumUseFilter", Sets("filters.groups", Form::Number)),
    ("filterDataCleanTimeSpan", Sets("filters.keep_dead", Form::Millis)),
    ("flushDiskType", Sets("flush", Form::Flush)),
    ("flushIntervalCommitLog", Sets("flush_interval", Form::Millis)),
    ("mapedFileSizeCommitLog", Sets("store.segment_bytes", Form::Number)),
    ("mappedFileSizeCommitLog", Sets("store.segment_bytes", Form::Number)),
    (
        "mapedFileSizeConsumeQueue",
        Sets("store.queue_file_bytes", Form::QueueFileBytes),
    ),
    (
        "mappedFileSizeConsumeQueue",
        Sets("store.queue_file_bytes", Form::QueueFileBytes),
    ),
    ("enableConsumeQueueExt", Sets("store.queue_extension", Form::Truth)),
    (
        "mappedFileSizeConsumeQueueExt",
        Sets("store.extension_file_bytes", Form::Number),
    ),
    ("messageIndexEnable", Sets("store.index", Form::Truth)),
    ("maxHashSlotNum", Sets("store.index_slots", Form::Number)),
    ("maxIndexNum", Sets("store.index_entries", Form::Number)),
    ("checkCRCOnRecover", Sets("store.check_crc", Form::Truth)),
    ("messageDelayLevel", Sets("delays.levels", Form::Text)),
    ("flushDelayOffsetInterval", Sets("delays.save_interval", Form::Millis)),
    ("timerWheelEnable", Sets("delays.timers", Form::Truth)),
    ("timerMaxDelaySec", Sets("delays.timer_max", Form::Seconds)),
    ("rejectTransactionMessage", Sets("transactions.reject", Form::Truth)),
    ("transactionTimeOut", Sets("transactions.timeout", Form::Millis)),
    (
        "transactionCheckInterval",
        Sets("transactions.check_interval", Form::Millis),
    ),
    ("transactionCheckMax", Sets("transactions.check_max", Form::Number)),
    ("fileReservedTime", Sets("retention.age", Form::Hours)),
    ("deleteWhen", Sets("retention.hours", Form::Text)),
    (
        "diskMaxUsedSpaceRatio",
        Sets("retention.disk_percent", Form::DiskPercent),
    ),
    ("cleanFileForciblyEnable", Sets("retention.forced", Form::Truth)),
    (
        "diskSpaceCleanForciblyRatio",
        Sets("retention.forced_percent", Form::DiskPercent),
    ),
    ("cleanResourceInterval", Sets("retention.interval", Form::Millis)),
    ("deleteCommitLogFilesInterval", Sets("retention.pause", Form::Millis)),
    ("maxMessageSize", Sets("limits.message_bytes", Form::MessageBytes)),
    ("serverChannelMaxIdleTimeSeconds", Sets("limits.idle", Form::Seconds)),
    (
        "aclEnable",
        Refused(
            "there is no access control yet, and without it everybody could read and write: use false behind a closed network",
        ),
    ),
    (
        "enableDLegerCommitLog",
        Refused("a DLedger commit log has other files: use false, with another store"),
    ),
    ("enableControllerMode", Refused("there is no controller: use false")),
    (
        "enableAclRpcHookForClusterInnerRequest",
        Refused("there is no access control yet: use false"),
    ),
];

const NAME_SERVER: &[(&str, Effect)] = &[
    ("listenPort", Sets("name_server.port", Form::Number)),
    ("serverChannelMaxIdleTimeSeconds", Sets("limits.idle", Form::Seconds)),
    ("kvConfigPath", Sets("name_server.kv_config", Form::Text)),
    ("orderMessageEnable", Sets("name_server.order_messages", Form::Truth)),
    ("clusterTest", Sets("name_server.cluster_test", Form::Truth)),
    ("productEnvName", Sets("name_server.product_environment", Form::Text)),
    (
        "rocketmq.namesrv.domain",
        Sets("name_server.address_server", Form::Text),
    ),
    (
        "rocketmq.namesrv.domain.subgroup",
        Sets("name_server.address_server_page", Form::Text),
    ),
    ("rocketmqHome", Foreign),
    ("configStorePath", Foreign),
    ("serverWorkerThreads", Foreign),
    ("serverCallbackExecutorThreads", Foreign),
    ("serverSelectorThreads", Foreign),
    ("serverOnewaySemaphoreValue", Foreign),
    ("serverAsyncSemaphoreValue", Foreign),
    ("serverSocketSndBufSize", Foreign),
    ("serverSocketRcvBufSize", Foreign),
    ("serverPooledByteBufAllocatorEnable", Foreign),
    ("useEpollNativeSelector", Foreign),
];

/// TLS on the ports; Java's system properties, which a tls.properties may hold.
const TLS_SERVER: &[(&str, Effect)] = &[
    ("tls.server.mode", Sets("tls.mode", Form::Text)),
    ("tls.test.mode.enable", Sets("tls.self_signed", Form::Truth)),
    ("tls.server.certPath", Sets("tls.cert", Form::MaybeText)),
    ("tls.server.keyPath", Sets("tls.key", Form::MaybeText)),
    ("tls.server.keyPassword", Sets("tls.key_password", Form::MaybeText)),
    ("tls.server.need.client.auth", Sets("tls.client_auth", Form::Text)),
    ("tls.server.trustCertPath", Sets("tls.trust", Form::MaybeText)),
    (
        "tls.server.authClient",
        Settled("a client's certificate is always held against tls.server.trustCertPath"),
    ),
    ("tls.config.file", TlsFile),
    (
        "tls.ciphers",
        Settled("TLS 1.2 and 1.3 are spoken with ciphers that are safe"),
    ),
    ("tls.protocols", Settled("TLS 1.2 and 1.3 are spoken")),
];

/// TLS on the connections to name servers.
const TLS_CLIENT: &[(&str, Effect)] = &[
    ("tls.enable", Sets("tls_client.enable", Form::Truth)),
    ("tls.client.certPath", Sets("tls_client.cert", Form::MaybeText)),
    ("tls.client.keyPath", Sets("tls_client.key", Form::MaybeText)),
    (
        "tls.client.keyPassword",
        Sets("tls_client.key_password", Form::MaybeText),
    ),
    ("tls.client.authServer", Sets("tls_client.check", Form::Truth)),
    ("tls.client.trustCertPath", Sets("tls_client.trust", Form::MaybeText)),
];

/// Keys about Java's threads, buffers, locks and mappings.
#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    // the store
    "flushIntervalConsumeQueue", "commitIntervalCommitLog", "flushCommitLogTimed", "flushCommitLogLeastPages",
    "commitCommitLogLeastPages", "flushLeastPagesWhenWarmMapedFile", "flushConsumeQueueLeastPages",
    "flushCommitLogThoroughInterval", "commitCommitLogThoroughInterval", "flushConsumeQueueThoroughInterval",
    "bitMapLengthConsumeQueueExt", "messageIndexSafe", "syncFlushTimeout",
    "warmMapedFileEnable", "duplicationEnable", "diskFallRecorded", "osPageCacheBusyTimeOutMills",
    "transientStorePoolEnable", "transientStorePoolSize", "fastFailIfNoBufferInStorePool", "debugLockEnable",
    "useReentrantLockWhenPutMessage", "putMsgIndexHightWater", "accessMessageInMemoryMaxRatio",
    "maxTransferBytesOnMessageInMemory", "maxTransferCountOnMessageInMemory", "maxTransferBytesOnMessageInDisk",
    "maxTransferCountOnMessageInDisk", "defaultQueryMaxNum", "maxMsgsNumBatch", "haListenPort",
    "destroyMapedFileIntervalForcibly", "redeleteHangedFileInterval", "deleteConsumeQueueFilesInterval",
    "diskSpaceWarningLevelRatio", "dispatchFromSenderThread",
    "wakeCommitWhenPutMessage", "wakeFlushWhenPutMessage", "enableCleanExpiredOffset", "maxAsyncPutMessageRequests",
    "enableScheduleMessageStats", "dispatchCqThreads", "dispatchCqCacheNum", "maxRecoveryCommitlogFiles",
    // the broker
    "rocketmqHome", "sendMessageThreadPoolNums", "pullMessageThreadPoolNums", "queryMessageThreadPoolNums",
    "adminBrokerThreadPoolNums", "clientManageThreadPoolNums", "consumerManageThreadPoolNums",
    "heartbeatThreadPoolNums", "endTransactionThreadPoolNums", "processReplyMessageThreadPoolNums",
    "putMessageFutureThreadPoolNums", "litePullMessageThreadPoolNums", "registerBrokerTimeoutMills",
    "sendThreadPoolQueueCapacity", "pullThreadPoolQueueCapacity", "queryThreadPoolQueueCapacity",
    "replyThreadPoolQueueCapacity", "litePullThreadPoolQueueCapacity", "clientManagerThreadPoolQueueCapacity",
    "consumerManagerThreadPoolQueueCapacity", "heartbeatThreadPoolQueueCapacity", "endTransactionPoolQueueCapacity",
    "putThreadPoolQueueCapacity", "flushConsumerOffsetHistoryInterval", "filterServerNums", "highSpeedMode",
    "transferMsgByHeap", "maxDelayTime", "brokerFastFailureEnable", "waitTimeMillsInSendQueue",
    "waitTimeMillsInPullQueue", "waitTimeMillsInLitePullQueue", "waitTimeMillsInHeartbeatQueue",
    "waitTimeMillsInTransactionQueue", "commercialEnable", "commercialTimerCount", "commercialTransCount",
    "commercialBigCount", "commercialBaseCount", "compressedRegister", "forceRegister", "enableDetailStat",
    "autoDeleteUnusedStats", "dLegerGroup", "dLegerPeers", "dLegerSelfId", "preferredLeaderId",
    // remoting
    "serverWorkerThreads", "serverCallbackExecutorThreads", "serverSelectorThreads", "serverOnewaySemaphoreValue",
    "serverAsyncSemaphoreValue", "serverSocketSndBufSize", "serverSocketRcvBufSize", "serverSocketBacklog",
    "writeBufferHighWaterMark", "writeBufferLowWaterMark", "serverPooledByteBufAllocatorEnable",
    "useEpollNativeSelector", "clientWorkerThreads", "clientCallbackExecutorThreads", "clientOnewaySemaphoreValue",
    "clientAsyncSemaphoreValue", "connectTimeoutMillis", "channelNotActiveInterval",
    "clientChannelMaxIdleTimeSeconds", "clientSocketSndBufSize", "clientSocketRcvBufSize",
    "clientPooledByteBufAllocatorEnable", "clientCloseSocketIfTimeout",
];

/// Keys of what is still to come.
#[rustfmt::skip]
const NOT_YET: &[&str] = &[
    // replication
    "brokerIP2", "haMasterAddress", "haSendHeartbeatInterval", "haHousekeepingInterval", "haTransferBatchSize",
    "haSlaveFallbehindMax", "offsetCheckInSlave",
    // topics of clusters and brokers
    "clusterTopicEnable", "brokerTopicEnable",
    "storePathConsumeQueue", "storePathIndex", "storeCheckpoint", "abortFile", "messageStorePlugIn",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::setting;
    use super::*;

    #[test]
    fn each_broker_key_stands_in_one_list() {
        let all: Vec<&str> = BROKER
            .iter()
            .chain(TLS_SERVER)
            .chain(TLS_CLIENT)
            .map(|(name, _)| *name)
            .chain(FOREIGN.iter().chain(NOT_YET).copied())
            .collect();
        let unique: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len());
    }

    #[test]
    fn a_key_with_an_effect_names_a_setting() {
        for (key, effect) in BROKER.iter().chain(NAME_SERVER).chain(TLS_SERVER).chain(TLS_CLIENT) {
            if let Sets(name, _) = effect {
                assert!(setting::named(name).is_some(), "{key} = {name}");
            }
        }
    }

    #[test]
    fn both_spellings_of_file_sizes_are_known() {
        for what in ["FileSizeCommitLog", "FileSizeConsumeQueue"] {
            assert_eq!(of_broker(&format!("maped{what}")), of_broker(&format!("mapped{what}")));
            assert!(of_broker(&format!("maped{what}")).is_some());
        }
    }
}
