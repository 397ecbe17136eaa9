//! `cuemq bench suite` on a broker that it kills and starts again.

use std::path::Path;

use serde_json::Value;

use crate::{Home, cuemq, run};

/// Stops the broker that the suite has left running.
struct Left<'a>(&'a Path);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        let mut command = cuemq(["shutdown", "broker", "--data"]);
        command.arg(self.0);
        run(command);
    }
}

#[test]
fn a_broker_is_killed_and_stopped_and_comes_back_each_time() {
    let home = Home::new();
    let server = home.start("server");
    let data = home.data();
    let broker = server.address("broker");
    let start = format!(
        "ours='{}' server --port {} --namesrv-port 0 --data data -c small.toml",
        env!("CARGO_BIN_EXE_cuemq"),
        broker.port()
    );
    let ours = format!("{broker},pid={}", server.child.id());
    let mut command = cuemq(["bench", "suite", "--json", "--rows", "restart-kill,restart-clean"]);
    command.args([
        "--rounds",
        "1",
        "--seconds",
        "0.05",
        "--warm-up",
        "0",
        "--restart-mib",
        "1",
    ]);
    command
        .args(["--ours", &ours, "--start", &start])
        .current_dir(home.path());
    let left = Left(&data);
    let (out, said, status) = run(command);
    assert!(status.success(), "{status}: {said}");
    let json: Value = serde_json::from_str(&out).unwrap();
    for (entry, ending) in json["entries"].as_array().unwrap().iter().zip(["Kill", "Clean"]) {
        assert_eq!(entry["runs"][0]["ending"], ending);
        assert!(entry["restart_seconds"]["median"].as_f64() > Some(0.0), "{entry}");
    }
    assert!(out.contains("ours was started again and runs as process "), "{out}");
    assert!(data.join("abort").exists(), "it runs");
    drop(left);
    assert!(!data.join("abort").exists(), "it was stopped in order");
}
