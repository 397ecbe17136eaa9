//! Recalling a message that waits for its time (`recallMessage` of release 5): by the handle that its send gave, which names
//! the broker that holds it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::request::RecallMessage;

use super::Producer;
use crate::error::{Cause, Error};

/// The broker's name in a handle: base64 of `v1 topic broker time key`.
fn broker_of(handle: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE.decode(handle).ok()?).ok()?;
    let mut words = text.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("v1"), Some(_topic), Some(broker_name)) => Some(broker_name.to_owned()),
        _ => None,
    }
}

impl Producer {
    /// Takes a message back that waits for its time, by the [`recall_handle`](super::SendResult::recall_handle) of its send;
    /// gives its id. It is not delivered unless it was due in that moment.
    ///
    /// Dropped while it waits, the message may be recalled.
    ///
    /// # Errors
    /// When the text is no handle, the broker cannot be reached, or it says no: it has no timers, or the message is due.
    pub async fn recall_message(&self, topic: &str, recall_handle: &str) -> Result<String, Error> {
        let inner = &self.inner;
        inner.check_open()?;
        let topic = &*inner.options.namespace.wrap(topic);
        let no_handle = || {
            Cause::Invalid(format!("{recall_handle:?} is no recall handle"))
                .nowhere()
                .topic(topic)
        };
        let broker_name = broker_of(recall_handle).ok_or_else(no_handle)?;
        let place = |error: Error| error.topic(topic).broker(&broker_name);
        let address = inner.master(topic, &broker_name).await.map_err(place)?;
        let header = RecallMessage {
            producer_group: Some(&inner.options.group),
            topic,
            handle: recall_handle,
        };
        let request = Command::request(RequestCode::RECALL_MESSAGE).with_header(|fields| header.write(fields));
        let answer = inner
            .client
            .ask(&address, &request, inner.options.send_msg_timeout)
            .await
            .map_err(place)?;
        Ok(answer.fields.get("msgId").unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_broker() {
        let handle = URL_SAFE.encode("v1 T broker-a 1700000001000 7F00");
        assert_eq!(broker_of(&handle).as_deref(), Some("broker-a"));
        for other in [
            "",
            "v1",
            &URL_SAFE.encode("v2 T broker-a 1 7F"),
            &URL_SAFE.encode("v1 T"),
        ] {
            assert_eq!(broker_of(other), None, "{other}");
        }
    }
}
