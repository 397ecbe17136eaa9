//! What topics and groups had in the last minute, hour and day (code 315; `BrokerStatsManager` in Java).

use cuemq_net::body::Body;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::BrokerStats;

use super::broker_requests::{Asked, Refusal, again, read, refused};
use crate::statistics::actor::FindFigure;

impl Asked<'_> {
    /// A figure over its three spans.
    pub(super) async fn figure(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let BrokerStats { stats_name, stats_key } = read(BrokerStats::read(&view))?;
        let find = FindFigure {
            name: stats_name.to_owned(),
            key: stats_key.to_owned(),
        };
        let found = self.actors.owners.find_figure.send(find).await.map_err(again)?;
        let figure = found.ok_or_else(|| refused(format!("The stats <{stats_name}> <{stats_key}> not exist")))?;
        Ok(self.success().with_body(figure.encode(Style::Fastjson)))
    }

    /// Messages per second that a group got of a topic in the last minute.
    pub(super) async fn consume_tps(&self, topic: &str, group: &str) -> Result<f64, Refusal> {
        let find = FindFigure {
            name: "GROUP_GET_NUMS".to_owned(),
            key: format!("{topic}@{group}"),
        };
        let found = self.actors.owners.find_figure.send(find).await.map_err(again)?;
        Ok(found.map_or(0.0, |figure| figure.stats_minute.tps))
    }
}
