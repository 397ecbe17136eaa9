//! Promise 4 on the machine's own file systems, a small ext4 and a tmpfs: a disk that is full refuses new messages with a
//! clear error while reads go on, and when there is room again sends go on by themselves and nothing is lost. Mounting needs
//! root; where it is not to be had this is skipped, and says so.

use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::ResponseCode;
use cuemq_storage::disk::{Disk, OpenMode, RealDisk};

use crate::pulls::bodies;
use crate::{Connection, PATIENCE, arrived, pull_from, refused, send_to};

const TOPIC: &str = "Filling";
const MIB: u64 = 1 << 20;
/// A file of the commit log.
const SEGMENT_BYTES: u64 = 8 * MIB;
const BODY_BYTES: usize = 512 << 10;

/// A mounted file system that goes with its value.
struct Mounted {
    at: PathBuf,
    _home: tempfile::TempDir,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[self.at.to_str().unwrap()]).unwrap();
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Program::new(program);
    let ended = command.args(arguments).stdin(Stdio::null()).output();
    match ended {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

fn tmpfs() -> Result<Mounted, String> {
    mounted(|_, at| run("mount", &["-t", "tmpfs", "-o", "size=64m", "cuemq-test", at]))
}

fn ext4() -> Result<Mounted, String> {
    mounted(|home, at| {
        let image = home.join("image");
        let file = RealDisk
            .open(&image, OpenMode::CreateNew)
            .map_err(|error| error.to_string())?;
        file.set_length(200 * MIB).map_err(|error| error.to_string())?;
        let image = image.to_str().unwrap();
        run("mkfs.ext4", &["-q", "-F", image])?;
        run("mount", &["-o", "loop", image, at])
    })
}

fn mounted(mount: impl FnOnce(&Path, &str) -> Result<(), String>) -> Result<Mounted, String> {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("disk");
    RealDisk.create_directory(&at).unwrap();
    mount(home.path(), at.to_str().unwrap())?;
    Ok(Mounted { at, _home: home })
}

fn start(disk: &Mounted, free_bytes: u64) -> (TestBroker, Connection) {
    let builder = TestBroker::builder().data(disk.at.join("data"));
    let broker = builder.config(|config| {
        config.segment_bytes = Some(SEGMENT_BYTES);
        config.free_bytes = free_bytes;
        config.checkpoint_interval = Duration::from_millis(20);
    });
    let broker = broker.start().unwrap();
    let client = Connection::to(broker.broker());
    (broker, client)
}

/// Sends until it is refused; how many messages were stored.
fn fill(client: &mut Connection, stored: &mut i64) {
    let message = || send_to(TOPIC).with_body(vec![b'x'; BODY_BYTES]);
    let mut answer = client.ask(message());
    while answer.code == 0 {
        *stored += 1;
        assert!(*stored < 1000, "the disk has no end");
        answer = client.ask(message());
    }
    let remark = refused(&answer, ResponseCode::SERVICE_NOT_AVAILABLE);
    assert!(
        remark.contains("disk full") || remark.contains("not available"),
        "{remark}"
    );
}

/// Fills the disk, makes room, and goes on. `free_bytes` 0 lets the file system itself say that it is full.
fn fill_and_go_on(disk: &Mounted, free_bytes: u64) {
    let ballast = disk.at.join("ballast");
    let file = RealDisk.open(&ballast, OpenMode::CreateNew).unwrap();
    let room = RealDisk.space(&disk.at).unwrap().available;
    file.allocate(0, room.saturating_sub(40 * MIB)).unwrap();
    drop(file);
    let (broker, mut client) = start(disk, free_bytes);
    let mut stored = 0;
    fill(&mut client, &mut stored);
    assert!(stored > 10, "{stored}");
    assert_eq!(bodies(&client.ask(pull_from(TOPIC, 0))).len(), 1, "reads go on");
    std::fs::remove_file(&ballast).unwrap();
    let asked_at = Instant::now();
    while client.ask(send_to(TOPIC)).code != 0 {
        assert!(asked_at.elapsed() < PATIENCE, "there is room, and sends do not go on");
    }
    stored += 1;
    arrived(&mut client, TOPIC, stored);
    broker.stop().unwrap();
    let (broker, mut client) = start(disk, free_bytes);
    arrived(&mut client, TOPIC, stored);
    broker.stop().unwrap();
}

fn on(mount: fn() -> Result<Mounted, String>, name: &str) {
    // First the file system itself says that it is full, then the broker keeps its distance.
    for free_bytes in [0, 1] {
        match mount() {
            Ok(disk) => fill_and_go_on(&disk, free_bytes),
            Err(reason) => eprintln!("SKIPPED on {name}, which cannot be mounted here: {reason}"),
        }
    }
}

#[test]
fn promise_4_a_full_tmpfs_refuses_messages_and_goes_on_when_there_is_room() {
    on(tmpfs, "a tmpfs");
}

#[test]
fn promise_4_a_full_ext4_refuses_messages_and_goes_on_when_there_is_room() {
    on(ext4, "an ext4");
}
