//! The order desk against a broker in this process, without a socket or a file and with a clock that the test moves.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cuemq_actors::testing::{ManualClock, MemoryDisk, MemoryNet, TestBroker};
use cuemq_client::Admin;
use cuemq_client::producer::ListenerError;
use cuemq_examples::order_desk::{Bank, Book, Desk, REMINDED_AFTER, State};

const NOON_MS: u64 = 1_700_000_000_000;

/// How long a test may take; far longer than any does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bank that refuses so often.
struct Refusing {
    refusals: u32,
    asked: AtomicU32,
}

impl Bank for Refusing {
    fn charge(&self, order: &str, _: u64) -> Result<(), ListenerError> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        if before < self.refusals {
            return Err(format!("no money for {order}").into());
        }
        Ok(())
    }
}

struct Stand {
    broker: TestBroker,
    clock: Arc<ManualClock>,
    book: Arc<Book>,
    bank: Arc<Refusing>,
    desk: Desk,
}

async fn stand(refusals: u32) -> Stand {
    let clock = Arc::new(ManualClock::new(NOON_MS));
    let broker = TestBroker::builder()
        .config(|config| config.delays_interval = Duration::from_millis(1))
        .memory_net(&MemoryNet::new())
        .memory_disk(&MemoryDisk::new(1))
        .clock(clock.clone())
        .start()
        .unwrap();
    let (book, asked) = (Arc::new(Book::default()), AtomicU32::new(0));
    let bank = Arc::new(Refusing { refusals, asked });
    // the first order makes the topic, of which the consumers hear when they ask next
    let options = broker
        .client_options()
        .poll_name_server_interval(Duration::from_millis(5));
    let desk = Desk::open(options, book.clone(), bank.clone()).await.unwrap();
    Stand {
        broker,
        clock,
        book,
        bank,
        desk,
    }
}

impl Stand {
    /// Lets the time pass, so much in each turn, until something is so.
    async fn until(&self, step: Duration, mut is_so: impl AsyncFnMut() -> bool) {
        let waits = async {
            while !is_so().await {
                self.clock.advance(step);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }

    async fn end(self) {
        self.desk.close().await.unwrap();
        self.broker.stop().unwrap();
    }
}

#[tokio::test]
async fn an_order_is_paid_once_and_asked_about_after_forty_days() {
    let stand = stand(0).await;
    assert!(stand.desk.order("tea", 250).await.unwrap());
    stand
        .until(Duration::ZERO, async || stand.book.state("tea") == Some(State::Paid))
        .await;
    stand.clock.advance(REMINDED_AFTER - Duration::from_secs(60));
    // what was due by then would have come by the time of another order's payment
    assert!(stand.desk.order("milk", 90).await.unwrap());
    stand
        .until(Duration::ZERO, async || stand.book.state("milk") == Some(State::Paid))
        .await;
    assert_eq!(stand.book.state("tea"), Some(State::Paid), "not before its time");
    stand
        .until(Duration::from_secs(10), async || {
            stand.book.state("tea") == Some(State::Reminded)
        })
        .await;
    assert_eq!(stand.bank.asked.load(Ordering::SeqCst), 2);
    assert_eq!(stand.book.state("milk"), Some(State::Paid), "its time is 40 days later");
    stand.end().await;
}

#[tokio::test]
async fn an_order_that_is_not_taken_is_told_to_nobody() {
    let stand = stand(0).await;
    assert!(!stand.desk.order("nothing", 0).await.unwrap());
    assert!(stand.desk.order("tea", 250).await.unwrap());
    assert!(
        !stand.desk.order("tea", 250).await.unwrap(),
        "it is in the book already"
    );
    stand
        .until(Duration::ZERO, async || stand.book.state("tea") == Some(State::Paid))
        .await;
    assert_eq!(stand.book.state("nothing"), None);
    assert_eq!(stand.bank.asked.load(Ordering::SeqCst), 1);
    stand.end().await;
}

#[tokio::test]
async fn a_payment_is_tried_seventeen_times_and_is_then_a_dead_letter() {
    let stand = stand(u32::MAX).await;
    assert!(stand.desk.order("gold", 1_000_000).await.unwrap());
    let client = stand.broker.client_options().start().await.unwrap();
    let admin = Admin::new(&client);
    let is_dead = async || {
        let Ok(queues) = admin.examine_topic_stats("%DLQ%payments").await else {
            return false;
        };
        queues.offset_table.values().any(|queue| queue.max_offset == 1)
    };
    // the last steps are two hours each
    stand.until(Duration::from_secs(600), is_dead).await;
    assert_eq!(stand.bank.asked.load(Ordering::SeqCst), 17, "once, and 16 times again");
    assert_eq!(stand.book.state("gold"), Some(State::Taken));
    client.shutdown().await;
    stand.end().await;
}

#[tokio::test]
async fn a_payment_that_is_refused_at_first_is_made_later() {
    let stand = stand(3).await;
    assert!(stand.desk.order("tea", 250).await.unwrap());
    stand
        .until(Duration::from_secs(10), async || {
            stand.book.state("tea") == Some(State::Paid)
        })
        .await;
    assert_eq!(stand.bank.asked.load(Ordering::SeqCst), 4);
    stand.end().await;
}
