//! `cuemq server`, `cuemq namesrv`, `cuemq broker`: from flags and files to a running system, and its end by a signal.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use cuemq_storage::StoreError;
use cuemq_storage::clock::{Clock, RealClock};
use cuemq_storage::disk::{Disk as _, DiskLock, RealDisk};
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::log_state::FlushMode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::shutdown::name_server_lock;
use super::signals::{Signals, end_at_once};
use super::starting::Starting;
use super::{notify, reload};
use crate::broker::{self, Running, Seams, Services, SystemError};
use crate::config::file;
use crate::net::TcpNet;
use crate::placement::{Layout, Threads};
use crate::supervise::{Faults, install_panic_hook};

/// The status when a part of the broker has failed for good.
const FAILED: u8 = 1;
/// How long the threads may take to end.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// Which parts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Name server and broker.
    Both,
    /// The name server alone.
    NameServer,
    /// The broker alone.
    Broker,
}

/// The flags of a server.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The data directory [default: ./cuemq-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on; 0.0.0.0 for all interfaces [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<IpAddr>,
    /// The address that clients are told; needed when --listen names all interfaces [default: the one of --listen]
    #[arg(long, value_name = "ADDR")]
    announce: Option<IpAddr>,
    /// The broker's port; old clients use the one 2 below; 0 picks a free pair [default: 10911]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The name server's port; 0 picks a free one [default: 9876]
    #[arg(long, value_name = "PORT")]
    namesrv_port: Option<u16>,
    /// Serves /healthz and /metrics (Prometheus) over HTTP at this address, to everybody who can reach it [default: off]
    #[arg(long, value_name = "IP:PORT")]
    http: Option<SocketAddr>,
    /// A settings file: our own (*.toml), or RocketMQ's broker.conf, with which all interfaces are listened on
    #[arg(short = 'c', long = "config", alias = "configFile", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name servers to register with, as host:port;host:port [environment: NAMESRV_ADDR]
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRS")]
    name_servers: Option<String>,
    /// Prints the settings in force, and where each comes from, and ends
    #[arg(short = 'p', long = "printConfigItem")]
    print: bool,
    /// Prints the important ones of the settings in force, and ends
    #[arg(short = 'm', long = "printImportantConfig", conflicts_with = "print")]
    print_important: bool,
}

/// Runs what `role` says until a signal comes.
///
/// # Errors
/// When something given is wrong or taken; nothing on the disk has changed then.
pub(super) fn run(arguments: ServeArguments, role: Role) -> Result<ExitCode> {
    let flags = arguments.flags();
    let settings = file::Settings::gather(&flags, role == Role::NameServer)?;
    if arguments.print || arguments.print_important {
        print!("{}", settings.table(arguments.print_important));
        return Ok(ExitCode::SUCCESS);
    }
    install_panic_hook();
    raise_open_files();
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let system = actix_rt::System::new();
    let signals = system.block_on(Signals::listen())?;
    let layout = Layout::for_cores(cores);
    let layout = if settings.config().http.is_some() {
        layout.with_http()
    } else {
        layout
    };
    let threads = system.block_on(async { Threads::start(layout) });
    let threads = threads.context("the threads cannot be started")?;
    let seams = Seams {
        disk: Arc::new(RealDisk),
        clock: Arc::clone(&clock),
        entropy: Arc::new(SeededEntropy::from_system().context("the system gives no random numbers")?),
        net: Arc::new(TcpNet),
        placement: threads.placement(),
        faults: Faults::default(),
        interrupt: signals.interrupt(),
    };
    let ended = system.block_on(serve((settings, flags), role, seams, clock, signals));
    let joined = system.block_on(threads.join(JOIN_LIMIT));
    if let Err(error) = joined {
        tracing::warn!(%error, "some threads did not end in time");
    }
    ended
}

async fn serve(
    (settings, flags): (file::Settings, file::Flags),
    role: Role,
    seams: Seams,
    clock: Arc<dyn Clock>,
    mut signals: Signals,
) -> Result<ExitCode> {
    let services = Services {
        broker: role != Role::NameServer,
        name_server: role != Role::Broker,
    };
    let (data, flush) = (settings.config().data.clone(), settings.config().flush);
    tracing::info!(data = %data.display(), "starting");
    let starting = Starting::tell(seams.interrupt.steps(), Arc::clone(&clock));
    let running = match broker::start(settings.config().clone(), services, seams).await {
        Err(SystemError::Store(StoreError::Interrupted)) => {
            tracing::info!("ended before the store was open; the next start recovers it");
            return Ok(ExitCode::SUCCESS);
        }
        started => started?,
    };
    drop(starting);
    let _lock = (role != Role::Broker).then(|| lock_name_server(&data)).flatten();
    // One who wants it to end while it starts waits for no such line.
    if !signals.has_come() {
        if let Some(http) = running.http {
            tracing::info!(%http, "/healthz, /metrics and /rocketmq/nsaddr are served");
        }
        say_ready(&running, role, &data, flush, clock.monotonic());
    }
    let reloads = signals.reloads();
    let failed = loop {
        tokio::select! {
            biased;
            () = signals.first() => break None,
            failed = running.failed() => break Some(failed),
            () = reloads.notified() => {
                reload::reload(&running, &flags, &settings, role == Role::NameServer).await;
            }
        }
    };
    notify::stopping();
    let Some(failed) = failed else {
        running.stop().await?;
        return Ok(ExitCode::SUCCESS);
    };
    tracing::info!("stopping: a signal ends the process at once");
    tokio::select! {
        biased;
        () = signals.first() => end_at_once(),
        // What it could not bring to disk is recovered at the next start.
        _ = running.stop() => {}
    }
    eprintln!("cuemq: {failed}: the broker cannot go on and has ended; start it again, its store recovers");
    Ok(ExitCode::from(FAILED))
}

/// Takes as many open files as the system grants without being asked for more: shells hand on a thousand.
fn raise_open_files() {
    let granted = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: granted.maximum,
        ..granted
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the number of open files stays at {:?}", granted.current);
    }
}

/// Locks the name server's part of the data directory, so that `cuemq shutdown namesrv` finds this process. It serves without
/// as well.
fn lock_name_server(data: &Path) -> Option<Box<dyn DiskLock>> {
    let path = name_server_lock(data);
    let directory = path
        .parent()
        .map_or(Ok(()), |directory| RealDisk.create_directory(directory));
    let locked = directory.and_then(|()| RealDisk.lock(&path));
    let path = path.display();
    let warn = |error: &io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => tracing::warn!(
            %path,
            "another name server uses this data directory, and each overwrites what the other one keeps: give one of them another --data"
        ),
        _ => tracing::warn!(%path, %error, "`cuemq shutdown namesrv` will not find this process"),
    };
    locked.inspect_err(warn).ok()
}

/// The one line on standard output that says that sends are accepted.
fn say_ready(running: &Running, role: Role, data: &Path, flush: FlushMode, started_in: Duration) {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let flush = match flush {
        FlushMode::Sync => "sync",
        FlushMode::Async => "async",
    };
    let (name_server, broker) = (shown(running.name_server), shown(running.broker));
    let ms = started_in.as_millis();
    let line = match role {
        Role::NameServer => format!("cuemq is ready: name server {name_server}, started in {ms} ms"),
        Role::Broker => format!(
            "cuemq is ready: broker {broker}, data {}, flush {flush}, started in {ms} ms",
            data.display()
        ),
        Role::Both => format!(
            "cuemq is ready: name server {name_server}, broker {broker}, data {}, flush {flush}, started in {ms} ms",
            data.display()
        ),
    };
    notify::ready(&line);
    let mut out = std::io::stdout().lock();
    // Nobody may be reading; the broker runs all the same.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn shown(address: Option<SocketAddr>) -> String {
    address
        .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
        .to_string()
}

impl ServeArguments {
    fn flags(&self) -> file::Flags {
        file::Flags {
            file: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen,
            announce: self.announce,
            port: self.port,
            namesrv_port: self.namesrv_port,
            http: self.http,
            name_servers: self.name_servers.clone(),
            environment_name_servers: std::env::var(file::NAMESRV_ADDR).ok(),
        }
    }
}
