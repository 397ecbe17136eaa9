//! A whole application: an order desk. It takes orders into its book and tells of them in a transaction, has them paid,
//! gives up on a payment after 16 more tries, and reminds of what is paid 40 days later.
//!
//! | what happens | by |
//! |---|---|
//! | [`Desk::order`] writes an order into the book, and tells of it if, and only if, it is there | a transactional message to `Orders` |
//! | the group `payments` has the bank paid; an error brings the order again, the later the more often | a push consumer |
//! | what the bank refused 17 times is a dead letter, for people to look at | `%DLQ%payments` |
//! | a paid order is asked about after 40 days | a timed message to `Reminders` |
//!
//! `examples/tests/order_desk.rs` tests it against a broker in the test's own process whose clock the test moves, so that
//! 40 days take milliseconds.

mod book;

use std::sync::Arc;
use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::producer::{ListenerError, TransactionProducer};
use cuemq_client::{
    Client, ClientOptions, Error, LocalTransactionState, Message, Producer, PushConsumer, PushConsumerBuilder,
    ReceivedMessage, TransactionListener,
};

pub use book::{Book, State};

/// When a paid order is asked about.
pub const REMINDED_AFTER: Duration = Duration::from_secs(40 * 86_400);

/// Who takes the money.
pub trait Bank: Send + Sync + 'static {
    /// Takes so many cents for an order, once however often it is asked for the same order.
    ///
    /// # Errors
    /// When it does not, for now.
    fn charge(&self, order: &str, cents: u64) -> Result<(), ListenerError>;
}

/// The order desk.
pub struct Desk {
    client: Client,
    orders: TransactionProducer,
    consumers: Vec<PushConsumer>,
}

/// What the broker asks about orders whose end it was not told.
struct Taking(Arc<Book>);

impl TransactionListener for Taking {
    async fn execute(&self, message: &Message, _: &str) -> Result<LocalTransactionState, ListenerError> {
        let (order, cents) = parsed(message.body())?;
        Ok(if self.0.take(&order, cents) {
            LocalTransactionState::Commit
        } else {
            LocalTransactionState::Rollback
        })
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        let (order, _) = parsed(message.body())?;
        Ok(match self.0.state(&order) {
            Some(_) => LocalTransactionState::Commit,
            None => LocalTransactionState::Rollback,
        })
    }
}

/// An order's name and cents, `name:cents`.
fn parsed(body: &[u8]) -> Result<(String, u64), ListenerError> {
    let (order, cents) = std::str::from_utf8(body)?.split_once(':').ok_or("no order")?;
    Ok((order.to_owned(), cents.parse()?))
}

impl Desk {
    /// Opens the desk.
    ///
    /// # Errors
    /// When the brokers cannot be reached.
    pub async fn open(options: ClientOptions, book: Arc<Book>, bank: Arc<dyn Bank>) -> Result<Self, Error> {
        let client = options.start().await?;
        let orders = Producer::builder("desk").client(&client).topics(["Orders"]);
        let orders = orders.start_transactional(Taking(Arc::clone(&book))).await?;
        let sender = orders.producer().clone();
        let paid = Arc::clone(&book);
        let payments = reader(&client, "payments", "Orders").start(move |messages: Vec<ReceivedMessage>| {
            let (book, bank, sender) = (Arc::clone(&paid), Arc::clone(&bank), sender.clone());
            async move {
                for message in &messages {
                    pay(&book, bank.as_ref(), &sender, message).await?;
                }
                Ok::<_, ListenerError>(())
            }
        });
        let reminders = reader(&client, "reminders", "Reminders").start(move |messages: Vec<ReceivedMessage>| {
            let book = Arc::clone(&book);
            async move {
                for message in &messages {
                    book.change(std::str::from_utf8(message.body())?, State::Reminded);
                }
                Ok::<_, ListenerError>(())
            }
        });
        let consumers = vec![payments.await?, reminders.await?];
        Ok(Self {
            client,
            orders,
            consumers,
        })
    }

    /// Takes an order; whether it was taken. Once this has returned `true`, it will be paid or end among the dead letters,
    /// also if the program dies now.
    ///
    /// # Errors
    /// When the broker does not take it: nothing is in the book then.
    pub async fn order(&self, order: &str, cents: u64) -> Result<bool, Error> {
        let message = Message::new("Orders", format!("{order}:{cents}")).keys([order]);
        let result = self.orders.send_in_transaction(message).await?;
        Ok(result.state == LocalTransactionState::Commit)
    }

    /// Closes the desk: what is being done is finished first.
    ///
    /// # Errors
    /// When how far it has come cannot be saved; then some messages come again.
    pub async fn close(self) -> Result<(), Error> {
        for consumer in &self.consumers {
            consumer.shutdown().await?;
        }
        self.orders.shutdown().await;
        self.client.shutdown().await;
        Ok(())
    }
}

fn reader(client: &Client, group: &str, topic: &str) -> PushConsumerBuilder {
    let builder = PushConsumer::builder(group).client(client).subscribe(topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

async fn pay(book: &Book, bank: &dyn Bank, sender: &Producer, message: &ReceivedMessage) -> Result<(), ListenerError> {
    let (order, cents) = parsed(message.body())?;
    if book.state(&order) != Some(State::Taken) {
        // paid already: a message can come twice
        return Ok(());
    }
    bank.charge(&order, cents)?;
    // before the book says paid, so that a failure here brings the order again
    let reminder = Message::new("Reminders", order.clone()).delay_time(REMINDED_AFTER);
    sender.send(reminder).await?;
    book.change(&order, State::Paid);
    Ok(())
}
