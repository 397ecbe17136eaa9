//! What the brokers of this program log, of all its tests together: a line is told apart by the address in it.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, Once};
use std::time::Instant;

use tracing_subscriber::fmt::MakeWriter;

use crate::PATIENCE;

static LINES: Mutex<String> = Mutex::new(String::new());
static GREW: Condvar = Condvar::new();

struct Lines;

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        GREW.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Keeps what is logged from now on.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(Lines);
        subscriber.with_max_level(tracing::Level::INFO).init();
    });
}

/// Waits for a line with all of these words, and gives it.
#[track_caller]
pub(crate) fn line(words: &[&str]) -> String {
    let began = Instant::now();
    let mut lines = LINES.lock().unwrap();
    loop {
        if let Some(line) = lines.lines().find(|line| words.iter().all(|word| line.contains(word))) {
            return line.to_owned();
        }
        let left = PATIENCE.checked_sub(began.elapsed());
        let left = left.unwrap_or_else(|| panic!("no line has {words:?}:\n{}", *lines));
        lines = GREW.wait_timeout(lines, left).unwrap().0;
    }
}
