//! Reads whole frames from a stream (what `NettyDecoder` does for Java).
//!
//! The buffer grows with the bytes that came, not with those that a length field promises: a peer that announces 16 MiB
//! and sends nothing costs one step.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::FrameError;
use crate::frame;

/// Room that is made at least, when it is made. What was taken out of it keeps it alive until it is let go, so that more
/// room means less memory for each of many short frames.
const STEP_BYTES: usize = 32 * 1024;

/// With less room than this, more is made before a read.
const ROOM_BYTES: usize = 2 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream failed.
    #[error("reading failed")]
    Io(#[from] std::io::Error),
    /// The bytes are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream ended within a frame.
    #[error("the stream ended {had} bytes into a frame")]
    Torn {
        /// Bytes of the frame that came.
        had: usize,
    },
}

/// Reads the next frame of at most `max` bytes, its length field included; `None` when the stream ended between two
/// frames. What was read beyond the frame stays in `buffer` for the next call, also if this call is cancelled.
pub async fn read_frame<R>(reader: &mut R, buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, ReadError>
where
    R: AsyncRead + Unpin,
{
    loop {
        if let Some(found) = frame::check(buffer, max)? {
            return Ok(Some(buffer.split_to(found.total).freeze()));
        }
        let had = buffer.len();
        let missing = frame::needed(buffer).map_or(0, |total| total - had);
        // at most doubled, so that memory follows what came
        let wanted = missing.clamp(ROOM_BYTES, STEP_BYTES.max(had));
        if buffer.capacity() - had < wanted {
            buffer.reserve(wanted.max(STEP_BYTES));
        }
        if reader.read_buf(buffer).await? == 0 {
            return if had == 0 {
                Ok(None)
            } else {
                Err(ReadError::Torn { had })
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::RequestCode;
    use crate::command::Command;
    use crate::frame::MAX_FRAME_BYTES;
    use tokio::io::AsyncWriteExt;

    fn frame_of(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let command = Command::request(RequestCode::HEART_BEAT).with_body(body.to_vec());
        command.encode(&mut out).unwrap();
        out
    }

    #[tokio::test]
    async fn frames_come_out_whole_however_they_arrive() {
        let frames = [frame_of(b"a"), frame_of(&[7; 50_000]), frame_of(b"")];
        // a pipe of 3 bytes tears every frame
        let (mut ours, mut theirs) = tokio::io::duplex(3);
        let sent = frames.concat();
        let send = async move {
            theirs.write_all(&sent).await.unwrap();
        };
        let receive = async {
            let mut buffer = BytesMut::new();
            for frame in &frames {
                let read = read_frame(&mut ours, &mut buffer, MAX_FRAME_BYTES).await.unwrap();
                assert_eq!(read.unwrap(), frame);
            }
            assert!(
                read_frame(&mut ours, &mut buffer, MAX_FRAME_BYTES)
                    .await
                    .unwrap()
                    .is_none()
            );
        };
        tokio::join!(send, receive);
    }

    #[tokio::test]
    async fn a_torn_frame_is_an_error() {
        let frame = frame_of(b"body");
        let mut cut = &frame[..frame.len() - 1];
        let read = read_frame(&mut cut, &mut BytesMut::new(), MAX_FRAME_BYTES).await;
        assert!(matches!(read, Err(ReadError::Torn { had }) if had == frame.len() - 1));
    }

    #[tokio::test]
    async fn a_promise_of_many_bytes_allocates_none() {
        let promise = (MAX_FRAME_BYTES as u32 - 4).to_be_bytes();
        let mut buffer = BytesMut::new();
        let read = read_frame(&mut &promise[..], &mut buffer, MAX_FRAME_BYTES).await;
        assert!(matches!(read, Err(ReadError::Torn { had: 4 })));
        assert!(buffer.capacity() < 4 * STEP_BYTES, "{}", buffer.capacity());
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_is_refused_before_it_comes() {
        let frame = frame_of(&[0; 1000]);
        let read = read_frame(&mut &frame[..4], &mut BytesMut::new(), 500).await;
        assert!(matches!(
            read,
            Err(ReadError::Frame(FrameError::TooLarge { limit: 500, .. }))
        ));
    }
}
