//! The program as people meet it: what it prints, what signals do to it, and what it says when something is wrong.
//!
//! Here: a running `cuemq`. The tests are sorted by subject: `roles` (what runs and what it prints), `ends` (signals),
//! `logs` (what is written where), `operations` (other names, SIGHUP, a service manager), `deployment` (the samples of
//! `examples/deploy/`), `benchmark` (`cuemq bench suite` restarts a broker), `mistakes` (one sentence, status 2, nothing
//! changed), `tls` (what `cuemq tls init` makes).
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test prepares and reads files of another process, and is its client"
)]

mod benchmark;
mod deployment;
mod ends;
#[cfg(target_os = "linux")]
mod footprint;
mod logs;
mod mistakes;
mod operations;
mod roles;
mod stores;
mod tls;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command as Frame;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use rustix::process::{Pid, Signal, kill_process};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a `cuemq` may run in all; far longer than any test takes. It is killed then, and whoever reads from it sees the
/// end.
const LONGEST_LIFE: Duration = Duration::from_secs(60);

/// Small files, so that a test does not take gigabytes.
const SETTINGS: &str = "[store]\nsegment_bytes = \"1 MiB\"\nindex_slots = 500\nindex_entries = 2000\nfree_bytes = 0\n";

/// `cuemq` with arguments, and without the settings of whoever runs the test.
fn cuemq(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = program(Path::new(env!("CARGO_BIN_EXE_cuemq")));
    command.args(arguments);
    command
}

/// What lies at a path, without the settings of whoever runs the test.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_remove("NAMESRV_ADDR")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A directory with a settings file, and room for data.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("small.toml"), SETTINGS).unwrap();
        Self(home)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `cuemq ROLE` with small files and ports that the kernel picks.
    fn command(&self, role: &str) -> Command {
        let mut command = cuemq([
            role,
            "--port",
            "0",
            "--namesrv-port",
            "0",
            "--data",
            "data",
            "-c",
            "small.toml",
        ]);
        command.current_dir(self.path());
        command
    }

    fn start(&self, role: &str) -> Running {
        Running::start(self.command(role))
    }
}

/// A `cuemq` that runs.
struct Running {
    child: Child,
    /// The line that said that it is ready.
    line: String,
    out: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
    watchdog: Watchdog,
}

impl Running {
    fn start(command: Command) -> Self {
        let mut running = Self::starting(command);
        let Some(line) = running.out.next() else {
            let said: Vec<String> = running.log.by_ref().map(Result::unwrap).collect();
            panic!("it did not start within {LONGEST_LIFE:?}: {said:?}");
        };
        running.line = line.unwrap();
        running
    }

    /// One that need not be ready yet.
    fn starting(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            watchdog: Watchdog::over(&child),
            child,
            line: String::new(),
            out,
            log,
        }
    }

    /// The address after a word of the ready line.
    fn address(&self, word: &str) -> SocketAddr {
        let (_, after) = self.line.split_once(&format!("{word} ")).unwrap();
        after.split([',', ' ']).next().unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads the log up to a line that contains the words.
    fn wait_for_log(&mut self, words: &str) -> String {
        let line = self.log.by_ref().map(Result::unwrap).find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("it ended, or was killed after {LONGEST_LIFE:?}, without saying {words:?}"))
    }

    /// What it still prints, what it still logs, and how it ends.
    fn end(mut self) -> (Vec<String>, Vec<String>, ExitStatus) {
        let log: Vec<String> = self.log.by_ref().map(Result::unwrap).collect();
        let out = self.out.by_ref().map(Result::unwrap).collect();
        let killed = self.watchdog.call_off();
        assert!(!killed, "it did not end within {LONGEST_LIFE:?}: {log:?}");
        (out, log, self.child.wait().unwrap())
    }

    /// Stops it in order.
    fn stop(self) {
        self.signal(Signal::TERM);
        let (_, log, status) = self.end();
        assert!(status.success(), "{status}: {log:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        self.watchdog.call_off();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a `cuemq` that lives too long, so that no test waits for ever.
struct Watchdog {
    called_off: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl Watchdog {
    fn over(child: &Child) -> Self {
        let (called_off, is_called_off) = mpsc::channel();
        let process = Pid::from_child(child);
        let thread = std::thread::spawn(move || {
            let too_long = is_called_off.recv_timeout(LONGEST_LIFE) == Err(mpsc::RecvTimeoutError::Timeout);
            too_long && kill_process(process, Signal::KILL).is_ok()
        });
        Self {
            called_off: Some(called_off),
            thread: Some(thread),
        }
    }

    /// Whether it had to kill. To be called before anybody waits for the process, whose number is free for others then.
    fn call_off(&mut self) -> bool {
        self.called_off = None;
        self.thread.take().is_some_and(|thread| thread.join().unwrap())
    }
}

/// Runs a command that must end by itself: what it prints, what it says on standard error, and how it ends.
fn run(command: Command) -> (String, String, ExitStatus) {
    let (out, said, status) = Running::starting(command).end();
    (out.join("\n"), said.join("\n"), status)
}

/// Asks a broker or name server one thing.
fn ask(address: SocketAddr, request: &Frame) -> Frame {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ask_over(&mut stream, request)
}

/// Asks one thing over a connection.
fn ask_over(stream: &mut (impl Read + Write), request: &Frame) -> Frame {
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut read = BytesMut::new();
    loop {
        if let Some(found) = frame::check(&read, MAX_FRAME_BYTES).unwrap() {
            return Frame::decode(&read.split_to(found.total).freeze()).unwrap();
        }
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "the connection ended without an answer");
        read.extend_from_slice(&chunk[..length]);
    }
}

/// A message to queue 0 of a topic.
fn message(topic: &str) -> Frame {
    Frame::request(RequestCode::SEND_MESSAGE_V2)
        .with_field("a", "producers")
        .with_field("b", topic)
        .with_field("c", "TBW102")
        .with_field("d", 4)
        .with_field("e", 0)
        .with_field("f", 0)
        .with_field("g", 1_700_000_000_000_i64)
        .with_field("h", 0)
        .with_field("i", "")
        .with_body("body".as_bytes().to_vec())
}

/// Sends one message to queue 0 of a topic and gives its place there.
fn send(broker: SocketAddr, topic: &str) -> i64 {
    let answer = ask(broker, &message(topic));
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.fields.get("queueOffset").unwrap().parse().unwrap()
}
