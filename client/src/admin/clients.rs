//! Who is connected and what it runs (codes 203, 204, 307, 309, 323, 328).

use bytes::Bytes;
use cuemq_net::body::{ConsumerConnection, ProducerConnection, ProducerTable};
use cuemq_net::code::RequestCode;
use cuemq_net::request::{ConsumeDirectly, ConsumerConnections, ProducerConnections, ResumeHalfMessage, RunningInfo};

use super::{Admin, nothing, read};
use crate::error::{Cause, Error};

impl Admin {
    /// Who consumes in a group, and what it subscribes to (203): as the first broker says where the group is online.
    ///
    /// # Errors
    /// With code 206 when nobody of the group is online; when the group never consumed.
    pub async fn examine_consumer_connection_info(&self, group: &str) -> Result<ConsumerConnection, Error> {
        let mut last = Error::from(Cause::NoAddress);
        for address in self.brokers_of(&format!("%RETRY%{group}")).await? {
            let header = ConsumerConnections { consumer_group: group };
            let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
            match self.ask(&address, code, |fields| header.write(fields), "").await {
                Ok(answer) => return read(&answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Who produces in a group, as a broker knows it (204).
    ///
    /// # Errors
    /// When the broker says no: nobody of the group is connected with it.
    pub async fn examine_producer_connection_info(
        &self,
        address: &str,
        group: &str,
    ) -> Result<ProducerConnection, Error> {
        let header = ProducerConnections { producer_group: group };
        let code = RequestCode::GET_PRODUCER_CONNECTION_LIST;
        read(&self.ask(address, code, |fields| header.write(fields), "").await?)
    }

    /// All producers that are connected with a broker (328).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn get_all_producer_info(&self, address: &str) -> Result<ProducerTable, Error> {
        read(
            &self
                .ask(address, RequestCode::GET_ALL_PRODUCER_INFO, nothing, "")
                .await?,
        )
    }

    /// What a consumer runs, as it says itself: a JSON text (307), asked by one of the brokers that it is connected with.
    ///
    /// # Errors
    /// When the client is not online or does not answer.
    pub async fn get_consumer_running_info(
        &self,
        address: &str,
        group: &str,
        client_id: &str,
        with_stacks: bool,
    ) -> Result<Bytes, Error> {
        let header = RunningInfo {
            consumer_group: group,
            client_id,
            jstack_enable: with_stacks,
        };
        let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
        Ok(self.ask_long(address, code, |fields| header.write(fields)).await?.body)
    }

    /// Has a consumer consume a message at once, which lies where the id by its position says; gives what the consumer says of
    /// it, a JSON text (309).
    ///
    /// # Errors
    /// When the client is not online or does not answer.
    pub async fn consume_message_directly(
        &self,
        address: &str,
        group: &str,
        client_id: &str,
        offset_msg_id: &str,
    ) -> Result<Bytes, Error> {
        let header = ConsumeDirectly {
            consumer_group: group,
            client_id: Some(client_id),
            msg_id: Some(offset_msg_id),
            broker_name: None,
        };
        let code = RequestCode::CONSUME_MESSAGE_DIRECTLY;
        Ok(self.ask_long(address, code, |fields| header.write(fields)).await?.body)
    }

    /// Has a half message checked again that was given up (323).
    ///
    /// # Errors
    /// When the broker has no such message.
    pub async fn resume_check_half_message(&self, address: &str, offset_msg_id: &str) -> Result<(), Error> {
        let header = ResumeHalfMessage {
            msg_id: Some(offset_msg_id),
        };
        self.ask(
            address,
            RequestCode::RESUME_CHECK_HALF_MESSAGE,
            |fields| header.write(fields),
            "",
        )
        .await?;
        Ok(())
    }
}
