//! Tests one actor alone: probes in the place of its neighbours, a clock moved by hand, and a panic on request.
//!
//! Run it: `cargo run -p cuemq-examples --example test_one_actor`. In a crate of yours, `main` would be an
//! `#[actix::test]` function.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler, MailboxError, Message, Recipient};
use cuemq_actors::supervise::{ChildEvent, Context, install_panic_hook};
use cuemq_actors::testing::{Probe, Site, Stage};
use cuemq_storage::clock::Clock;

/// A broker is alive. From its connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Heard(pub String);

/// Looks for brokers that fell silent, and answers how many are left. From a timer.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Sweep;

/// A broker fell silent. To whoever holds its routes.
#[derive(Debug, PartialEq, Message)]
#[rtype(result = "()")]
pub struct Silent(pub String);

/// Owns when each broker was last heard of.
pub struct Liveness {
    last_heard: BTreeMap<String, Duration>,
    patience: Duration,
    clock: Arc<dyn Clock>,
    routes: Recipient<Silent>,
}

impl Actor for Liveness {
    type Context = Context<Self>;
}

impl Handler<Heard> for Liveness {
    type Result = ();

    fn handle(&mut self, Heard(broker): Heard, _: &mut Context<Self>) {
        self.last_heard.insert(broker, self.clock.monotonic());
    }
}

impl Handler<Sweep> for Liveness {
    type Result = usize;

    fn handle(&mut self, _: Sweep, ctx: &mut Context<Self>) -> usize {
        let oldest = self.clock.monotonic().saturating_sub(self.patience);
        let silent: Vec<_> = self.last_heard.extract_if(.., |_, heard| *heard < oldest).collect();
        for (broker, _) in silent {
            if self.routes.try_send(Silent(broker)).is_err() {
                ctx.fail("the routes take no message");
            }
        }
        self.last_heard.len()
    }
}

#[actix::main]
async fn main() -> Result<(), MailboxError> {
    install_panic_hook();
    let mut stage = Stage::new();
    let mut routes = Probe::<Silent>::new();
    let (clock, recipient) = (stage.clock.clone(), routes.recipient());
    let liveness = stage.start("liveness", move |_| {
        let (clock, routes) = (clock.clone(), recipient.clone());
        Ok(Liveness {
            last_heard: BTreeMap::new(),
            patience: Duration::from_secs(120),
            clock,
            routes,
        })
    });

    liveness.send(Heard("broker-a".into())).await?;
    stage.clock.advance(Duration::from_secs(100));
    liveness.send(Heard("broker-b".into())).await?;
    assert_eq!(liveness.send(Sweep).await?, 2);
    routes.expect_none().await;
    println!("after 100 s nobody is missed");

    stage.clock.advance(Duration::from_secs(100));
    assert_eq!(liveness.send(Sweep).await?, 1);
    assert_eq!(routes.next().await, Silent("broker-a".into()));
    println!("after 200 s broker-a is missed, and its neighbour was told once");
    routes.expect_none().await;

    stage.faults.arm("liveness", Site::Handler, 1);
    assert_eq!(liveness.send(Sweep).await, Err(MailboxError::Closed));
    println!(
        "a handler panicked; its caller knows, and so does the supervisor: {}",
        stage.failure().await.0
    );
    assert_eq!(liveness.send(Sweep).await?, 0);
    println!("the same address leads to a fresh value that has heard of nobody");
    stage.until(|event| matches!(event, ChildEvent::Running)).await;
    print!("{}", stage.nursery.tree().draw());
    Ok(())
}
