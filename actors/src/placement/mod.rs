//! The `Spawn` seam: everything that runs is started here, on the thread that a [`Layout`] gives it.
//!
//! In production each thread of the layout is an actix `Arbiter`. In tests and in the simulation there are no threads
//! of ours: all roles live on the current `LocalSet`, since an `Arbiter` does not run inside a simulated host.
//! [`Placement`] is a cheap handle that may be cloned and sent anywhere; [`Threads`] owns the threads and joins them.

mod lag;
mod layout;
mod threads;

use std::borrow::Cow;
use std::sync::Arc;

use actix::ArbiterHandle;

pub use lag::Lag;
pub use layout::{Layout, Thread};
pub use threads::{Threads, ThreadsError};

use crate::supervise::Guarded;
use lag::Lagging;

/// Starts actors and tasks on the threads of a layout.
#[derive(Clone, Debug)]
pub struct Placement {
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Local,
    Lagging(Arc<dyn Lag>),
    Threads {
        layout: Arc<Layout>,
        handles: Arc<[ArbiterHandle]>,
    },
}

impl Placement {
    /// Everything on the `LocalSet` of whoever starts it: for tests and the simulation.
    #[must_use]
    pub fn local() -> Self {
        Self { target: Target::Local }
    }

    /// As [`Placement::local`], but each task runs only some time after it was woken, as one does whose thread is busy or
    /// waits for the disk. This brings orders about that one thread alone never has.
    #[must_use]
    pub fn lagging(lag: Arc<dyn Lag>) -> Self {
        Self {
            target: Target::Lagging(lag),
        }
    }

    /// How many I/O threads connections may be spread over.
    #[must_use]
    pub fn io_threads(&self) -> u16 {
        match &self.target {
            Target::Local | Target::Lagging(_) => 1,
            Target::Threads { layout, .. } => layout.io_threads(),
        }
    }

    /// Runs the task that `make` makes on the thread of `role`: the making must be `Send`, the task need not be.
    ///
    /// A panic in it is logged under `name`, and ends this task alone. On a thread that was already stopped the task is
    /// dropped, which is logged too.
    ///
    /// # Panics
    /// When [`Placement::local`] is used outside a `LocalSet`.
    pub fn run<F>(&self, role: Thread, name: impl Into<Cow<'static, str>>, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let name = name.into();
        let handle = match &self.target {
            Target::Local => return start(name, make),
            Target::Lagging(lag) => {
                let lag = Arc::clone(lag);
                return start(name, move || async move { Lagging::new(make(), role, lag).await });
            }
            Target::Threads { layout, handles } => &handles[layout.place_of(role)],
        };
        let task = name.clone();
        if !handle.spawn_fn(move || start(name, make)) {
            tracing::error!(%task, thread = %role, "the thread is stopped: task dropped");
        }
    }
}

/// Starts a guarded task on this thread's `LocalSet`.
fn start<F: Future<Output = ()> + 'static>(name: Cow<'static, str>, make: impl FnOnce() -> F + 'static) {
    drop(actix_rt::spawn(async move {
        if let Err(panicked) = Guarded::new(async move { make().await }).await {
            tracing::error!(task = %name, %panicked, "task failed");
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use actix::{Actor, Handler, Message};
    use cuemq_storage::clock::RealClock;
    use tokio::sync::oneshot;

    use super::*;
    use crate::supervise::{ChildReport, ChildSpec, Context, Faults, Nursery};
    use crate::testing::{PATIENCE, Probe};

    /// Asks an actor for the thread it lives on.
    #[derive(Message)]
    #[rtype(result = "thread::ThreadId")]
    struct WhereAreYou;

    struct Resident;

    impl Actor for Resident {
        type Context = Context<Self>;
    }

    impl Handler<WhereAreYou> for Resident {
        type Result = actix::MessageResult<WhereAreYou>;

        fn handle(&mut self, _: WhereAreYou, _: &mut Context<Self>) -> Self::Result {
            actix::MessageResult(thread::current().id())
        }
    }

    async fn homes(placement: Placement, roles: &[Thread]) -> Vec<thread::ThreadId> {
        let reports = Probe::<ChildReport>::new();
        let clock = Arc::new(RealClock::new());
        let mut nursery = Nursery::new("town", placement, clock, Faults::default(), reports.recipient());
        let mut homes = Vec::new();
        for role in roles {
            let resident = nursery.start(ChildSpec::new(role.to_string(), *role), |_| Ok(Resident));
            homes.push(resident.send(WhereAreYou).await.unwrap());
        }
        nursery.stop_all(PATIENCE).await.unwrap();
        homes
    }

    #[actix::test]
    async fn locally_all_roles_live_on_the_current_thread() {
        let here = thread::current().id();
        assert_eq!(
            homes(Placement::local(), &[Thread::Io(3), Thread::Log, Thread::Flusher]).await,
            [here; 3]
        );
    }

    #[actix::test]
    async fn actors_live_on_the_threads_of_their_roles_and_all_are_joined() {
        let threads = Threads::start(Layout::for_cores(2)).unwrap();
        let roles = [Thread::Io(0), Thread::Log, Thread::Io(1), Thread::Flusher];
        let homes = homes(threads.placement(), &roles).await;
        assert_eq!(homes[0], homes[1], "the log shares the first I/O thread");
        assert!(!homes.contains(&thread::current().id()));
        assert_ne!(homes[0], homes[2]);
        assert_ne!(homes[2], homes[3]);
        threads.join(PATIENCE).await.unwrap();
    }

    #[actix::test]
    async fn a_task_that_is_not_send_runs_on_its_thread_and_its_panic_is_its_own() {
        let threads = Threads::start(Layout::for_cores(1)).unwrap();
        let placement = threads.placement();
        placement.run(Thread::Io(0), "clumsy", || async { panic!("tripped") });
        let (sender, receiver) = oneshot::channel();
        placement.run(Thread::Io(0), "steady", || async {
            let not_send = Rc::new(7);
            tokio::task::yield_now().await;
            sender.send(*not_send).unwrap();
        });
        assert_eq!(tokio::time::timeout(PATIENCE, receiver).await.unwrap(), Ok(7));
        threads.join(PATIENCE).await.unwrap();
    }

    #[actix::test]
    async fn threads_carry_the_names_of_their_roles() {
        let threads = Threads::start(Layout::for_cores(4)).unwrap();
        let (sender, receiver) = oneshot::channel();
        threads.placement().run(Thread::Log, "who", || async {
            sender.send(rustix::thread::name().unwrap()).unwrap();
        });
        assert_eq!(receiver.await.unwrap().to_str(), Ok("cuemq-log"));
        threads.join(PATIENCE).await.unwrap();
    }

    #[actix::test]
    async fn a_task_for_a_thread_that_is_gone_is_dropped() {
        let threads = Threads::start(Layout::for_cores(1)).unwrap();
        let placement = threads.placement();
        threads.join(PATIENCE).await.unwrap();
        let (sender, receiver) = oneshot::channel::<()>();
        placement.run(Thread::Io(0), "late", || async move { sender.send(()).unwrap() });
        assert!(receiver.await.is_err());
    }

    #[actix::test]
    async fn a_thread_that_is_busy_beyond_the_limit_is_named() {
        let threads = Threads::start(Layout::for_cores(1)).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (started, is_started) = oneshot::channel();
        threads.placement().run(Thread::Flusher, "stuck", || async move {
            started.send(()).unwrap();
            let _ = held.recv();
        });
        is_started.await.unwrap();
        let error = threads.join(Duration::from_millis(20)).await.unwrap_err();
        assert!(error.to_string().ends_with("after 20 ms: flusher, io-0"), "{error}");
        drop(release);
    }

    #[test]
    fn threads_without_an_actix_system_are_an_error() {
        assert!(matches!(
            Threads::start(Layout::for_cores(1)),
            Err(ThreadsError::NoSystem)
        ));
    }
}
