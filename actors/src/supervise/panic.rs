//! Catches panics at the edge of an actor or a task, and keeps them out of standard error.
//!
//! The default hook would print each caught panic a second time, without the actor's name. Ours only notes the place
//! while guarded code runs; whoever caught the panic logs it once, with name, text and place.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked at {}: {text}", place.as_deref().unwrap_or("an unknown place"))]
pub struct Panicked {
    /// What the panic said.
    pub text: String,
    /// File, line and column; known only when [`install_panic_hook`] was called.
    pub place: Option<String>,
}

/// Runs `work` and turns a panic into an error.
///
/// Whatever `work` borrows mutably may be left half changed: the caller must drop it or never look at it again.
///
/// # Errors
/// When `work` panicked.
pub fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|payload| Panicked {
        text: text_of(payload.as_ref()),
        place: PLACE.take(),
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// A future whose panics end as an error instead of tearing down the task without a word.
pub struct Guarded<F> {
    future: Pin<Box<F>>,
}

impl<F: Future> Guarded<F> {
    /// Guards a future.
    pub fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match guarded(|| self.future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

/// Sends panics to the log instead of standard error, once for the process.
///
/// A panic in guarded code is logged by its supervisor, any other one by the hook. Where no subscriber listens, the
/// hook that was there before still speaks for the unguarded ones.
pub fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                tracing::error!(%backtrace, "a panic is being handled");
            }
            if GUARDED.get() {
                PLACE.set(place);
            } else if tracing::dispatcher::has_been_set() {
                let thread = std::thread::current();
                let text = text_of(info.payload());
                tracing::error!(thread = thread.name(), place, text, "a panic outside any actor");
            } else {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_text_and_place() {
        install_panic_hook();
        let panicked = guarded::<()>(|| panic!("no more {}", "paper")).unwrap_err();
        assert_eq!(panicked.text, "no more paper");
        assert!(panicked.place.unwrap().contains("panic.rs:"));
    }

    #[test]
    fn a_guard_within_a_guard_leaves_the_outer_one_guarded() {
        let inner = guarded(|| {
            let caught = guarded::<()>(|| panic!("inner"));
            assert!(GUARDED.get(), "the outer guard still stands");
            caught
        });
        assert_eq!(inner.unwrap().unwrap_err().text, "inner");
        assert!(!GUARDED.get());
    }

    #[test]
    fn a_panicking_future_ends_with_an_error() {
        let mut future = Guarded::new(async { panic!("in a task") });
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Err(panicked)) = Pin::new(&mut future).poll(&mut cx) else {
            panic!("must be ready")
        };
        assert_eq!(panicked.text, "in a task");
        let _: Result<(), Panicked> = Err(panicked);
    }
}
