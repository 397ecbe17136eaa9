//! The broker's runtime information (code 28): what `mqadmin brokerStatus` and dashboards show. All values are texts.

use cuemq_net::body::{Body, KvTable};
use cuemq_net::dialect::Style;

use crate::io::state::{BrokerSide, IoState};
use crate::statistics::StoreFigures;

/// The release that this broker stands for, and its number, as tools print them.
const VERSION_NAME: &str = "V4_9_8";

/// The body of the answer; `earliest` is when the oldest message was stored.
pub(super) fn body(io: &IoState, side: &BrokerSide, earliest: Option<i64>, figures: &StoreFigures) -> Vec<u8> {
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
    put("remainHowManyDataToFlush", readable(behind));
    let totals = figures.totals;
    let (stored, delivered) = (totals.stored.messages, totals.delivered.messages);
    let [yesterday, today] = figures.mornings;
    put("msgPutTotalYesterdayMorning", yesterday.0.to_string());
    put("msgPutTotalTodayMorning", today.0.to_string());
    put("msgPutTotalTodayNow", stored.to_string());
    put("msgGetTotalYesterdayMorning", yesterday.1.to_string());
    put("msgGetTotalTodayMorning", today.1.to_string());
    put("msgGetTotalTodayNow", delivered.to_string());
    put("putTps", spans(figures.stored));
    put("getFoundTps", spans(figures.found));
    put("getMissTps", spans(figures.missed));
    put("getTotalTps", spans(figures.pulls()));
    put("getTransferedTps", spans(figures.delivered));
    put("putMessageTimesTotal", stored.max(1).to_string());
    put("putMessageSizeTotal", totals.stored.bytes.to_string());
    put("putMessageAverageSize", format!("{:?}", figures.average_bytes()));
    put("earliestMessageTimeStamp", earliest.unwrap_or(-1).to_string());
    put("startAcceptSendRequestTimeStamp", side.gate.opens_at_ms().to_string());
    put("pageCacheLockTimeMills", "0".to_owned());
    // There are no pools; tools divide by these numbers of Java's.
    for (pool, capacity) in [("send", "10000"), ("pull", "100000"), ("query", "20000")] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), capacity.to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    put("commitLogDiskRatio", disk_ratio(side));
    put("consumeQueueDiskRatio", disk_ratio(side));
    let (total, free) = (side.gate.total_bytes(), side.gate.space().0.unwrap_or(0));
    put(
        "commitLogDirCapacity",
        format!("Total : {}, Free : {}.", readable(total), readable(free)),
    );
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

/// Three rates as tools split them.
fn spans(rates: [f64; 3]) -> String {
    let [seconds, minute, minutes] = rates;
    format!("{seconds:?} {minute:?} {minutes:?}")
}

/// A number of bytes for people (`MixAll.humanReadableByteCount` in Java).
fn readable(bytes: u64) -> String {
    let unit = bytes.checked_ilog2().unwrap_or(0) / 10;
    match unit.checked_sub(1).and_then(|unit| b"KMGTPE".get(unit as usize)) {
        None => format!("{bytes} B"),
        Some(letter) => format!(
            "{:.1} {}iB",
            bytes as f64 / 1024_f64.powi(unit.cast_signed()),
            char::from(*letter)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_below_them() {
        let told = [0, 1023, 1024, 10_957, 5 << 20, u64::MAX].map(readable);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "10.7 KiB", "5.0 MiB", "16.0 EiB"]);
    }
}
