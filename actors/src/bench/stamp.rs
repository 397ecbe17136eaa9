//! What a body begins with whose receipt is timed, big-endian. Sender and receiver are one program with one clock, so the
//! time needs no other machine's.
//!
//! | bytes | meaning |
//! |---:|---|
//! | 8 | the run, by which messages of others are passed over |
//! | 8 | when the message was due, in ns of the run's clock |

/// How long it is.
pub(super) const BYTES: usize = 16;

/// Writes it over the first bytes of a body, which has to have as many.
pub(super) fn write(body: &mut [u8], run: u64, due_ns: u64) {
    body[..8].copy_from_slice(&run.to_be_bytes());
    body[8..BYTES].copy_from_slice(&due_ns.to_be_bytes());
}

/// When a message of this run was due; `None` for all others.
pub(super) fn read(body: &[u8], run: u64) -> Option<u64> {
    let (of, rest) = body.split_first_chunk()?;
    let due = rest.first_chunk()?;
    (u64::from_be_bytes(*of) == run).then(|| u64::from_be_bytes(*due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_the_own_run_are_read() {
        let mut body = [7; 20];
        write(&mut body, 5, 1_000);
        assert_eq!((read(&body, 5), read(&body, 6)), (Some(1_000), None));
        assert_eq!((read(&body[..15], 5), body[16]), (None, 7));
    }
}
