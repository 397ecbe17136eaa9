//! The settings in force by RocketMQ's names and in its spelling, as code 26 tells them.

use cuemq_storage::log_state::FlushMode;

use super::BrokerConfig;

/// A setting's value in RocketMQ's spelling.
type Show = fn(&BrokerConfig) -> String;

/// What RocketMQ has a name for and this broker a value.
#[rustfmt::skip]
const VALUES: &[(&str, Show)] = &[
    ("autoCreateSubscriptionGroup", |c| c.auto_create_group.to_string()),
    ("autoCreateTopicEnable", |c| c.auto_create_topic.to_string()),
    ("brokerClusterName", |c| c.cluster_name.clone()),
    ("brokerIP1", |c| c.announce.to_string()),
    ("brokerId", |c| c.broker_id.to_string()),
    ("brokerName", |c| c.broker_name.clone()),
    ("brokerPermission", |c| c.permission.to_string()),
    ("brokerRole", |_| "ASYNC_MASTER".to_owned()),
    ("checkCRCOnRecover", |c| c.check_crc.to_string()),
    ("cleanFileForciblyEnable", |c| c.retention.forced.to_string()),
    ("cleanResourceInterval", |c| c.retention.interval.as_millis().to_string()),
    ("consumerFallbehindThreshold", |c| c.slow_consumers.most_behind.to_string()),
    ("defaultTopicQueueNums", |c| c.default_topic_queue_nums.to_string()),
    ("deleteCommitLogFilesInterval", |c| c.retention.pause.as_millis().to_string()),
    ("deleteWhen", |c| c.retention.hours.to_string()),
    ("disableConsumeIfConsumerReadSlowly", |c| c.slow_consumers.disable.to_string()),
    ("diskSpaceCleanForciblyRatio", |c| c.retention.forced_percent.to_string()),
    ("enableCalcFilterBitMap", |c| c.filters.bitmaps.to_string()),
    ("enableConsumeQueueExt", |c| c.queue_extension.to_string()),
    ("enablePropertyFilter", |c| c.filters.sql.to_string()),
    ("expectConsumerNumUseFilter", |c| c.filters.groups.to_string()),
    ("fetchNamesrvAddrByAddressServer", |c| c.ask_address_server.to_string()),
    ("fileReservedTime", |c| (c.retention.age.as_secs() / 3600).to_string()),
    ("filterDataCleanTimeSpan", |c| c.filters.keep_dead.as_millis().to_string()),
    ("filterSupportRetry", |c| c.filters.on_retry.to_string()),
    ("flushConsumerOffsetInterval", |c| c.offsets_interval.as_millis().to_string()),
    ("flushDelayOffsetInterval", |c| c.delays_interval.as_millis().to_string()),
    ("flushDiskType", |c| flush(c.flush).to_owned()),
    ("flushIntervalCommitLog", |c| c.flush_interval.as_millis().to_string()),
    ("listenPort", |c| c.port.to_string()),
    ("longPollingEnable", |c| c.long_polling.to_string()),
    ("mappedFileSizeCommitLog", |c| c.segment_bytes.unwrap_or(cuemq_storage::recovery::DEFAULT_SEGMENT_BYTES).to_string()),
    ("mappedFileSizeConsumeQueue", |c| c.queue_file_bytes.to_string()),
    ("mappedFileSizeConsumeQueueExt", |c| c.extension_file_bytes.to_string()),
    ("maxErrorRateOfBloomFilter", |c| c.filters.error_percent.to_string()),
    ("maxMessageSize", |c| c.max_message_size.to_string()),
    ("messageDelayLevel", |c| c.delay_levels.to_string()),
    ("messageIndexEnable", |c| c.index.is_some().to_string()),
    ("msgTraceTopicName", |c| c.trace_topic_name.clone()),
    ("namesrvAddr", |c| c.name_servers.join(";")),
    ("notifyConsumerIdsChangedEnable", |c| c.notify_ids_changed.to_string()),
    ("regionId", |c| c.region.clone()),
    ("registerNameServerPeriod", |c| c.register_interval.as_millis().to_string()),
    ("rejectTransactionMessage", |c| c.transactions.reject.to_string()),
    ("serverChannelMaxIdleTimeSeconds", |c| c.idle_limit.as_secs().to_string()),
    ("shortPollingTimeMills", |c| c.short_polling.as_millis().to_string()),
    ("slaveReadEnable", |c| c.slave_read.to_string()),
    ("startAcceptSendRequestTimeStamp", |c| c.accept_sends_from_ms.to_string()),
    ("storePathCommitLog", |c| c.layout().commit_log.display().to_string()),
    ("storePathRootDir", |c| c.data.display().to_string()),
    ("storeReplyMessageEnable", |c| c.store_replies.to_string()),
    ("timerMaxDelaySec", |c| c.timers.max.as_secs().to_string()),
    ("timerWheelEnable", |c| c.timers.enabled.to_string()),
    ("traceOn", |c| c.trace_on.to_string()),
    ("traceTopicEnable", |c| c.trace_topic.to_string()),
    ("transactionCheckInterval", |c| c.transactions.check_interval.as_millis().to_string()),
    ("transactionCheckMax", |c| c.transactions.check_max.to_string()),
    ("transactionTimeOut", |c| c.transactions.timeout.as_millis().to_string()),
];

/// What is not set here, but read by tools: mqadmin's exports fail where one of these is missing. There is one thread of
/// callbacks for each processor in Java, and that is what the export of metrics takes for their number.
#[rustfmt::skip]
const FIXED: &[(&str, Show)] = &[
    ("clientCallbackExecutorThreads", |_| std::thread::available_parallelism().map_or(1, usize::from).to_string()),
    ("filterServerNums", |_| "0".to_owned()),
    ("useTLS", |_| "false".to_owned()),
];

/// All of them, one `key=value` on each line.
pub(super) fn text(config: &BrokerConfig) -> String {
    let told = VALUES.iter().chain(FIXED);
    let lines = told.map(|(key, show)| format!("{key}={}\n", show(config)));
    // Told only where it is asked for: to name a ratio is to ask for it.
    let ratio = Some(config.retention.disk_percent).filter(|percent| *percent > 0);
    let ratio = ratio.map(|percent| format!("diskMaxUsedSpaceRatio={percent}\n"));
    lines.chain(ratio).collect()
}

fn flush(mode: FlushMode) -> &'static str {
    match mode {
        FlushMode::Sync => "SYNC_FLUSH",
        FlushMode::Async => "ASYNC_FLUSH",
    }
}

#[cfg(test)]
mod tests {
    use super::super::broker_conf::Contents;
    use super::super::error::Place;
    use super::super::setting::Draft;
    use super::*;

    #[test]
    fn what_is_told_reads_back_as_the_settings_in_force() {
        let config = BrokerConfig {
            name_servers: vec!["10.0.0.1:9876".to_owned(), "10.0.0.2:9876".to_owned()],
            port: 10_911,
            segment_bytes: Some(1 << 20),
            trace_on: false,
            flush: FlushMode::Async,
            ..BrokerConfig::default()
        };
        let told = text(&config);
        let contents = Contents::read(&told, |line| Place::Request { line }, false).unwrap();
        let mut draft = Draft::default();
        contents.given.iter().for_each(|given| given.apply(&mut draft).unwrap());
        draft.config.announce = draft.announce.unwrap();
        assert_eq!(text(&draft.config), told);
        assert!(told.contains("flushDiskType=ASYNC_FLUSH\n") && told.contains("traceOn=false\n"));
    }

    #[test]
    fn what_mqadmins_exports_cannot_do_without_is_told() {
        let told = text(&BrokerConfig::default());
        let keys: Vec<&str> = told.lines().filter_map(|line| line.split('=').next()).collect();
        for key in [
            "autoCreateSubscriptionGroup",
            "autoCreateTopicEnable",
            "brokerClusterName",
            "brokerId",
            "brokerName",
            "brokerRole",
            "clientCallbackExecutorThreads",
            "fileReservedTime",
            "filterServerNums",
            "flushDiskType",
            "maxMessageSize",
            "messageDelayLevel",
            "msgTraceTopicName",
            "slaveReadEnable",
            "traceOn",
            "traceTopicEnable",
            "useTLS",
        ] {
            assert!(keys.contains(&key), "{key} of {keys:?}");
        }
    }
}
