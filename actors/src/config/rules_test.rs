//! The rules of gathering settings, over sample files: each one goes through the disk, as the program reads it.

use std::io::IoSlice;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuemq_storage::disk::{Disk, MemoryDisk, OpenMode};
use cuemq_storage::index::Layout as IndexLayout;
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::recovery::DEFAULT_SEGMENT_BYTES;

use super::file::{Flags, Outside, Settings};
use super::given::Note;
use super::{BrokerConfig, FilterConfig, RetentionConfig, SlowConsumers};

const SINGLE: &str = include_str!("../../testdata/config/single.conf");
const ASYNC_MASTER: &str = include_str!("../../testdata/config/2m-2s-async-master.properties");
const ASYNC_SLAVE: &str = include_str!("../../testdata/config/2m-2s-async-slave.properties");
const SYNC_MASTER: &str = include_str!("../../testdata/config/2m-2s-sync-master.properties");
const TUNED: &str = include_str!("../../testdata/config/tuned.conf");
pub(super) const NAMESRV: &str = include_str!("../../testdata/config/namesrv.conf");
const TOML: &str = include_str!("../../testdata/config/cuemq.toml");

pub(super) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn local() -> Option<IpAddr> {
    Some(address("10.9.8.7"))
}

/// Gathers from `text` in a file of this name, and `flags`.
pub(super) fn gather_on(name: &str, text: &str, flags: Flags, name_server_only: bool) -> Result<Settings, String> {
    let disk = MemoryDisk::new(1);
    let file = disk.open(Path::new(name), OpenMode::Create).unwrap();
    file.write_at(&[IoSlice::new(text.as_bytes())], 0).unwrap();
    let flags = Flags {
        file: Some(PathBuf::from(name)),
        ..flags
    };
    let outside = Outside {
        disk: &disk,
        local_address: local,
    };
    Settings::from_outside(&flags, name_server_only, &outside).map_err(|error| error.to_string())
}

pub(super) fn conf(text: &str) -> Result<Settings, String> {
    gather_on("broker.conf", text, Flags::default(), false)
}

pub(super) fn toml(text: &str) -> Result<Settings, String> {
    gather_on("cuemq.toml", text, Flags::default(), false)
}

/// Gathers from flags alone, on a machine without an address.
pub(super) fn flags(flags: Flags) -> Result<Settings, String> {
    let disk = MemoryDisk::new(1);
    let outside = Outside {
        disk: &disk,
        local_address: || None,
    };
    Settings::from_outside(&flags, false, &outside).map_err(|error| error.to_string())
}

pub(super) fn warnings(settings: &Settings) -> Vec<&str> {
    let texts = settings.notes.iter().filter_map(|note| match note {
        Note::Warning(text) => Some(text.as_str()),
        Note::Info(_) => None,
    });
    texts.collect()
}

pub(super) fn infos(settings: &Settings) -> Vec<&str> {
    let texts = settings.notes.iter().filter_map(|note| match note {
        Note::Info(text) => Some(text.as_str()),
        Note::Warning(_) => None,
    });
    texts.collect()
}

/// The setting's line in the table, its columns parted by `|`.
pub(super) fn row(settings: &Settings, name: &str) -> String {
    let table = settings.table(false);
    let line = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name))
        .unwrap();
    let columns: Vec<&str> = line
        .split("  ")
        .map(str::trim)
        .filter(|column| !column.is_empty())
        .collect();
    columns.join("|")
}

#[test]
fn nothing_given_means_the_defaults() {
    let config = flags(Flags::default()).unwrap().into_config();
    assert_eq!(format!("{config:?}"), format!("{:?}", BrokerConfig::default()));
}

/// The numbers stand here once more: nothing else notices when a constant that they come from is changed.
#[test]
fn without_settings_the_files_have_rocketmqs_sizes() {
    let layout = flags(Flags::default()).unwrap().into_config().layout();
    assert_eq!(
        layout.segment_bytes, None,
        "that of the files that are there, or the default"
    );
    assert_eq!(DEFAULT_SEGMENT_BYTES, 1_073_741_824);
    assert_eq!(layout.queue_file_bytes, 6_000_000);
    assert_eq!(layout.index, IndexLayout::new(5_000_000, 20_000_000));
    assert_eq!(layout.index.map(|index| index.file_bytes()), Some(420_000_040));
}

#[test]
fn every_setting_of_the_sample_toml_takes_effect() {
    let config = toml(TOML).unwrap().into_config();
    let tuned = BrokerConfig {
        data: "/srv/cuemq".into(),
        queue_file_bytes: 3_000_000,
        listen: address("0.0.0.0"),
        name_server_port: 19_876,
        kv_config: Some("/srv/cuemq/kv.json".into()),
        order_messages: true,
        cluster_test: true,
        product_environment: "shop".into(),
        register_interval: Duration::from_secs(60),
        flush: FlushMode::Async,
        free_bytes: 2 << 30,
        checkpoint_interval: Duration::from_secs(3),
        connections_max: 100,
        retention: RetentionConfig {
            max_bytes: 20 << 30,
            ..tuned().retention
        },
        in_flight_bytes: 16 << 20,
        slow_consumers: SlowConsumers {
            interval: Duration::from_secs(60),
            ..tuned().slow_consumers
        },
        ..tuned()
    };
    assert_eq!(format!("{config:?}"), format!("{tuned:?}"));
}

/// What the sample with all of RocketMQ's keys says.
fn tuned() -> BrokerConfig {
    BrokerConfig {
        data: "/srv/rocketmq/store".into(),
        commit_log: Some("/srv/fast/commitlog".into()),
        listen: address("0.0.0.0"),
        announce: address("10.0.0.7"),
        port: 20_911,
        name_servers: vec!["ns-1:9876".into(), "ns-2:9876".into()],
        ask_address_server: true,
        address_server: "here:80".into(),
        address_server_page: "names".into(),
        cluster_name: "orders".into(),
        broker_name: "broker-b".into(),
        permission: 4,
        default_topic_queue_nums: 16,
        auto_create_topic: false,
        auto_create_group: false,
        flush: FlushMode::Sync,
        flush_interval: Duration::from_millis(250),
        segment_bytes: Some(512 << 20),
        queue_file_bytes: 3_000_020,
        queue_extension: true,
        extension_file_bytes: 16 << 20,
        index: IndexLayout::new(1000, 4000),
        check_crc: false,
        max_message_size: 65_536,
        region: "north".into(),
        trace_on: false,
        store_replies: false,
        trace_topic: false,
        trace_topic_name: "TRACES".into(),
        long_polling: false,
        slave_read: true,
        short_polling: Duration::from_millis(200),
        filters: FilterConfig {
            sql: true,
            on_retry: true,
            bitmaps: true,
            error_percent: 10,
            groups: 64,
            keep_dead: Duration::from_secs(3600),
        },
        offsets_interval: Duration::from_secs(1),
        queue_lock_time: Duration::from_secs(30),
        slow_consumers: SlowConsumers {
            disable: true,
            most_behind: 1 << 30,
            ..SlowConsumers::default()
        },
        register_interval: Duration::from_secs(10),
        notify_ids_changed: false,
        accept_sends_from_ms: 1_530_000_000_000,
        idle_limit: Duration::from_secs(60),
        retention: RetentionConfig {
            age: Duration::from_secs(48 * 3600),
            hours: "02;14".parse().unwrap(),
            max_bytes: 0,
            disk_percent: 80,
            forced: false,
            forced_percent: 90,
            interval: Duration::from_secs(30),
            pause: Duration::from_millis(200),
        },
        ..BrokerConfig::default()
    }
}

#[test]
fn every_key_of_rocketmq_with_an_effect_takes_it() {
    let settings = conf(TUNED).unwrap();
    assert_eq!(warnings(&settings), [""; 0]);
    assert_eq!(
        infos(&settings),
        [
            "broker.conf:21: mappedFileSizeConsumeQueue = 3000001 is rounded up to 3000020, as in RocketMQ",
            "broker.conf:37: registerNameServerPeriod = 5000 is brought to 10s, as in RocketMQ",
        ]
    );
    assert_eq!(format!("{:?}", settings.into_config()), format!("{:?}", tuned()));
}

#[test]
fn both_spellings_of_a_file_size_are_taken() {
    for (spelling, other) in [("maped", "mapped"), ("mapped", "maped")] {
        let text = format!("{spelling}FileSizeCommitLog=8388608\n{other}FileSizeConsumeQueue=6000");
        let config = conf(&text).unwrap().into_config();
        assert_eq!((config.segment_bytes, config.queue_file_bytes), (Some(8 << 20), 6000));
    }
}

#[test]
fn a_key_given_twice_counts_as_it_comes_last() {
    let both = conf("mapedFileSizeCommitLog=8388608\nmappedFileSizeCommitLog=8388608").unwrap();
    assert!(!warnings(&both).iter().any(|text| text.contains("FileSize")));
    let differing = conf("mapedFileSizeCommitLog=8388608\nmappedFileSizeCommitLog=16777216").unwrap();
    let warning = "broker.conf:2: mappedFileSizeCommitLog = 16777216 counts, not what broker.conf:1 says";
    assert!(warnings(&differing).contains(&warning));
    assert_eq!(differing.into_config().segment_bytes, Some(16 << 20));
}

#[test]
fn a_broker_conf_listens_everywhere_and_announces_this_machine() {
    let settings = conf(SINGLE).unwrap();
    assert_eq!(
        row(&settings, "listen"),
        "listen|0.0.0.0|all interfaces, as in RocketMQ"
    );
    assert_eq!(
        row(&settings, "announce"),
        "announce|10.9.8.7|this machine's address, as brokerIP1 is absent"
    );
    let config = conf(ASYNC_MASTER).unwrap().into_config();
    assert_eq!(
        (config.listen, config.announce),
        (address("0.0.0.0"), address("10.0.0.12"))
    );
    assert_eq!(config.name_servers, ["10.0.0.1:9876", "10.0.0.2:9876"]);
}

#[test]
fn a_broker_conf_on_a_machine_without_address_asks_for_one() {
    let disk = MemoryDisk::new(1);
    drop(disk.open(Path::new("broker.conf"), OpenMode::Create).unwrap());
    let outside = Outside {
        disk: &disk,
        local_address: || None,
    };
    let given = Flags {
        file: Some("broker.conf".into()),
        ..Flags::default()
    };
    let error = Settings::from_outside(&given, false, &outside).unwrap_err().to_string();
    assert!(error.contains("set brokerIP1"), "{error}");
}

#[test]
fn flush_disk_type_absent_means_sync_and_says_so() {
    let settings = conf("brokerName=broker-a\nstorePathRootDir=/s\nstorePathCommitLog=/s/commitlog").unwrap();
    assert_eq!(infos(&settings).len(), 1);
    assert!(infos(&settings)[0].starts_with("flushDiskType is absent, which means SYNC_FLUSH here"));
    assert_eq!(settings.into_config().flush, FlushMode::Sync);
}

#[test]
fn async_flush_written_out_means_async() {
    let settings = conf(SINGLE).unwrap();
    assert!(!infos(&settings).iter().any(|text| text.contains("flushDiskType")));
    assert_eq!(settings.into_config().flush, FlushMode::Async);
}

#[test]
fn a_known_key_without_effect_gets_one_line() {
    let settings = conf("haTransferBatchSize=32768\nsendMessageThreadPoolNums=16").unwrap();
    assert!(warnings(&settings).contains(&"broker.conf:1: haTransferBatchSize has no effect here yet"));
    let foreign =
        "broker.conf:2: sendMessageThreadPoolNums has no effect here: threads, buffers and files are this broker's own";
    assert!(infos(&settings).contains(&foreign));
}

#[test]
fn a_ratio_of_the_disk_is_in_force_only_where_it_is_written_out() {
    let percent = |text: &str| conf(text).unwrap().into_config().retention.disk_percent;
    assert_eq!(percent("cleanFileForciblyEnable=true\nfileReservedTime=48"), 0);
    assert_eq!(percent("diskMaxUsedSpaceRatio=5"), 10, "as in RocketMQ");
    assert!(conf("deleteWhen=25").unwrap_err().ends_with("such as 04 or 02;14"));
}

#[test]
fn an_unknown_key_of_a_broker_conf_warns_with_the_nearest() {
    let settings = conf("brokerNmae=broker-b\ncolour=blue").unwrap();
    let lines = warnings(&settings);
    assert!(lines.contains(&"broker.conf:1: there is no key brokerNmae in RocketMQ: did you mean brokerName?"));
    assert!(lines.contains(&"broker.conf:2: there is no key colour in RocketMQ: it has no effect"));
}

#[test]
fn a_bad_value_is_an_error_with_its_line_and_what_is_allowed() {
    let cases = [
        (
            "listenPort=abc",
            "listenPort = abc cannot be used: write a whole number",
        ),
        (
            "listenPort=70000",
            "listenPort = 70000 cannot be used: write a whole number from 0 to 65535",
        ),
        (
            "autoCreateTopicEnable=yes",
            "autoCreateTopicEnable = yes cannot be used: write true or false",
        ),
        (
            "flushIntervalCommitLog=1s",
            "flushIntervalCommitLog = 1s cannot be used: write a whole number from 0 to 4294967295",
        ),
        (
            "brokerIP1=localhost",
            "brokerIP1 = localhost cannot be used: write an IP address such as 127.0.0.1",
        ),
        (
            "flushDiskType=async",
            "flushDiskType = async cannot be used: write SYNC_FLUSH (acknowledged means on disk) or ASYNC_FLUSH (in memory)",
        ),
        (
            "brokerRole=MASTER",
            "brokerRole = MASTER cannot be used: write ASYNC_MASTER",
        ),
        ("brokerId=one", "brokerId = one cannot be used: write a whole number"),
        ("aclEnable=1", "aclEnable = 1 cannot be used: write true or false"),
        (
            "brokerName=",
            "brokerName =  cannot be used: write a value, or leave the line out",
        ),
        (
            "namesrvAddr=here",
            "namesrvAddr = here cannot be used: write addresses as host:port, several with ; between them",
        ),
        (
            "brokerName=\\u00",
            "\\u begins a letter by its number: write four hexadecimal digits after it, or \\\\ for a backslash",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(
            conf(&format!("\n{line}")).unwrap_err(),
            format!("broker.conf:2: {expected}")
        );
    }
    assert_eq!(
        toml("\n[store]\nsegment_bytes = \"1 M\"").unwrap_err(),
        "cuemq.toml:3: store.segment_bytes = \"1 M\" cannot be used: write a size such as 65536, 64 KiB, 256 MiB or 1 GiB"
    );
    assert!(
        toml("flush = \"fast\"")
            .unwrap_err()
            .starts_with("cuemq.toml:1: flush = \"fast\" cannot be used: write \"sync\"")
    );
}

#[test]
fn roles_that_need_replication_are_refused_by_name() {
    for text in [ASYNC_SLAVE, SYNC_MASTER] {
        let error = conf(text).unwrap_err();
        assert!(
            error.contains("is not supported: there is no replication yet"),
            "{error}"
        );
    }
}

#[test]
fn access_control_that_is_asked_for_is_never_left_out_silently() {
    let error = conf("aclEnable=true").unwrap_err();
    assert!(error.contains("aclEnable = true is not supported"), "{error}");
    assert!(conf("aclEnable=false").is_ok());
}

#[test]
fn a_masters_id_is_0() {
    let settings = conf("brokerId=3").unwrap();
    assert!(infos(&settings)[0].starts_with("broker.conf:1: brokerId = 3 has no effect here"));
    assert_eq!(settings.into_config().broker_id, 0);
}

#[test]
fn a_message_size_beyond_a_frame_is_brought_down_for_rocketmq_and_refused_for_us() {
    let settings = conf("maxMessageSize=67108864").unwrap();
    assert!(warnings(&settings)[0].contains("the most that a frame carries"));
    assert!(settings.into_config().max_message_size < 16 << 20);
    assert!(
        toml("[limits]\nmessage_bytes = \"64 MiB\"")
            .unwrap_err()
            .contains("limits.message_bytes")
    );
}

#[test]
fn messages_that_no_commit_log_file_holds_are_spoken_of() {
    let settings = conf("mappedFileSizeCommitLog=1048576").unwrap();
    let said = "messages of more than 1048568 bytes are refused";
    assert!(warnings(&settings).iter().any(|text| text.starts_with(said)));
}
