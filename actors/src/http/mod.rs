//! What operators read: `/healthz` and `/metrics` at the address of `--http`, off by default. And what clients ask that are
//! given no name server: `/rocketmq/nsaddr` and `/rocketmq/nsaddr-UNIT`, as an address server tells it (`TopAddressing` in Java).
//!
//! It is for machines within one's own network: whoever reaches the address may read, and nothing can be changed there. What
//! clients can do is bounded (`server`): 64 connections, one GET on each, 16 KiB of header, 5 s for it and 30 s for all.
//!
//! All figures are read from what the actors publish, on a thread of its own: no actor is asked, so that a scrape waits
//! for none and none waits for it. Two of RocketMQ's figures are times of messages and need a look at the disk, which
//! that thread takes too.
//!
//! # The names
//!
//! Those of RocketMQ 5 keep their labels (`cluster`, `node_type`, `node_id` and the ones below) and go on with the same
//! dashboards. The values of the exporter (rocketmq-exporter, Grafana's dashboard 10477) have `cluster` and `broker`.
//! Counters begin at 0 when the process starts. The text is OpenMetrics, which Prometheus has read since 2.5.
//!
//! | name | labels | from |
//! |---|---|---|
//! | `rocketmq_messages_in_total`, `rocketmq_throughput_in_total` | `topic`, `message_type`, `is_system` | RocketMQ 5; bytes are those of stored records |
//! | `rocketmq_messages_out_total`, `rocketmq_throughput_out_total` | `topic`, `consumer_group`, `is_retry`, `is_system` | RocketMQ 5 |
//! | `rocketmq_message_size` | `message_type` | RocketMQ 5, there also by topic |
//! | `rocketmq_producer_connections` | `language`, `version`, `protocol_type` | RocketMQ 5; the version is its number |
//! | `rocketmq_consumer_connections` | the same, `consumer_group`, `consume_mode`, `is_system` | RocketMQ 5 |
//! | `rocketmq_consumer_lag_messages`, `rocketmq_consumer_lag_latency` | `consumer_group`, `topic`, `is_retry`, `is_system` | RocketMQ 5 |
//! | `rocketmq_consumer_inflight_messages`, `rocketmq_consumer_ready_messages`, `rocketmq_consumer_queueing_latency` | the same | RocketMQ 5; of groups that are online, over the queues that they have pulled since the broker started |
//! | `rocketmq_rpc_latency` | `protocol_type`, `request_code`, `response_code`, `is_long_polling`, `result` | RocketMQ 5; to the answer, and not to its last byte |
//! | `rocketmq_processor_watermark` | `processor` | RocketMQ 5; there are no thread pools: requests that were taken and are not answered yet |
//! | `rocketmq_broker_permission`, `rocketmq_topic_number`, `rocketmq_consumer_group_number` | none | RocketMQ 5 |
//! | `rocketmq_storage_size`, `rocketmq_storage_flush_behind_bytes`, `rocketmq_storage_dispatch_behind_bytes`, `rocketmq_storage_message_reserve_time` | `storage_type`, `storage_medium` | RocketMQ 5 |
//! | `rocketmq_broker_tps`, `rocketmq_broker_qps` | `brokerIP` | exporter |
//! | `rocketmq_producer_tps`, `rocketmq_producer_message_size`, `rocketmq_producer_offset` | `topic` | exporter |
//! | `rocketmq_consumer_tps`, `rocketmq_consumer_message_size`, `rocketmq_consumer_offset`, `rocketmq_message_accumulation`, `rocketmq_group_get_latency_by_storetime` | `topic`, `group` | exporter |
//! | `rocketmq_group_diff` | `group`, `topic`, `countOfOnlineConsumers`, `msgModel` | exporter |
//! | `cuemq_…` | see its help text | ours: health, actors and their mailboxes, flush and send times, bytes under way, connections, positions, name server |
//!
//! The names of times have no unit in them, as in RocketMQ's own tables; what 5.3.3 serves to Prometheus itself has
//! `_milliseconds` behind `rocketmq_rpc_latency`, `rocketmq_consumer_lag_latency` and `rocketmq_consumer_queueing_latency`.
//!
//! A send that waits for room in the log or for its topic is in the watermark `send`, one that the log has in `async_put`; a
//! pull is in `pull` or `lite_pull` while the disk is asked. What is answered in the turn that reads it is in none, and the
//! watermark `ack` of RocketMQ 5 is missing, as pop is. Beside that RocketMQ 5 has figures of pop, timers, transactions, dead
//! letters and of the making of topics and groups, which are not told here.

mod broker_figures;
mod exporter_figures;
mod families;
mod health;
mod in_hand;
mod lag;
mod own_figures;
mod rates;
mod request_figures;
mod scrape;
mod server;
mod sources;

pub use server::{HttpParts, HttpServer};
pub use sources::{BrokerSources, Children, Limits, Sources};
