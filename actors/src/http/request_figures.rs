//! The metrics of RocketMQ 5 about requests: how long they took, and how many are under way (`RemotingMetricsManager` and
//! `BrokerMetricsManager.initStatsMetrics` in Java), with their labels.

use std::collections::BTreeMap;
use std::fmt::Result;

use super::broker_figures::{told, with};
use super::families::{Families, Labels, classes};
use super::sources::BrokerSources;
use crate::rpc_times::{RPC_TIMES, Rpc, RpcFigures};
use crate::traffic::Traffic;
use crate::under_way::Processor;

/// What stands for codes that have no name.
const OTHER: &str = "other";

/// How long requests took, by what was asked and answered.
pub(super) fn latency(to: &mut Families<'_>, broker: &BrokerSources, rpcs: &BTreeMap<Rpc, RpcFigures>) -> Result {
    let labels = |rpc: &Rpc| -> Labels<'_> {
        let name = |name: Option<&str>| name.unwrap_or(OTHER).to_ascii_lowercase();
        let mut all = with(broker, [("protocol_type", "remoting")]);
        all.extend([
            ("request_code", name(rpc.request.name()).into()),
            ("response_code", name(rpc.response.name()).into()),
            ("is_long_polling", told(rpc.waited).into()),
            ("result", if rpc.oneway { "oneway" } else { "success" }.into()),
        ]);
        all
    };
    to.histograms(
        "rocketmq_rpc_latency",
        "Milliseconds from the reading of a request to its answer, in whole ones, by code and code of the answer",
        rpcs.iter().map(|(rpc, figures)| {
            let classes = classes(&RPC_TIMES, 1.0, &figures.classes).collect();
            (labels(rpc), figures.sum_ms as f64, classes)
        }),
    )
}

/// How many requests are under way.
pub(super) fn watermarks(to: &mut Families<'_>, broker: &BrokerSources, traffic: &Traffic) -> Result {
    to.gauges(
        "rocketmq_processor_watermark",
        "Requests that were taken and are not answered yet, by what RocketMQ has a pool of threads for; a pull that waits for \
         a message is not among them",
        Processor::ALL.map(|processor| {
            let labels = with(broker, [("processor", processor.name())]);
            (labels, traffic.under_way(processor))
        }),
    )
}
