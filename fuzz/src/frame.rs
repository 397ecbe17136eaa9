//! A byte stream, judged frame by frame as a connection does it: the judgement is the same however much of the stream is
//! there, and every complete frame that can be read means the same after it was written, in either codec, and read again.

use bytes::Bytes;
use cuemq_net::command::Command;
use cuemq_net::frame::{self, HeaderCodec, MAX_FRAME_BYTES, PREFIX_BYTES};

/// Reads frames from the start of `data` until one is bad or not complete.
pub fn run(data: &[u8]) {
    let mut rest = Bytes::copy_from_slice(data);
    while let Some(parts) = judged(&rest) {
        let one = rest.split_to(parts.total);
        let Ok(command) = Command::decode(&one) else { continue };
        assert_eq!(command.body, one[parts.body]);
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            is_written_alike(&command, codec);
        }
    }
}

/// The frame at the start of a stream, where there is one.
fn judged(stream: &[u8]) -> Option<frame::Frame> {
    match frame::check(stream, MAX_FRAME_BYTES) {
        Ok(Some(parts)) => {
            assert_eq!((parts.header.start, parts.header.end), (PREFIX_BYTES, parts.body.start));
            assert_eq!(parts.body.end, parts.total);
            assert_eq!(frame::needed(stream), Some(parts.total));
            for length in [3, 4, 7, 8, parts.total - 1] {
                let cut = &stream[..length.min(parts.total - 1)];
                assert_eq!(frame::check(cut, MAX_FRAME_BYTES), Ok(None), "{length} bytes of it");
            }
            Some(parts)
        }
        Ok(None) => None,
        refused => {
            assert_eq!(frame::check(&[stream, &[0; 16]].concat(), MAX_FRAME_BYTES), refused);
            None
        }
    }
}

fn is_written_alike(command: &Command, codec: HeaderCodec) {
    let written_command = command.clone().with_codec(codec);
    let mut written = Vec::new();
    // a header near the limit may outgrow it when characters that came unescaped are escaped
    if written_command.encode(&mut written).is_err() {
        return;
    }
    let mut again = Command::decode(&written.into()).expect("what was written is readable");
    if again.codec == HeaderCodec::Binary && again.remark.is_none() {
        // to the binary form an empty remark is none
        again.remark = command.remark.clone().filter(String::is_empty);
    }
    again.codec = command.codec;
    again.language = again.language.filter(|_| command.language.is_some());
    assert_eq!(&again, command);
}
