//! The broker's runtime information (code 28): what `mqadmin brokerStatus` and dashboards show. All values are texts.

use cuemq_net::body::{Body, KvTable};
use cuemq_net::dialect::Style;

use crate::io::state::{BrokerSide, IoState};

/// The release that this broker stands for, and its number, as tools print them.
const VERSION_NAME: &str = "V4_9_8";

/// The body of the answer; `earliest` is when the oldest message was stored.
pub(super) fn body(io: &IoState, side: &BrokerSide, earliest: Option<i64>) -> Vec<u8> {
    let mut table = KvTable::default();
    let mut put = |key: &str, value: String| drop(table.table.insert(key.to_owned(), value));
    let uptime_s = io.clock.monotonic().as_secs();
    let now_ms = io.clock.now_ms();
    put("brokerVersionDesc", VERSION_NAME.to_owned());
    put("brokerVersion", cuemq_net::version::Version::CUEMQ.0.to_string());
    put("bootTimestamp", now_ms.saturating_sub(uptime_s * 1000).to_string());
    let (days, hours, minutes, seconds) = (
        uptime_s / 86_400,
        uptime_s / 3600 % 24,
        uptime_s / 60 % 60,
        uptime_s % 60,
    );
    put(
        "runtime",
        format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]"),
    );
    put("commitLogMinOffset", side.log.minimum().to_string());
    put("commitLogMaxOffset", side.log.visible().to_string());
    put("dispatchBehindBytes", dispatch_behind(side).to_string());
    let behind = side.log.visible().0.saturating_sub(side.log.durable().0);
    put("remainHowManyDataToFlush", format!("{behind} B"));
    let (received, delivered) = (io.metrics.messages_in.get(), io.metrics.messages_out.get());
    put("msgPutTotalTodayNow", received.to_string());
    put("msgGetTotalTodayNow", delivered.to_string());
    for key in [
        "msgPutTotalYesterdayMorning",
        "msgPutTotalTodayMorning",
        "msgGetTotalYesterdayMorning",
        "msgGetTotalTodayMorning",
    ] {
        put(key, "0".to_owned());
    }
    let per_second = |count: u64| format!("{0:.1} {0:.1} {0:.1}", count as f64 / uptime_s.max(1) as f64);
    put("putTps", per_second(received));
    for key in ["getFoundTps", "getTotalTps", "getTransferedTps"] {
        put(key, per_second(delivered));
    }
    put("getMissTps", per_second(0));
    put("putMessageTimesTotal", received.max(1).to_string());
    put("earliestMessageTimeStamp", earliest.unwrap_or(0).to_string());
    put("startAcceptSendRequestTimeStamp", side.gate.opens_at_ms().to_string());
    put("pageCacheLockTimeMills", "0".to_owned());
    for pool in ["send", "pull", "query"] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), "10000".to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    put("commitLogDiskRatio", disk_ratio(side));
    put("consumeQueueDiskRatio", disk_ratio(side));
    table.encode(Style::Fastjson)
}

/// How many bytes of the log, from the oldest record that a consume queue or the index has not taken yet.
fn dispatch_behind(side: &BrokerSide) -> u64 {
    let visible = side.log.visible();
    let mut oldest = side.index_backlog.behind.from().unwrap_or(visible);
    side.queues
        .for_each(|_, _, queue| oldest = oldest.min(queue.behind().from().unwrap_or(visible)));
    visible.0.saturating_sub(oldest.0)
}

fn disk_ratio(side: &BrokerSide) -> String {
    format!("{:.4}", side.gate.used_ratio())
}
