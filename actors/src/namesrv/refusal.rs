//! Why a request was not done, as the code and remark of its answer.

use cuemq_net::body::RegisterError;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::DialectError;
use cuemq_net::error::FieldError;
use cuemq_storage::error::StoreError;

use super::room::NoRoom;

/// A failure's code and remark.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ResponseCode,
    remark: String,
}

impl Refusal {
    pub(super) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Refusal {
            code,
            remark: remark.into(),
        }
    }

    /// A code that this server does not know.
    pub(super) fn unsupported(code: i32) -> Self {
        Refusal::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, RequestCode(code).refusal())
    }

    pub(super) fn no_route(topic: &str) -> Self {
        let remark = format!(
            "No topic route info in name server for the topic: {topic}\n\
             See http://rocketmq.apache.org/docs/faq/ for further details."
        );
        Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark)
    }

    pub(super) fn no_config(remark: String) -> Self {
        Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark)
    }

    pub(super) fn answer(self, request: &Command) -> Command {
        Command::response_to(request, self.code).with_remark(self.remark)
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string())
    }
}

impl From<DialectError> for Refusal {
    fn from(error: DialectError) -> Self {
        Refusal::new(ResponseCode::SYSTEM_ERROR, format!("cannot read the body: {error}"))
    }
}

impl From<RegisterError> for Refusal {
    fn from(error: RegisterError) -> Self {
        Refusal::new(ResponseCode::SYSTEM_ERROR, format!("cannot read the body: {error}"))
    }
}

impl From<NoRoom> for Refusal {
    fn from(error: NoRoom) -> Self {
        Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::new(ResponseCode::SYSTEM_ERROR, format!("the change was not made: {error}"))
    }
}
