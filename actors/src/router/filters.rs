//! Whether the broker understands a subscription (code 46), which consumers ask before they start.

use cuemq_net::body::CheckClient;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::filter::SqlFilter;

use super::broker_requests::{Asked, Refusal, decoded, refused};
use crate::filter::{SQL92, is_by_tag, unsupported};

impl Asked<'_> {
    /// Checks a subscription by properties; one by tag is always understood.
    pub(super) fn check_client(&self) -> Result<Command, Refusal> {
        let subscription = decoded::<CheckClient>(&self.request.body)?.subscription_data;
        let expression_type = &subscription.expression_type;
        if is_by_tag(expression_type) {
            return Ok(self.success());
        }
        if !self.io.identity.live.sql_filters.is_on() {
            return Err(refused(unsupported(expression_type)));
        }
        let malformed = |reason: String| (ResponseCode::SUBSCRIPTION_PARSE_FAILED, reason);
        if expression_type != SQL92 {
            return Err(malformed(format!(
                "a filter is of type TAG or SQL92, not {expression_type}"
            )));
        }
        match SqlFilter::compile(&subscription.sub_string) {
            Ok(_) => Ok(self.success()),
            Err(error) => Err(malformed(error.to_string())),
        }
    }
}
