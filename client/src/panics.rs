//! Runs what the application gave, which may panic: a panic there is told and ends nothing here.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a future to its end, or to its panic: `None`. What the application's own state is behind it is the application's.
pub(crate) async fn caught<F: Future>(make: impl FnOnce() -> F) -> Option<F::Output> {
    let future = catch_unwind(AssertUnwindSafe(make)).ok()?;
    let mut future = pin!(future);
    let poll = std::future::poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    );
    poll.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_none_wherever_it_comes() {
        assert_eq!(caught(|| async { 7 }).await, Some(7));
        let late = caught(|| async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        assert_eq!(late.await, None::<()>);
        let early = caught(|| -> std::future::Ready<()> { panic!("on purpose") });
        assert_eq!(early.await, None);
    }
}
