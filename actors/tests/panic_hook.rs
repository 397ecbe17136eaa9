//! What a caught panic leaves in the log: one line with actor, text and place, and nothing on standard error.
//!
//! The panic hook belongs to the whole process, so this file is one test.

use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Handler, Message};
use cuemq_actors::supervise::{Context, install_panic_hook};
use cuemq_actors::testing::Stage;

/// Set for the process that panics.
const INNER: &str = "CUEMQ_TEST_PANICS";

#[derive(Message)]
#[rtype(result = "()")]
struct Trip;

struct Walker;

impl Actor for Walker {
    type Context = Context<Self>;
}

impl Handler<Trip> for Walker {
    type Result = ();

    fn handle(&mut self, _: Trip, _: &mut Context<Self>) {
        panic!("over a stone");
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "it is a test")]
fn panics() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    install_panic_hook();
    actix::System::new().block_on(async {
        let mut stage = Stage::new();
        let walker = stage.start("walker", |_| Ok(Walker));
        assert!(walker.send(Trip).await.is_err());
        stage.failure().await;
    });
    std::thread::Builder::new()
        .name("stroller".into())
        .spawn(|| panic!("outside"))
        .unwrap()
        .join()
        .unwrap_err();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    print!("{text}");
}

#[test]
fn a_panic_is_one_line_in_the_log_and_nothing_on_standard_error() {
    if std::env::var_os(INNER).is_some() {
        return panics();
    }
    let name = "a_panic_is_one_line_in_the_log_and_nothing_on_standard_error";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INNER, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        !errors.contains("over a stone") && !errors.contains("outside"),
        "{errors}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("over a stone")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in ["WARN", "actor=\"walker\"", "panic_hook.rs:", "Trip", "restarts=1"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    let outside: Vec<_> = text.lines().filter(|line| line.contains("outside any actor")).collect();
    assert!(outside.len() == 1 && outside[0].contains("stroller"), "{text}");
}
