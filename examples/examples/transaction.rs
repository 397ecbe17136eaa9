//! Moves money and tells of it: the message is delivered if, and only if, the local transaction commits, also where the program
//! dies in between.
//!
//! Run it: `cargo run -p cuemq-examples --example transaction` starts a broker for itself;
//! `… --example transaction 127.0.0.1:9876` uses the name server there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::producer::ListenerError;
use cuemq_client::{
    Consumed, LocalTransactionState, Message, Producer, PushConsumer, ReceivedMessage, TransactionListener,
};
use tokio::sync::mpsc;

/// A database of accounts, which remembers transfers by the transaction's id.
#[derive(Default)]
struct Bank {
    transfers: Mutex<BTreeMap<String, i64>>,
}

impl TransactionListener for Bank {
    async fn execute(&self, message: &Message, id: &str) -> Result<LocalTransactionState, ListenerError> {
        let amount: i64 = std::str::from_utf8(message.body())?.parse()?;
        if amount > 100 {
            return Ok(LocalTransactionState::Rollback);
        }
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers.insert(id.to_owned(), amount);
        if amount == 7 {
            // the transfer is made, and the program "dies" before it can say so
            return Ok(LocalTransactionState::Unknown);
        }
        Ok(LocalTransactionState::Commit)
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        let transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(if transfers.contains_key(&message.message_id()) {
            LocalTransactionState::Commit
        } else {
            LocalTransactionState::Rollback
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let given = std::env::args().nth(1);
    let own = match given {
        Some(_) => None,
        // asks about open transactions soon
        None => Some(
            TestBroker::builder()
                .config(|config| {
                    config.transactions.timeout = Duration::from_millis(100);
                    config.transactions.check_interval = Duration::from_millis(50);
                })
                .start()?,
        ),
    };
    let name_server = given
        .or(own.as_ref().map(|broker| broker.name_server().to_string()))
        .context("no broker")?;

    let builder = Producer::builder("bank")
        .namesrv_addr(&name_server)
        .topics(["Transfers"]);
    let producer = builder.start_transactional(Bank::default()).await?;
    for amount in ["12", "1000", "7"] {
        let result = producer.send_in_transaction(Message::new("Transfers", amount)).await?;
        println!("transfer of {amount}: {:?}", result.state);
    }

    let (sender, mut came) = mpsc::unbounded_channel();
    let consumer = PushConsumer::builder("statements")
        .namesrv_addr(&name_server)
        .subscribe("Transfers", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<ReceivedMessage>| {
            for message in messages {
                let _ = sender.send(String::from_utf8_lossy(message.body()).into_owned());
            }
            async { Consumed::Success }
        })
        .await?;
    let mut told = Vec::new();
    while told.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(120), came.recv()).await?;
        told.push(next.context("the consumer ended")?);
        println!("told of the transfer of {}", told[told.len() - 1]);
    }
    told.sort_unstable();
    ensure!(told == ["12", "7"], "told of {told:?}");
    consumer.shutdown().await?;
    producer.shutdown().await;
    Ok(())
}
