//! [`SETTINGS`]: every setting by its name, how it is read and how it is shown. The settings file, the flags and
//! `cuemq server -p` all go through this one list; the defaults are [`BrokerConfig`]'s.

use std::net::IpAddr;
use std::time::Duration;

use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::retention::{Hours, NoHours};

use super::BrokerConfig;
use super::size::ByteSize;
use super::tls;
use super::value::{Read, Value, Wrong};

/// The most that a length or count can be in RocketMQ's files, whose numbers are Java's.
const JAVA_INT: i64 = i32::MAX as i64;

/// The settings while they are gathered: a [`BrokerConfig`] and what only settles at the end.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: BrokerConfig,
    /// `None` until it is given, since its default depends on `listen`.
    pub(super) announce: Option<IpAddr>,
    /// With the two sizes below, what [`BrokerConfig::index`] is made of.
    pub(super) with_index: bool,
    pub(super) index_slots: u32,
    pub(super) index_entries: u32,
}

impl Draft {
    /// The settings of a broker that runs.
    pub(super) fn of(config: BrokerConfig) -> Self {
        Self {
            announce: Some(config.announce),
            config,
            ..Self::default()
        }
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            config: BrokerConfig::default(),
            announce: None,
            with_index: true,
            index_slots: 5_000_000,
            index_entries: 20_000_000,
        }
    }
}

/// What a name server without broker has a use for.
const FOR_NAME_SERVER: [&str; 19] = [
    "data",
    "listen",
    "http",
    "name_server.port",
    "name_server.kv_config",
    "name_server.order_messages",
    "name_server.cluster_test",
    "name_server.product_environment",
    "name_server.address_server",
    "name_server.address_server_page",
    "limits.idle",
    "limits.connections",
    "tls.mode",
    "tls.self_signed",
    "tls.cert",
    "tls.key",
    "tls.key_password",
    "tls.client_auth",
    "tls.trust",
];

/// One setting.
pub(super) struct Setting {
    /// Its name in our own settings file, with the section before the dot.
    pub(super) name: &'static str,
    /// Takes a value, or says what it takes.
    pub(super) set: fn(&mut Draft, &Value) -> Read<()>,
    /// The value in force.
    pub(super) show: fn(&Draft) -> String,
}

impl Setting {
    /// Whether a name server without broker has a use for it.
    pub(super) fn is_for_name_server(&self) -> bool {
        FOR_NAME_SERVER.contains(&self.name)
    }

    /// What may be said of a value that was written for it.
    pub(super) fn shown<'a>(&self, written: &'a str) -> &'a str {
        if self.name.ends_with("password") {
            "(hidden)"
        } else {
            written
        }
    }
}

/// The setting of a name that this program gives.
pub(super) fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn setting(name: &'static str, set: fn(&mut Draft, &Value) -> Read<()>, show: fn(&Draft) -> String) -> Setting {
    Setting { name, set, show }
}

/// All settings, by topic.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting("data", |d, v| put(&mut d.config.data, v.text().map(Into::into)), |d| d.config.data.display().to_string()),
    setting("listen", |d, v| put(&mut d.config.listen, v.address()), |d| d.config.listen.to_string()),
    setting("announce", |d, v| put(&mut d.announce, v.address().map(Some)), |d| d.config.announce.to_string()),
    setting("port", |d, v| put(&mut d.config.port, port(v)), |d| d.config.port.to_string()),
    setting("http", |d, v| put(&mut d.config.http, v.socket_address()), |d| d.config.http.map_or_else(|| "off".to_owned(), |at| at.to_string())),
    setting("flush", |d, v| put(&mut d.config.flush, flush(v)), |d| flush_name(d.config.flush).to_owned()),
    setting("flush_interval", |d, v| put(&mut d.config.flush_interval, v.span()), |d| span(d.config.flush_interval)),
    setting("name_server.port", |d, v| put(&mut d.config.name_server_port, port(v)), |d| d.config.name_server_port.to_string()),
    setting("name_server.kv_config", |d, v| put(&mut d.config.kv_config, v.text().map(|path| Some(path.into()))), |d| d.config.kv_config_path().display().to_string()),
    setting("name_server.order_messages", |d, v| put(&mut d.config.order_messages, v.truth()), |d| d.config.order_messages.to_string()),
    setting("name_server.cluster_test", |d, v| put(&mut d.config.cluster_test, v.truth()), |d| d.config.cluster_test.to_string()),
    setting("name_server.product_environment", |d, v| put(&mut d.config.product_environment, v.path_part()), |d| d.config.product_environment.clone()),
    setting("name_server.addresses", |d, v| put(&mut d.config.name_servers, v.peers()), |d| d.config.name_servers.join(";")),
    setting("name_server.ask_address_server", |d, v| put(&mut d.config.ask_address_server, v.truth()), |d| d.config.ask_address_server.to_string()),
    setting("name_server.address_server", |d, v| put(&mut d.config.address_server, v.host()), |d| d.config.address_server.clone()),
    setting("name_server.address_server_page", |d, v| put(&mut d.config.address_server_page, v.path_part()), |d| d.config.address_server_page.clone()),
    setting("name_server.register_interval", |d, v| put(&mut d.config.register_interval, v.span()), |d| span(d.config.register_interval)),
    setting("broker.name", |d, v| put(&mut d.config.broker_name, v.text()), |d| d.config.broker_name.clone()),
    setting("broker.cluster", |d, v| put(&mut d.config.cluster_name, v.text()), |d| d.config.cluster_name.clone()),
    setting("broker.id", |d, v| put(&mut d.config.broker_id, v.integer(0..=i64::MAX)), |d| d.config.broker_id.to_string()),
    setting("broker.permission", |d, v| put(&mut d.config.permission, v.integer(0..=7)), |d| d.config.permission.to_string()),
    setting("broker.region", |d, v| put(&mut d.config.region, v.text()), |d| d.config.region.clone()),
    setting("broker.trace", |d, v| put(&mut d.config.trace_on, v.truth()), |d| d.config.trace_on.to_string()),
    setting("broker.accept_sends_from_ms", |d, v| put(&mut d.config.accept_sends_from_ms, v.integer(0..=i64::MAX)), |d| d.config.accept_sends_from_ms.to_string()),
    setting("topics.auto_create", |d, v| put(&mut d.config.auto_create_topic, v.truth()), |d| d.config.auto_create_topic.to_string()),
    setting("topics.default_queue_nums", |d, v| put(&mut d.config.default_topic_queue_nums, v.integer(1..=65_535)), |d| d.config.default_topic_queue_nums.to_string()),
    setting("topics.trace", |d, v| put(&mut d.config.trace_topic, v.truth()), |d| d.config.trace_topic.to_string()),
    setting("topics.trace_name", |d, v| put(&mut d.config.trace_topic_name, v.text()), |d| d.config.trace_topic_name.clone()),
    setting("topics.store_replies", |d, v| put(&mut d.config.store_replies, v.truth()), |d| d.config.store_replies.to_string()),
    setting("groups.auto_create", |d, v| put(&mut d.config.auto_create_group, v.truth()), |d| d.config.auto_create_group.to_string()),
    setting("groups.notify_changes", |d, v| put(&mut d.config.notify_ids_changed, v.truth()), |d| d.config.notify_ids_changed.to_string()),
    setting("groups.disable_slow", |d, v| put(&mut d.config.slow_consumers.disable, v.truth()), |d| d.config.slow_consumers.disable.to_string()),
    setting("groups.slow_bytes", |d, v| put(&mut d.config.slow_consumers.most_behind, v.bytes()), |d| bytes(d.config.slow_consumers.most_behind)),
    setting("groups.slow_interval", |d, v| put(&mut d.config.slow_consumers.interval, v.span()), |d| span(d.config.slow_consumers.interval)),
    setting("groups.lock_time", |d, v| put(&mut d.config.queue_lock_time, v.span()), |d| span(d.config.queue_lock_time)),
    setting("groups.offsets_interval", |d, v| put(&mut d.config.offsets_interval, v.span()), |d| span(d.config.offsets_interval)),
    setting("pulls.long_polling", |d, v| put(&mut d.config.long_polling, v.truth()), |d| d.config.long_polling.to_string()),
    setting("pulls.short_polling", |d, v| put(&mut d.config.short_polling, v.span()), |d| span(d.config.short_polling)),
    setting("pulls.slave_read", |d, v| put(&mut d.config.slave_read, v.truth()), |d| d.config.slave_read.to_string()),
    setting("pulls.hot_bytes", |d, v| put(&mut d.config.hot_bytes, v.bytes()), |d| bytes(d.config.hot_bytes)),
    setting("filters.sql", |d, v| put(&mut d.config.filters.sql, v.truth()), |d| d.config.filters.sql.to_string()),
    setting("filters.on_retry", |d, v| put(&mut d.config.filters.on_retry, v.truth()), |d| d.config.filters.on_retry.to_string()),
    setting("filters.bitmaps", |d, v| put(&mut d.config.filters.bitmaps, v.truth()), |d| d.config.filters.bitmaps.to_string()),
    setting("filters.error_percent", |d, v| put(&mut d.config.filters.error_percent, v.integer(1..=99)), |d| d.config.filters.error_percent.to_string()),
    setting("filters.groups", |d, v| put(&mut d.config.filters.groups, v.integer(1..=JAVA_INT)), |d| d.config.filters.groups.to_string()),
    setting("filters.keep_dead", |d, v| put(&mut d.config.filters.keep_dead, v.span()), |d| span(d.config.filters.keep_dead)),
    setting("store.commit_log", |d, v| put(&mut d.config.commit_log, v.text().map(|path| Some(path.into()))), commit_log),
    setting("store.segment_bytes", |d, v| put(&mut d.config.segment_bytes, v.bytes().map(Some)), segment_bytes),
    setting("store.queue_file_bytes", |d, v| put(&mut d.config.queue_file_bytes, v.bytes()), |d| bytes(d.config.queue_file_bytes)),
    setting("store.queue_extension", |d, v| put(&mut d.config.queue_extension, v.truth()), |d| d.config.queue_extension.to_string()),
    setting("store.extension_file_bytes", |d, v| put(&mut d.config.extension_file_bytes, v.bytes()), |d| bytes(d.config.extension_file_bytes)),
    setting("store.index", |d, v| put(&mut d.with_index, v.truth()), |d| d.with_index.to_string()),
    setting("store.index_slots", |d, v| put(&mut d.index_slots, v.integer(1..=JAVA_INT)), |d| d.index_slots.to_string()),
    setting("store.index_entries", |d, v| put(&mut d.index_entries, v.integer(2..=JAVA_INT)), |d| d.index_entries.to_string()),
    setting("store.check_crc", |d, v| put(&mut d.config.check_crc, v.truth()), |d| d.config.check_crc.to_string()),
    setting("store.free_bytes", |d, v| put(&mut d.config.free_bytes, v.bytes()), |d| bytes(d.config.free_bytes)),
    setting("store.checkpoint_interval", |d, v| put(&mut d.config.checkpoint_interval, v.span()), |d| span(d.config.checkpoint_interval)),
    setting("log.slow_send", |d, v| put(&mut d.config.slow.send, v.span()), |d| span(d.config.slow.send)),
    setting("log.slow_flush", |d, v| put(&mut d.config.slow.flush, v.span()), |d| span(d.config.slow.flush)),
    setting("log.slow_read", |d, v| put(&mut d.config.slow.read, v.span()), |d| span(d.config.slow.read)),
    setting("delays.levels", |d, v| put(&mut d.config.delay_levels, levels(v)), |d| d.config.delay_levels.to_string()),
    setting("delays.save_interval", |d, v| put(&mut d.config.delays_interval, v.span()), |d| span(d.config.delays_interval)),
    setting("delays.timers", |d, v| put(&mut d.config.timers.enabled, v.truth()), |d| d.config.timers.enabled.to_string()),
    setting("delays.timer_max", |d, v| put(&mut d.config.timers.max, v.span()), |d| span(d.config.timers.max)),
    setting("transactions.reject", |d, v| put(&mut d.config.transactions.reject, v.truth()), |d| d.config.transactions.reject.to_string()),
    setting("transactions.timeout", |d, v| put(&mut d.config.transactions.timeout, v.span()), |d| span(d.config.transactions.timeout)),
    setting("transactions.check_interval", |d, v| put(&mut d.config.transactions.check_interval, v.span()), |d| span(d.config.transactions.check_interval)),
    setting("transactions.check_max", |d, v| put(&mut d.config.transactions.check_max, v.integer(0..=JAVA_INT)), |d| d.config.transactions.check_max.to_string()),
    setting("retention.age", |d, v| put(&mut d.config.retention.age, v.span()), |d| span(d.config.retention.age)),
    setting("retention.hours", |d, v| put(&mut d.config.retention.hours, hours(v)), |d| d.config.retention.hours.to_string()),
    setting("retention.max_bytes", |d, v| put(&mut d.config.retention.max_bytes, v.bytes()), |d| bytes(d.config.retention.max_bytes)),
    setting("retention.disk_percent", |d, v| put(&mut d.config.retention.disk_percent, v.integer(0..=95)), |d| d.config.retention.disk_percent.to_string()),
    setting("retention.forced", |d, v| put(&mut d.config.retention.forced, v.truth()), |d| d.config.retention.forced.to_string()),
    setting("retention.forced_percent", |d, v| put(&mut d.config.retention.forced_percent, v.integer(1..=100)), |d| d.config.retention.forced_percent.to_string()),
    setting("retention.interval", |d, v| put(&mut d.config.retention.interval, v.span()), |d| span(d.config.retention.interval)),
    setting("retention.pause", |d, v| put(&mut d.config.retention.pause, v.span()), |d| span(d.config.retention.pause)),
    setting("limits.message_bytes", |d, v| put(&mut d.config.max_message_size, v.bytes()), |d| bytes(d.config.max_message_size.into())),
    setting("limits.idle", |d, v| put(&mut d.config.idle_limit, v.span()), |d| span(d.config.idle_limit)),
    setting("limits.connections", |d, v| put(&mut d.config.connections_max, v.integer(1..=JAVA_INT)), |d| d.config.connections_max.to_string()),
    setting("limits.in_flight_bytes", |d, v| put(&mut d.config.in_flight_bytes, v.bytes()), |d| bytes(d.config.in_flight_bytes as u64)),
    setting("tls.mode", |d, v| put(&mut d.config.tls.mode, tls::mode(v)), |d| tls::mode_name(d.config.tls.mode)),
    setting("tls.self_signed", |d, v| put(&mut d.config.tls.self_signed, v.truth()), |d| d.config.tls.self_signed.to_string()),
    setting("tls.cert", |d, v| put(&mut d.config.tls.pair.cert, tls::path(v)), |d| tls::path_name(&d.config.tls.pair.cert)),
    setting("tls.key", |d, v| put(&mut d.config.tls.pair.key, tls::path(v)), |d| tls::path_name(&d.config.tls.pair.key)),
    setting("tls.key_password", |d, v| put(&mut d.config.tls.pair.key_password, tls::password(v)), |d| tls::password_name(&d.config.tls.pair.key_password)),
    setting("tls.client_auth", |d, v| put(&mut d.config.tls.client_auth, tls::client_auth(v)), |d| tls::client_auth_name(d.config.tls.client_auth)),
    setting("tls.trust", |d, v| put(&mut d.config.tls.trust, tls::path(v)), |d| tls::path_name(&d.config.tls.trust)),
    setting("tls_client.enable", |d, v| put(&mut d.config.tls_client.enable, v.truth().map(Some)), |d| d.config.tls_client.is_enabled(d.config.tls.mode).to_string()),
    setting("tls_client.cert", |d, v| put(&mut d.config.tls_client.pair.cert, tls::path(v)), |d| tls::path_name(&d.config.tls_client.pair.cert)),
    setting("tls_client.key", |d, v| put(&mut d.config.tls_client.pair.key, tls::path(v)), |d| tls::path_name(&d.config.tls_client.pair.key)),
    setting("tls_client.key_password", |d, v| put(&mut d.config.tls_client.pair.key_password, tls::password(v)), |d| tls::password_name(&d.config.tls_client.pair.key_password)),
    setting("tls_client.check", |d, v| put(&mut d.config.tls_client.check, v.truth().map(Some)), |d| d.config.tls_client.checks().to_string()),
    setting("tls_client.trust", |d, v| put(&mut d.config.tls_client.trust, tls::path(v)), |d| tls::path_name(&d.config.tls_client.trust)),
];

fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    *place = read?;
    Ok(())
}

fn port(value: &Value) -> Read<u16> {
    value.integer(0..=65_535)
}

fn hours(value: &Value) -> Read<Hours> {
    let written = match value {
        Value::Text(text) => text.parse(),
        _ => Err(NoHours),
    };
    written.map_err(|wrong| Wrong(wrong.to_string()))
}

fn levels(value: &Value) -> Read<DelayLevels> {
    let levels = DelayLevels::parse(&value.text()?).map_err(|wrong| Wrong(wrong.to_string()))?;
    match levels.highest() {
        0 => Err(Wrong("at least one delay, as in 1s 5s 10s".to_owned())),
        _ => Ok(levels),
    }
}

fn flush(value: &Value) -> Read<FlushMode> {
    match value.text().as_deref() {
        Ok("sync") => Ok(FlushMode::Sync),
        Ok("async") => Ok(FlushMode::Async),
        _ => Err(Wrong(
            "\"sync\" (acknowledged means on disk) or \"async\" (acknowledged means in memory)".to_owned(),
        )),
    }
}

fn flush_name(mode: FlushMode) -> &'static str {
    match mode {
        FlushMode::Sync => "sync",
        FlushMode::Async => "async",
    }
}

fn commit_log(draft: &Draft) -> String {
    let config = &draft.config;
    let path = config
        .commit_log
        .clone()
        .unwrap_or_else(|| config.data.join("commitlog"));
    path.display().to_string()
}

fn segment_bytes(draft: &Draft) -> String {
    let given = draft.config.segment_bytes.map(bytes);
    given.unwrap_or_else(|| "that of the files found, or 1 GiB".to_owned())
}

fn bytes(size: u64) -> String {
    ByteSize(size).to_string()
}

fn span(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Takes a shown value back: as a text, and where that is refused as a number or a truth.
    fn take(setting: &Setting, draft: &mut Draft, shown: &str) -> Read<()> {
        let number = shown.parse().map(Value::Integer).ok();
        let truth = shown.parse().map(Value::Truth).ok();
        let text = Value::Text(shown.to_owned());
        let typed = number.or(truth).unwrap_or_else(|| text.clone());
        (setting.set)(draft, &text).or_else(|_| (setting.set)(draft, &typed))
    }

    #[test]
    fn the_index_sizes_are_rocketmqs() {
        let draft = Draft::default();
        let layout = cuemq_storage::index::Layout::new(draft.index_slots, draft.index_entries);
        assert_eq!(layout, BrokerConfig::default().index);
    }

    #[test]
    fn names_are_unique_and_in_one_section_at_most() {
        let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), SETTINGS.len());
        assert!(names.iter().all(|name| name.matches('.').count() <= 1));
    }

    #[test]
    fn what_is_shown_can_be_set() {
        for setting in SETTINGS.iter().filter(|setting| setting.name != "store.segment_bytes") {
            let mut draft = Draft::default();
            let shown = (setting.show)(&draft);
            take(setting, &mut draft, &shown).unwrap_or_else(|wrong| panic!("{} = {shown}: {wrong:?}", setting.name));
            assert_eq!((setting.show)(&draft), shown, "{}", setting.name);
        }
    }

    #[test]
    fn each_setting_changes_what_it_shows_and_no_other_one() {
        // The announced address settles only at the end, two lie below the data, and two follow others about TLS.
        let follows = |name: &str| {
            let those = [
                "announce",
                "store.commit_log",
                "name_server.kv_config",
                "tls_client.enable",
                "tls_client.check",
            ];
            those.contains(&name)
        };
        let values = [
            Value::Text("sync".into()),
            Value::Text("async".into()),
            Value::Text("enforcing".into()),
            Value::Text("require".into()),
            Value::Text("10.1.2.3".into()),
            Value::Text("10.1.2.3:4".into()),
            Value::Text("7s".into()),
            Value::Text("02;14".into()),
            Value::Text("h:1".into()),
            Value::Text("1s 7d".into()),
            Value::Integer(3),
            Value::Truth(false),
            Value::Truth(true),
        ];
        for setting in SETTINGS.iter().filter(|setting| !follows(setting.name)) {
            let (before, mut after) = (Draft::default(), Draft::default());
            let changed = values.iter().any(|value| {
                (setting.set)(&mut after, value).is_ok() && (setting.show)(&after) != (setting.show)(&before)
            });
            assert!(changed, "{}", setting.name);
            for other in SETTINGS
                .iter()
                .filter(|other| other.name != setting.name && !follows(other.name))
            {
                assert_eq!(
                    (other.show)(&after),
                    (other.show)(&before),
                    "{} by {}",
                    other.name,
                    setting.name
                );
            }
        }
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        for setting in SETTINGS {
            let mut draft = Draft::default();
            assert!((setting.set)(&mut draft, &Value::Other).is_err(), "{}", setting.name);
            assert_eq!((setting.show)(&draft), (setting.show)(&Draft::default()));
        }
    }
}
