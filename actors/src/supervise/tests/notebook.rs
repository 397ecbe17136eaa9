//! The actor that breaks in these tests: it remembers numbers, and does on request whatever an actor can do wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Handler, Message, Running, WrapFuture};
use tokio::sync::oneshot;

use crate::placement::Thread;
use crate::supervise::{ChildSpec, Context, Policy};
use crate::testing::Stage;

/// Remembers numbers and answers how many it remembers.
#[derive(Message)]
#[rtype(result = "usize")]
pub(super) struct Note(pub(super) u32);

/// Asks for all numbers, in the order in which they came.
#[derive(Message)]
#[rtype(result = "Vec<u32>")]
pub(super) struct Read;

/// Asks for something that goes wrong.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum Break {
    Handler,
    Spawned,
    WaitedFor,
    Timer,
    GiveUp,
    GetStuck,
    Stop,
    Behind,
}

/// Remembers a number behind all that waits in the mailbox.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct NoteBehind;

/// Is answered later, never by itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Later(pub(super) oneshot::Sender<()>);

/// What is noted behind the messages.
pub(super) const BEHIND: u32 = 1000;

#[derive(Default)]
pub(super) struct Notebook {
    pub(super) numbers: Vec<u32>,
    pub(super) kept: Vec<oneshot::Sender<()>>,
    /// How many notes all values took.
    pub(super) taken: Arc<AtomicU32>,
    pub(super) lingers: bool,
    pub(super) stumbles: bool,
    pub(super) _alive: Option<Alive>,
}

/// Counts the living values: there is never more than one.
pub(super) struct Alive(Arc<AtomicU32>);

impl Alive {
    pub(super) fn one_of(count: &Arc<AtomicU32>) -> Self {
        assert_eq!(
            count.fetch_add(1, Ordering::SeqCst),
            0,
            "the last value is gone before the next one is built"
        );
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Actor for Notebook {
    type Context = Context<Self>;

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        assert!(!self.stumbles, "tripped over the doorstep");
        if !std::mem::take(&mut self.lingers) {
            return Running::Stop;
        }
        let address = ctx.address();
        let last_words = async move {
            address.send(Note(99)).await.unwrap();
        };
        ctx.spawn(last_words.into_actor(self));
        ctx.run_later(Duration::from_millis(1), |_, ctx| ctx.stop());
        Running::Continue
    }
}

impl Handler<Note> for Notebook {
    type Result = usize;

    fn handle(&mut self, Note(number): Note, _: &mut Context<Self>) -> usize {
        self.numbers.push(number);
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.numbers.len()
    }
}

impl Handler<NoteBehind> for Notebook {
    type Result = ();

    fn handle(&mut self, _: NoteBehind, ctx: &mut Context<Self>) {
        ctx.do_behind(|notebook, _| notebook.numbers.push(BEHIND));
    }
}

impl Handler<Read> for Notebook {
    type Result = Vec<u32>;

    fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<u32> {
        self.numbers.clone()
    }
}

impl Handler<Later> for Notebook {
    type Result = ();

    fn handle(&mut self, Later(reply): Later, _: &mut Context<Self>) {
        self.kept.push(reply);
    }
}

impl Handler<Break> for Notebook {
    type Result = ();

    fn handle(&mut self, what: Break, ctx: &mut Context<Self>) {
        match what {
            Break::Handler => panic!("spilled ink"),
            Break::Spawned => drop(ctx.spawn(async { panic!("spilled ink") }.into_actor(self))),
            Break::WaitedFor => ctx.wait(async { panic!("spilled ink") }.into_actor(self)),
            Break::Timer => drop(ctx.run_later(Duration::ZERO, |_, _| panic!("spilled ink"))),
            Break::GetStuck => ctx.wait(std::future::pending().into_actor(self)),
            Break::GiveUp => ctx.fail("no more pages"),
            Break::Stop => ctx.stop(),
            Break::Behind => ctx.do_behind(|_, _| panic!("spilled ink")),
        }
    }
}

pub(super) fn notebook(stage: &mut Stage, policy: Policy) -> Addr<Notebook> {
    let alive = Arc::new(AtomicU32::new(0));
    stage
        .nursery
        .start(ChildSpec::new("notebook", Thread::Files).policy(policy), move |_| {
            Ok(Notebook {
                _alive: Some(Alive::one_of(&alive)),
                ..Notebook::default()
            })
        })
}
