//! A client that does one thing after the other.

use cuemq_actors::testing::{PATIENCE, TestBroker};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::record::records;

use crate::load::{Client, TOPIC, pull, send};

/// The most that one pull brings.
pub(crate) const PULLED_AT_ONCE: usize = 32;

/// A client that sends into one queue and reads it, without a runtime around it.
pub(crate) struct Line {
    runtime: tokio::runtime::Runtime,
    client: Client,
    number: u64,
}

impl Line {
    pub(crate) fn to(broker: &TestBroker) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            client: Client::new(broker.broker()),
            number: 0,
        }
    }

    /// Asks; every request is answered.
    pub(crate) fn ask(&mut self, request: &Command) -> Command {
        self.runtime.block_on(self.client.call(request)).expect("an answer")
    }

    /// Sends the next message.
    pub(crate) fn send(&mut self) -> Command {
        self.number += 1;
        self.ask(&send(TOPIC, 0, 4 * (self.number - 1)))
    }

    /// Sends until the answer is another one than success.
    pub(crate) fn send_until_refused(&mut self) -> Command {
        self.send_until(|code| code != ResponseCode::SUCCESS)
            .expect("a refusal in time")
    }

    /// Sends until it is accepted; whether it was, in time.
    pub(crate) fn send_until_accepted(&mut self) -> bool {
        self.send_until(|code| code == ResponseCode::SUCCESS).is_some()
    }

    /// Sends until an answer is as it is wanted, at most for [`PATIENCE`].
    fn send_until(&mut self, is_wanted: impl Fn(ResponseCode) -> bool) -> Option<Command> {
        let (client, number) = (&mut self.client, &mut self.number);
        let answered = async {
            loop {
                *number += 1;
                let answer = client.call(&send(TOPIC, 0, 4 * (*number - 1))).await;
                if let Some(answer) = answer.filter(|answer| is_wanted(ResponseCode(answer.code))) {
                    return answer;
                }
            }
        };
        let waited = async { tokio::time::timeout(PATIENCE, answered).await };
        self.runtime.block_on(waited).ok()
    }

    /// How many messages the queue has.
    pub(crate) fn read(&mut self) -> usize {
        self.read_queue(0)
    }

    /// Likewise another queue.
    pub(crate) fn read_queue(&mut self, queue_id: i32) -> usize {
        let mut read = 0;
        loop {
            let pull = pull("readers", queue_id, read as u64);
            let found = records(&self.ask(&pull).body).count();
            read += found;
            if found < PULLED_AT_ONCE {
                return read;
            }
        }
    }
}
