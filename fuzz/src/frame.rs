//! A byte stream, judged frame by frame as a connection does it: every complete frame that can be read means the same
//! after it was written and read again.

use bytes::Bytes;
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};

/// Reads frames from the start of `data` until one is bad or not complete.
pub fn run(data: &[u8]) {
    let mut rest = Bytes::copy_from_slice(data);
    while let Ok(Some(parts)) = frame::check(&rest, MAX_FRAME_BYTES) {
        assert!(parts.total >= 8 && parts.total <= rest.len());
        assert_eq!(frame::needed(&rest), Some(parts.total));
        let one = rest.split_to(parts.total);
        let Ok(command) = Command::decode(&one) else { continue };
        let mut written = Vec::new();
        // a header near the limit may outgrow it when characters that came unescaped are escaped
        if command.encode(&mut written).is_err() {
            continue;
        }
        let mut again = Command::decode(&written.into()).expect("what was written is readable");
        again.codec = command.codec;
        again.language = command.language;
        assert_eq!(again, command);
    }
}
