//! Frames on their way to the stream: written one behind the other into one buffer, which leaves by one write.
//!
//! Two buffers take turns, one that is filled and one that is written, so that a frame needs no memory of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::call::CallError;
use crate::error::FrameError;

/// What an empty buffer may keep of its memory, in bytes.
const KEPT_BYTES: usize = 256 * 1024;

/// The frames that wait to be written, so many at most.
#[derive(Debug)]
pub(super) struct Outbox {
    /// A permit for each frame that may still come; closed when the connection has ended.
    room: Semaphore,
    filling: Mutex<Filling>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Filling {
    bytes: Vec<u8>,
    frames: usize,
    /// Nobody is left who could add a frame.
    is_last: bool,
}

/// Room for one frame.
pub(super) struct Room<'a> {
    outbox: &'a Outbox,
    permit: SemaphorePermit<'a>,
}

impl Outbox {
    pub(super) fn new(max_frames: usize) -> Arc<Self> {
        Arc::new(Self {
            room: Semaphore::new(max_frames),
            filling: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn filling(&self) -> MutexGuard<'_, Filling> {
        // a panic elsewhere leaves at most a frame that was not finished, and that is cut off by who writes one
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a frame.
    pub(super) async fn room(&self) -> Result<Room<'_>, CallError> {
        let permit = self.room.acquire().await.map_err(|_| CallError::Closed)?;
        Ok(Room { outbox: self, permit })
    }

    /// Room for a frame, where there is some at once.
    pub(super) fn room_now(&self) -> Option<Room<'_>> {
        let permit = self.room.try_acquire().ok()?;
        Some(Room { outbox: self, permit })
    }

    /// No more frames will come; those that are here are still written.
    pub(super) fn finish(&self) {
        self.filling().is_last = true;
        self.changed.notify_one();
    }

    /// The connection has ended: nothing is written any more.
    pub(super) fn close(&self) {
        self.room.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    /// Waits for frames and takes all that are there into `bytes`, which is empty; how many they are, 0 when no more
    /// will come.
    pub(super) async fn take(&self, bytes: &mut Vec<u8>) -> usize {
        loop {
            {
                let mut filling = self.filling();
                if filling.frames > 0 || filling.is_last {
                    std::mem::swap(&mut filling.bytes, bytes);
                    return std::mem::take(&mut filling.frames);
                }
            }
            // keeps a notice that comes in between
            self.changed.notified().await;
        }
    }

    /// Makes room again for frames that were written.
    pub(super) fn written(&self, frames: usize, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.shrink_to(KEPT_BYTES);
        self.room.add_permits(frames);
    }
}

impl Room<'_> {
    /// Has a frame written behind the others.
    pub(super) fn fill(self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), FrameError>) -> Result<(), CallError> {
        {
            let mut filling = self.outbox.filling();
            let Filling { bytes, frames, .. } = &mut *filling;
            let begin = bytes.len();
            let guard = Unfinished {
                bytes,
                begin,
                is_done: false,
            };
            guard.finish(write)?;
            *frames += 1;
        }
        self.permit.forget();
        self.outbox.changed.notify_one();
        Ok(())
    }
}

/// A frame that is being written; cut off unless it is finished.
struct Unfinished<'a> {
    bytes: &'a mut Vec<u8>,
    begin: usize,
    is_done: bool,
}

impl Unfinished<'_> {
    fn finish(mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), FrameError>) -> Result<(), FrameError> {
        write(self.bytes)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.bytes.truncate(self.begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(room: Room<'_>, frame: &[u8]) {
        room.fill(|out| {
            out.extend_from_slice(frame);
            Ok(())
        })
        .unwrap();
    }

    #[tokio::test]
    async fn frames_leave_together_in_their_order_and_make_room_when_they_are_written() {
        let outbox = Outbox::new(2);
        put(outbox.room().await.unwrap(), b"ab");
        put(outbox.room().await.unwrap(), b"c");
        assert!(outbox.room_now().is_none());
        let mut bytes = Vec::new();
        assert_eq!((outbox.take(&mut bytes).await, &bytes[..]), (2, &b"abc"[..]));
        assert!(outbox.room_now().is_none(), "not before they are written");
        outbox.written(2, &mut bytes);
        assert!(outbox.room_now().is_some() && bytes.is_empty());
    }

    #[tokio::test]
    async fn a_frame_that_fails_leaves_no_trace() {
        let outbox = Outbox::new(1);
        let failed = outbox.room().await.unwrap().fill(|out| {
            out.push(7);
            Err(FrameError::TooLarge { announced: 9, limit: 8 })
        });
        assert!(matches!(failed, Err(CallError::TooLarge(_))));
        put(outbox.room_now().unwrap(), b"x");
        let mut bytes = Vec::new();
        assert_eq!((outbox.take(&mut bytes).await, &bytes[..]), (1, &b"x"[..]));
    }

    #[tokio::test]
    async fn the_last_frames_are_taken_before_the_end() {
        let outbox = Outbox::new(1);
        put(outbox.room_now().unwrap(), b"x");
        outbox.finish();
        let mut bytes = Vec::new();
        assert_eq!(outbox.take(&mut bytes).await, 1);
        outbox.written(1, &mut bytes);
        assert_eq!(outbox.take(&mut bytes).await, 0);
        outbox.close();
        assert!(matches!(outbox.room().await, Err(CallError::Closed)));
    }

    #[tokio::test]
    async fn a_long_burst_does_not_keep_its_memory() {
        let outbox = Outbox::new(1);
        put(outbox.room_now().unwrap(), &vec![0; 4 * KEPT_BYTES]);
        let mut bytes = Vec::new();
        outbox.take(&mut bytes).await;
        outbox.written(1, &mut bytes);
        assert!(bytes.capacity() <= KEPT_BYTES);
    }
}
