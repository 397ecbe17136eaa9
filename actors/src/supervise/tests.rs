//! Supervision seen from outside: panics wherever an actor can panic, and what its callers and its supervisor see.

mod notebook;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, MailboxError};
use futures_util::FutureExt;
use tokio::sync::oneshot;

use self::notebook::*;
use super::*;
use crate::placement::Thread;
use crate::testing::{PATIENCE, Stage};

const ONCE: Policy = Policy::Restart {
    limit: 1,
    window: Duration::from_secs(60),
    backoff: Backoff::NONE,
};

async fn failure(stage: &mut Stage) -> String {
    stage.failure().await.0.to_string()
}

const AT_ONCE: Verdict = Verdict::Restart { after: Duration::ZERO };

#[actix::test]
async fn a_panic_in_a_handler_fails_its_caller_and_the_queued_messages_run_on_a_fresh_value() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    assert_eq!(notebook.send(Note(1)).await, Ok(1));
    let broken = notebook.send(Break::Handler);
    let queued = [notebook.send(Note(2)), notebook.send(Note(3)), notebook.send(Note(4))];
    assert_eq!(broken.await, Err(MailboxError::Closed));
    for (place, queued) in queued.into_iter().enumerate() {
        assert_eq!(queued.await, Ok(place + 1), "a fresh value, and the order kept");
    }
    assert_eq!(notebook.send(Read).await.unwrap(), [2, 3, 4]);
    let (failure, verdict) = stage.failure().await;
    let failure = failure.to_string();
    assert!(
        failure.contains("spilled ink") && failure.contains("Break"),
        "{failure}"
    );
    assert_eq!(verdict, AT_ONCE);
}

#[actix::test]
async fn a_panic_in_a_future_or_timer_builds_a_fresh_value_under_the_same_address() {
    for what in [Break::Spawned, Break::WaitedFor, Break::Timer, Break::Behind] {
        let mut stage = Stage::new();
        let notebook = notebook(&mut stage, ONCE);
        assert_eq!(notebook.send(Note(1)).await, Ok(1));
        assert_eq!(notebook.send(what).await, Ok(()), "the handler itself went well");
        assert_eq!(stage.failure().await.1, AT_ONCE);
        assert_eq!(notebook.send(Note(2)).await, Ok(1));
    }
}

#[actix::test]
async fn what_is_asked_for_behind_the_messages_is_done_once_for_all_that_wait() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    notebook.send(Note(1)).await.unwrap();
    for number in [2, 3] {
        notebook.try_send(NoteBehind).unwrap();
        notebook.try_send(Note(number)).unwrap();
    }
    let while_they_wait = notebook.send(Read).await.unwrap();
    assert_eq!(while_they_wait, [1, 2, 3]);
    assert_eq!(notebook.send(Read).await.unwrap(), [1, 2, 3, BEHIND]);
}

#[actix::test]
async fn a_deferred_reply_fails_with_the_value_that_held_it() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    let (reply, later) = oneshot::channel();
    notebook.send(Later(reply)).await.unwrap();
    notebook.try_send(Break::Handler).unwrap();
    assert!(later.await.is_err());
}

#[actix::test]
async fn what_a_value_spawned_goes_with_it() {
    let mut stage = Stage::new();
    let (held, dropped) = oneshot::channel::<()>();
    let mut held = Some(held);
    let notebook = stage.nursery.start(
        ChildSpec::new("notebook", Thread::Files),
        move |ctx: &mut Context<Notebook>| {
            let held = held.take();
            let endless = async move {
                std::future::pending::<()>().await;
                drop(held);
            };
            ctx.spawn(actix::fut::wrap_future(endless));
            Ok(Notebook::default())
        },
    );
    notebook.try_send(Break::Handler).unwrap();
    assert!(tokio::time::timeout(PATIENCE, dropped).await.unwrap().is_err());
    assert_eq!(notebook.send(Note(1)).await, Ok(1));
}

#[actix::test]
async fn a_spawned_future_is_polled_when_it_is_woken_and_not_for_each_message() {
    let mut stage = Stage::new();
    let (ring, mut rung) = tokio::sync::mpsc::channel::<()>(1);
    let (polls, polled) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&polls);
    let mut future = Some(std::future::poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        rung.poll_recv(cx).map(|_| ())
    }));
    let done = Arc::clone(&polled);
    let notebook = stage.start("notebook", move |ctx: &mut Context<Notebook>| {
        let (done, future) = (Arc::clone(&done), future.take().unwrap());
        ctx.spawn(actix::fut::wrap_future(future).map(move |(), _, _| done.store(1, Ordering::Relaxed)));
        Ok(Notebook::default())
    });
    for note in 1..=10 {
        notebook.send(Note(note)).await.unwrap();
    }
    let before = polls.load(Ordering::Relaxed);
    assert_eq!((before, polled.load(Ordering::Relaxed)), (1, 0));
    ring.send(()).await.unwrap();
    notebook.send(Read).await.unwrap();
    assert_eq!((polls.load(Ordering::Relaxed), polled.load(Ordering::Relaxed)), (2, 1));
}

#[actix::test]
async fn failures_beyond_the_budget_close_the_mailbox_and_go_up() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    notebook.try_send(Break::Handler).unwrap();
    assert_eq!(stage.failure().await.1, AT_ONCE);
    let last = notebook.send(Break::Handler);
    let queued = notebook.send(Read);
    assert_eq!(last.await, Err(MailboxError::Closed));
    assert_eq!(queued.await, Err(MailboxError::Closed));
    assert_eq!(stage.failure().await.1, Verdict::Escalate);
    assert!(!notebook.connected());
    assert_eq!(stage.nursery.tree().health(), Health::Failed);
}

#[actix::test]
async fn time_heals_a_budget() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    for _ in 0..3 {
        notebook.try_send(Break::Handler).unwrap();
        assert_eq!(stage.failure().await.1, AT_ONCE);
        stage.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(stage.nursery.tree().child("notebook").unwrap().restarts, 3);
}

#[actix::test]
async fn messages_wait_in_order_while_a_pause_lasts() {
    let backoff = Backoff {
        step: Duration::from_millis(20),
        most: Duration::from_secs(1),
    };
    let mut stage = Stage::new();
    let notebook = notebook(
        &mut stage,
        Policy::Restart {
            limit: 9,
            window: Duration::from_secs(60),
            backoff,
        },
    );
    notebook.try_send(Break::Handler).unwrap();
    notebook.try_send(Break::Handler).unwrap();
    for number in 0..10 {
        notebook.try_send(Note(number)).unwrap();
    }
    assert_eq!(stage.failure().await.1, AT_ONCE);
    assert_eq!(
        stage.failure().await.1,
        Verdict::Restart {
            after: Duration::from_millis(20)
        }
    );
    assert_eq!(stage.nursery.tree().health(), Health::Restarting);
    assert_eq!(notebook.send(Read).await.unwrap(), (0..10).collect::<Vec<_>>());
}

#[actix::test]
async fn a_factory_that_fails_is_asked_again_within_the_budget() {
    let mut stage = Stage::new();
    let notebook = notebook(
        &mut stage,
        Policy::Restart {
            limit: 3,
            window: Duration::from_secs(60),
            backoff: Backoff::NONE,
        },
    );
    stage.all_up().await.unwrap();
    stage.faults.arm("notebook", Site::Factory, 2);
    notebook.try_send(Break::Handler).unwrap();
    let queued = notebook.send(Note(1));
    let failures = [
        failure(&mut stage).await,
        failure(&mut stage).await,
        failure(&mut stage).await,
    ];
    assert!(failures[0].contains("spilled ink"));
    assert!(
        failures[1].contains("injected") && failures[2].contains("its factory"),
        "{failures:?}"
    );
    assert_eq!(queued.await, Ok(1));
}

#[actix::test]
async fn a_child_that_never_ran_is_an_error_of_starting_up() {
    let mut stage = Stage::new();
    let notebook = stage.nursery.start(ChildSpec::new("notebook", Thread::Files), |_| {
        Err::<Notebook, _>(Cause::from("the shop is closed"))
    });
    let error = stage.all_up().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "notebook did not start: could not start: the shop is closed"
    );
    assert_eq!(stage.failure().await.1, Verdict::Escalate);
    assert_eq!(notebook.send(Read).await, Err(MailboxError::Closed));
}

#[actix::test]
async fn the_first_build_of_a_child_started_on_demand_follows_its_policy() {
    let mut stage = Stage::new();
    stage.faults.arm("notebook", Site::Factory, 1);
    let spec = ChildSpec::new("notebook", Thread::Files).policy(ONCE).on_demand();
    let notebook = stage
        .nursery
        .start(spec, |_: &mut Context<Notebook>| Ok(Notebook::default()));
    let queued = notebook.send(Note(1));
    assert_eq!(stage.failure().await.1, AT_ONCE);
    assert_eq!(queued.await, Ok(1), "what it was started for is done");
    notebook.try_send(Break::Handler).unwrap();
    assert_eq!(
        stage.failure().await.1,
        Verdict::Escalate,
        "the budget counts the first build"
    );
}

#[actix::test]
async fn a_child_started_on_demand_does_what_it_was_started_for_even_if_the_end_comes_first() {
    let mut stage = Stage::new();
    let spec = ChildSpec::new("notebook", Thread::Files).on_demand();
    let notebook = stage
        .nursery
        .start(spec, |_: &mut Context<Notebook>| Ok(Notebook::default()));
    let queued = notebook.send(Note(1));
    stage.nursery.stop_all(PATIENCE).await.unwrap();
    assert_eq!(queued.await, Ok(1));
}

#[actix::test]
async fn what_a_child_waits_for_from_the_start_belongs_to_its_starting_up() {
    for goes_well in [true, false] {
        let mut stage = Stage::new();
        let (answer, ask) = oneshot::channel::<()>();
        let mut ask = Some(ask);
        let notebook = stage.start("notebook", move |ctx: &mut Context<Notebook>| {
            let ask = ask.take().ok_or("asked already")?;
            let binding = actix::fut::wrap_future::<_, Notebook>(ask);
            ctx.wait(binding.map(|bound, _, ctx: &mut Context<Notebook>| {
                if let Err(error) = bound {
                    ctx.fail(error);
                }
            }));
            Ok(Notebook::default())
        });
        notebook.try_send(Break::Handler).unwrap();
        let mut up = Box::pin(stage.nursery.all_up());
        stage.reports.expect_none().await;
        assert!((&mut up).now_or_never().is_none());
        if goes_well {
            answer.send(()).unwrap();
            up.await.unwrap();
            assert_eq!(
                stage.failure().await.1,
                AT_ONCE,
                "its first message is no part of its starting up"
            );
        } else {
            drop(answer);
            assert!(
                up.await
                    .unwrap_err()
                    .to_string()
                    .starts_with("notebook did not start: gave up")
            );
            assert_eq!(stage.failure().await.1, Verdict::Escalate);
        }
    }
}

#[actix::test]
async fn a_failed_start_is_told_even_when_its_report_came_first() {
    let mut stage = Stage::new();
    stage.faults.arm("notebook", Site::Factory, 1);
    notebook(&mut stage, ONCE);
    stage.failure().await;
    assert!(stage.all_up().await.is_err());
}

#[actix::test]
async fn armed_faults_strike_handlers_and_tasks_by_name() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, Policy::RESTART);
    notebook.send(Note(1)).await.unwrap();
    stage.faults.arm("notebook", Site::Handler, 1);
    assert_eq!(
        notebook.send(Note(2)).await,
        Err(MailboxError::Closed),
        "done, but the answer is lost"
    );
    assert!(notebook.send(Read).await.unwrap().is_empty());
    stage.faults.arm("notebook", Site::Task, 1);
    notebook.send(Break::Timer).await.unwrap();
    assert!(failure(&mut stage).await.contains("Handler"));
    assert!(failure(&mut stage).await.contains("Task"));
    assert_eq!(stage.faults.due("notebook", Site::Task), 0);
}

#[actix::test]
async fn a_fault_before_a_message_is_handled_loses_it_with_nothing_done() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, Policy::RESTART);
    stage.faults.arm("notebook", Site::Message, 1);
    assert_eq!(notebook.send(Note(1)).await, Err(MailboxError::Closed));
    assert!(failure(&mut stage).await.contains("Message"));
    notebook.send(Note(2)).await.unwrap();
    assert_eq!(notebook.send(Read).await.unwrap(), [2]);
}

#[actix::test]
async fn an_actor_that_gives_up_is_built_anew_like_one_that_panicked() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    notebook.send(Note(1)).await.unwrap();
    notebook.send(Break::GiveUp).await.unwrap();
    assert!(notebook.send(Read).await.unwrap().is_empty());
    assert_eq!(failure(&mut stage).await, "gave up: no more pages");
}

#[actix::test]
async fn fail_stop_goes_up_at_the_first_failure_and_never_ends_alone() {
    for (policy, verdict) in [(Policy::FailStop, Verdict::Escalate), (Policy::Never, Verdict::Leave)] {
        let mut stage = Stage::new();
        let notebook = notebook(&mut stage, policy);
        stage.all_up().await.unwrap();
        assert_eq!(notebook.send(Break::Handler).await, Err(MailboxError::Closed));
        assert_eq!(stage.failure().await.1, verdict);
        assert!(!notebook.connected());
    }
}

#[actix::test]
async fn an_actor_that_stops_itself_is_not_built_anew() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    notebook.send(Break::Stop).await.unwrap();
    stage.until(|event| matches!(event, ChildEvent::Stopped)).await;
    assert!(!notebook.connected());
    assert_eq!(stage.nursery.tree().child("notebook").unwrap().health, Health::Stopped);
}

#[actix::test]
async fn an_actor_whose_last_address_is_dropped_stops() {
    let mut stage = Stage::new();
    drop(notebook(&mut stage, ONCE));
    stage.until(|event| matches!(event, ChildEvent::Stopped)).await;
}

#[actix::test]
async fn a_message_is_handled_even_when_its_sender_lost_patience() {
    let mut stage = Stage::new();
    let notebook = notebook(&mut stage, ONCE);
    drop(notebook.send(Note(1)));
    assert_eq!(notebook.send(Read).await.unwrap(), [1]);
}

#[actix::test]
async fn a_flooded_actor_lets_others_have_their_turn() {
    let mut stage = Stage::new();
    let taken = Arc::new(AtomicU32::new(0));
    let (count, spec) = (taken.clone(), ChildSpec::new("notebook", Thread::Files));
    let notebook = stage.nursery.start(spec, move |_| {
        Ok(Notebook {
            taken: count.clone(),
            ..Notebook::default()
        })
    });
    stage.all_up().await.unwrap();
    for number in 0..700 {
        notebook.try_send(Note(number)).unwrap();
    }
    // Another task of the same thread: it and the actor take turns.
    let neighbour = actix_rt::spawn(async move {
        let mut seen = vec![0];
        while seen.last() != Some(&700) {
            tokio::task::yield_now().await;
            seen.push(taken.load(Ordering::SeqCst));
        }
        seen
    });
    let seen = tokio::time::timeout(PATIENCE, neighbour).await.unwrap().unwrap();
    assert!(
        seen.iter().any(|taken| (1..700).contains(taken)),
        "never saw it half way: {seen:?}"
    );
}

#[actix::test]
async fn stopping_handles_what_is_queued_and_goes_from_the_last_started_to_the_first() {
    let mut stage = Stage::new();
    let names = ["first", "second", "third"];
    let notebooks = names.map(|name| {
        stage
            .nursery
            .start(ChildSpec::new(name, Thread::Files), |_: &mut Context<Notebook>| {
                Ok(Notebook::default())
            })
    });
    stage.all_up().await.unwrap();
    let queued: Vec<_> = notebooks.iter().map(|notebook| notebook.send(Note(1))).collect();
    stage.nursery.stop_all(PATIENCE).await.unwrap();
    for queued in queued {
        assert_eq!(queued.await, Ok(1));
    }
    let ids: Vec<_> = stage
        .nursery
        .tree()
        .children()
        .iter()
        .map(|child| child.id)
        .rev()
        .collect();
    let stopped = stage
        .reports
        .drain()
        .await
        .into_iter()
        .filter(|report| matches!(report.event, ChildEvent::Stopped));
    assert_eq!(stopped.map(|report| report.child).collect::<Vec<_>>(), ids);
}

#[actix::test]
async fn an_actor_may_finish_its_work_before_it_stops() {
    let mut stage = Stage::new();
    let notebook = stage.nursery.start(
        ChildSpec::new("notebook", Thread::Files),
        |_: &mut Context<Notebook>| {
            Ok(Notebook {
                lingers: true,
                ..Notebook::default()
            })
        },
    );
    stage.all_up().await.unwrap();
    stage.nursery.stop_all(PATIENCE).await.unwrap();
    assert!(!notebook.connected());
}

#[actix::test]
async fn a_child_that_fails_while_it_stops_is_named_and_not_built_anew() {
    let mut stage = Stage::new();
    let notebook = stage.start("notebook", |_| {
        Ok(Notebook {
            stumbles: true,
            ..Notebook::default()
        })
    });
    stage.all_up().await.unwrap();
    let error = stage.nursery.stop_all(PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("notebook failed: panicked"), "{error}");
    assert!(error.still_running.is_empty());
    assert!(!notebook.connected());
    assert_eq!(stage.failure().await.1, Verdict::Escalate);
}

#[actix::test]
async fn a_pause_does_not_hold_up_the_stop() {
    let backoff = Backoff {
        step: PATIENCE,
        most: PATIENCE,
    };
    let mut stage = Stage::new();
    let notebook = notebook(
        &mut stage,
        Policy::Restart {
            limit: 9,
            window: PATIENCE,
            backoff,
        },
    );
    notebook.try_send(Break::Handler).unwrap();
    notebook.try_send(Break::Handler).unwrap();
    let failures = [stage.failure().await.1, stage.failure().await.1];
    assert_eq!(failures, [AT_ONCE, Verdict::Restart { after: PATIENCE }]);
    stage.nursery.stop_all(PATIENCE / 2).await.unwrap();
}

#[actix::test]
async fn a_child_that_does_not_end_is_named() {
    let mut stage = Stage::new();
    notebook(&mut stage, ONCE);
    let stuck = stage.start("stuck", |_| Ok(Notebook::default()));
    stage.all_up().await.unwrap();
    stuck.send(Break::GetStuck).await.unwrap();
    let error = stage.nursery.stop_all(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no clean stop within 1 ms: stuck still runs; notebook still runs"
    );
}
