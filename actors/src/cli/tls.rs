//! `cuemq tls init`: an authority, and certificates for servers and clients that it has signed, so that TLS can be switched
//! on without another tool. What it prints is a piece of a settings file.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it writes files for people and is no part of a broker"
)]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use cuemq_storage::clock::{Clock, RealClock};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::ServerName;

/// Names of this machine for itself.
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The longest that a certificate may be good.
const DAYS_MAX: u32 = 36_500;

/// What is to be done about TLS.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Makes an authority and certificates for servers and clients, and prints the settings that use them.
    Init(InitArguments),
}

/// The flags of `cuemq tls init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// The directory for the files; none of them may be there already
    #[arg(long, value_name = "DIR", default_value = "./cuemq-tls")]
    dir: PathBuf,
    /// A name or address by which clients reach the servers; may be given several times
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// How many days the certificates are good
    #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
}

/// Does what the command says.
///
/// # Errors
/// When a file is there already or cannot be written.
pub(super) fn run(command: TlsCommand) -> Result<ExitCode> {
    let TlsCommand::Init(arguments) = command;
    let said = init(&arguments, RealClock::new().now_ms())?;
    // Nobody may be reading.
    let _ = std::io::stdout().write_all(said.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// A file to be written.
struct File {
    name: &'static str,
    text: String,
    mode: u32,
}

fn init(arguments: &InitArguments, now_ms: u64) -> Result<String> {
    let days = Days::from(now_ms, arguments.days)?;
    if let Some(wrong) = arguments.names.iter().find(|name| !is_name(name)) {
        bail!("--name {wrong:?} is no name: give the host name or the address that clients connect to");
    }
    let mut names: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    names.extend(
        arguments
            .names
            .iter()
            .filter(|name| !ALWAYS.contains(&name.as_str()))
            .cloned(),
    );
    let folder = std::path::absolute(&arguments.dir).context("the directory has no absolute name")?;
    let files = files(&folder, &names, &days)?;
    if let Some(there) = files.iter().find(|file| folder.join(file.name).exists()) {
        let there = folder.join(there.name);
        bail!(
            "{} is there already, and is not overwritten: move it away, or give another --dir",
            there.display()
        );
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for file in &files {
        write(&folder.join(file.name), file)?;
    }
    Ok(settings(&folder, &names, &days))
}

/// Whether a server can be called so; a `*` may stand for the first part.
fn is_name(name: &str) -> bool {
    ServerName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok()
}

/// The first and the last day.
struct Days {
    first: Date,
    last: Date,
}

impl Days {
    /// From the day before, since clocks differ.
    fn from(now_ms: u64, days: u32) -> Result<Self> {
        let now = Timestamp::from_millisecond(i64::try_from(now_ms)?)?;
        let today = now.to_zoned(TimeZone::UTC).date();
        Ok(Self {
            first: today.checked_sub(1.day())?,
            last: today.checked_add(i64::from(days).days())?,
        })
    }

    fn limit(&self, params: &mut CertificateParams) {
        let at = |date: Date| {
            let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
            rcgen::date_time_ymd(date.year().into(), month, day)
        };
        (params.not_before, params.not_after) = (at(self.first), at(self.last));
    }
}

fn files(folder: &Path, names: &[String], days: &Days) -> Result<Vec<File>> {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let mut authority = CertificateParams::default();
    days.limit(&mut authority);
    authority.distinguished_name.push(DnType::CommonName, "cuemq authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let authority_key_pem = authority_key.serialize_pem();
    let issuer = Issuer::new(authority, authority_key);
    let signed = |common_name: &str, names: &[String], uses: &[ExtendedKeyUsagePurpose]| -> Result<_> {
        let mut params = CertificateParams::new(names)?;
        days.limit(&mut params);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = uses.to_vec();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    // A broker is a client of name servers.
    let (server, server_key) = signed("cuemq server", names, &[ServerAuth, ClientAuth])?;
    let (client, client_key) = signed("cuemq client", &[], &[ClientAuth])?;
    let open = |name, text| File {
        name,
        text,
        mode: 0o644,
    };
    let secret = |name, text| File {
        name,
        text,
        mode: 0o600,
    };
    Ok(vec![
        open("ca.pem", authority_pem),
        secret("ca.key", authority_key_pem),
        open("server.pem", server),
        secret("server.key", server_key),
        open("client.pem", client),
        secret("client.key", client_key),
        open("client.properties", client_properties(folder)),
    ])
}

fn write(path: &Path, file: &File) -> Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode)
        .open(path);
    made.and_then(|mut made| {
        made.write_all(file.text.as_bytes())?;
        made.sync_all()
    })
    .map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{} was just made by somebody else", path.display()),
        _ => anyhow::anyhow!("{} cannot be written ({error})", path.display()),
    })
}

/// A Java client's settings, with which it trusts the authority and shows its certificate where it is asked.
fn client_properties(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string().replace('\\', "\\\\");
    format!(
        "tls.test.mode.enable=false\ntls.client.authServer=true\ntls.client.trustCertPath={}\n\
         tls.client.certPath={}\ntls.client.keyPath={}\n",
        at("ca.pem"),
        at("client.pem"),
        at("client.key"),
    )
}

/// What is printed: what was made, as comments, and the settings that use it.
fn settings(folder: &Path, names: &[String], days: &Days) -> String {
    let at = |name: &str| toml::Value::from(folder.join(name).display().to_string());
    let (last, shown, names) = (days.last, folder.display(), names.join(", "));
    let (server, key, trust) = (at("server.pem"), at("server.key"), at("ca.pem"));
    format!(
        "# Made in {shown}, good until {last}; the server's names are {names}.\n\
         # ca.key signs further certificates: keep it where the broker does not run.\n\
         # Java clients: -Dtls.enable=true -Dtls.config.file={shown}/client.properties\n\
         # These settings let in who speaks TLS and shows a certificate of this authority; without client_auth, who speaks TLS.\n\
         [tls]\nmode = \"enforcing\"\ncert = {server}\nkey = {key}\nclient_auth = \"require\"\ntrust = {trust}\n\n\
         [tls_client]\ncert = {server}\nkey = {key}\ntrust = {trust}\n"
    )
}
