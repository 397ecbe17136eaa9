//! What a broker takes that has nothing to do: its memory, and that of connections that rest.

use std::net::TcpStream;

use crate::{Home, Running, send};

const KIB: u64 = 1024;

/// The memory of a process that no file stands behind, in bytes.
fn anonymous_bytes(server: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * KIB
}

#[test]
fn an_idle_broker_takes_less_than_20_mib_and_an_idle_connection_less_than_2_kib() {
    // So many that what they take cannot lie in memory that the process has already.
    const CONNECTIONS: u64 = 5_000;
    let home = Home::new();
    let server = home.start("server");
    let broker = server.address("broker");
    send(broker, "Idle");
    let idle = anonymous_bytes(&server);
    assert!(idle < 20 * KIB * KIB, "{idle} bytes");
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(broker).unwrap()).collect();
    // They are accepted in their order and dealt out to the I/O threads in turn, of which there are no more than cores. Each
    // serves its own in their order, so that all are served when one behind them has its answer on every thread.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for _ in 0..cores {
        send(broker, "Idle");
    }
    let each = anonymous_bytes(&server).saturating_sub(idle) / CONNECTIONS;
    assert!(each < 2 * KIB, "{each} bytes");
    drop(connections);
    server.stop();
}
