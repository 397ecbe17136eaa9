//! Tests one actor of the broker alone: `Hold`, which keeps the pulls that wait for a message. A probe stands in the place
//! of the connections, a clock is moved by hand, and a panic comes on request.
//!
//! Run it: `cargo run -p cuemq-examples --example test_one_actor`. In a crate of yours, `main` would be an
//! `#[actix::test]` function. `test_whole_broker` does the same with all of a broker's actors.

use std::sync::Arc;
use std::time::Duration;

use actix::MailboxError;
use cuemq_actors::filter::MessageFilter;
use cuemq_actors::group::SubscriptionGroup;
use cuemq_actors::hold::actor::{Arrived, Hold, HoldLimits, Park, QueueEnds, QueueWatch, Resume};
use cuemq_actors::hold::{ParkedPull, PullKind};
use cuemq_actors::peer::PeerKey;
use cuemq_actors::supervise::{ChildEvent, install_panic_hook};
use cuemq_actors::testing::{Probe, Site, Stage};
use cuemq_net::frame::HeaderCodec;
use cuemq_storage::position::QueueOffset;

/// Queues that end at 5, whatever their names.
struct FiveMessages;

impl QueueEnds for FiveMessages {
    fn watch(&self, _topic: &str, _queue_id: u32) -> Option<Box<dyn QueueWatch>> {
        Some(Box::new(FiveMessages))
    }
}

impl QueueWatch for FiveMessages {
    fn end(&self) -> QueueOffset {
        QueueOffset(5)
    }
}

/// A pull behind the last message, which waits until the clock shows one second.
fn pull(opaque: i32) -> Park {
    let pull = ParkedPull {
        opaque,
        codec: HeaderCodec::Json,
        kind: PullKind::Pull,
        read_ms: 0,
        topic: "Orders".into(),
        queue_id: 0,
        queue_offset: 5,
        max_messages: 32,
        filter: Arc::new(MessageFilter::all()),
        group: SubscriptionGroup::fresh("Readers"),
        flow: None,
        deadline_ms: 1000,
    };
    let (thread, slot, generation) = (0, 1, 0);
    let peer = PeerKey {
        thread,
        slot,
        generation,
    };
    Park {
        peer,
        pull: Box::new(pull),
    }
}

#[actix::main]
async fn main() -> Result<(), MailboxError> {
    install_panic_hook();
    let mut stage = Stage::new();
    let mut connections = Probe::<Resume>::new();
    let (clock, resume) = (stage.clock.clone(), connections.recipient());
    let hold = stage.start("hold", move |_| {
        Ok(Hold::new(
            HoldLimits::default(),
            Box::new(FiveMessages),
            clock.clone(),
            resume.clone(),
        ))
    });

    hold.send(pull(1)).await?;
    connections.expect_none().await;
    let (topic, max_offset) = ("Orders".into(), QueueOffset(6));
    hold.send(Arrived {
        topic,
        queue_id: 0,
        max_offset,
        tags_codes: None,
    })
    .await?;
    assert_eq!(connections.next().await.pulls[0].1.opaque, 1);
    println!("a message wakes the pull that waits for it");

    hold.send(pull(2)).await?;
    connections.expect_none().await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(connections.next().await.pulls[0].1.opaque, 2);
    println!("a pull whose time is up goes back, though nothing came");

    stage.faults.arm("hold", Site::Handler, 1);
    assert_eq!(hold.send(pull(3)).await, Err(MailboxError::Closed));
    println!(
        "a handler panicked; its caller knows, and so does the supervisor: {}",
        stage.failure().await.0
    );
    assert_eq!(connections.next().await.pulls[0].1.opaque, 3);
    println!("what it held has gone back to the connections, and the same address leads to a fresh value");
    stage.until(|event| matches!(event, ChildEvent::Running)).await;
    print!("{}", stage.nursery.tree().draw());
    Ok(())
}
