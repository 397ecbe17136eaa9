//! The broker's settings, told and changed by tools (codes 25 and 26).

use cuemq_net::body::Body;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::response::BrokerConfigResponse;

use super::broker_requests::{Asked, Refusal, again, refused};
use crate::settings::{ChangeSettings, TellSettings};

impl Asked<'_> {
    /// Changes settings, all that are named or none.
    pub(super) async fn change_settings(&self) -> Result<Command, Refusal> {
        let text = String::from_utf8_lossy(&self.request.body).into_owned();
        let changed = self.actors.owners.change_settings.send(ChangeSettings { text }).await;
        changed.map_err(again)?.map_err(|error| refused(error.to_string()))?;
        Ok(self.success())
    }

    /// The settings in force.
    pub(super) async fn tell_settings(&self) -> Result<Command, Refusal> {
        let told = self.actors.owners.tell_settings.send(TellSettings).await;
        let (version, text) = told.map_err(again)?;
        let version = String::from_utf8(version.encode(Style::Fastjson)).unwrap_or_default();
        let header = BrokerConfigResponse { version: &version };
        Ok(self
            .success()
            .with_header(|fields| header.write(fields))
            .with_body(text))
    }
}
