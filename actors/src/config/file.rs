//! [`Settings`]: from what was changed while the broker ran, flags, environment, file and defaults, in this order of rank,
//! to a [`BrokerConfig`], and where each value comes from.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::index::Layout as IndexLayout;

use super::broker_conf::Contents;
use super::difference::{Difference, between};
use super::error::{ConfigError, Place};
use super::given::{Given, Note};
use super::local_address::local_address;
use super::rocketmq_keys as keys;
use super::setting::{self, Draft, SETTINGS};
use super::value::Value;
use super::{BrokerConfig, ClientAuth, TlsMode, live, toml};

/// The longest settings file in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Where Java looks for what is said about TLS.
const TLS_FILE: &str = "/etc/rocketmq/tls.properties";
/// The environment variable that names name servers, as in RocketMQ.
pub const NAMESRV_ADDR: &str = "NAMESRV_ADDR";

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `-c`: the settings file.
    pub file: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<IpAddr>,
    /// `--announce`.
    pub announce: Option<IpAddr>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--namesrv-port`.
    pub namesrv_port: Option<u16>,
    /// `--http`.
    pub http: Option<SocketAddr>,
    /// `-n`.
    pub name_servers: Option<String>,
    /// What [`NAMESRV_ADDR`] says in the environment.
    pub environment_name_servers: Option<String>,
}

/// What is outside the program.
pub(super) struct Outside<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) local_address: fn() -> Option<IpAddr>,
}

/// All settings and where each comes from.
#[derive(Debug)]
pub struct Settings {
    draft: Draft,
    /// By the names of [`SETTINGS`]; what is not here is a default.
    places: BTreeMap<&'static str, Place>,
    /// What the log says about them.
    pub(super) notes: Vec<Note>,
    name_server_only: bool,
}

impl Settings {
    /// Gathers the settings, and logs what the file says without effect.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it or in the flags cannot be used.
    pub fn gather(flags: &Flags, name_server_only: bool) -> anyhow::Result<Self> {
        let outside = Outside {
            disk: &RealDisk,
            local_address,
        };
        let settings = Self::from_outside(flags, name_server_only, &outside)?;
        for note in &settings.notes {
            note.log();
        }
        Ok(settings)
    }

    pub(super) fn from_outside(
        flags: &Flags,
        name_server_only: bool,
        outside: &Outside<'_>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self {
            draft: Draft::default(),
            places: BTreeMap::new(),
            notes: Vec::new(),
            name_server_only,
        };
        let mut is_rocketmqs = false;
        if let Some(path) = &flags.file {
            is_rocketmqs = !path
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
            let text = read(path, outside.disk).map_err(|source| ConfigError::Unreadable {
                path: path.clone(),
                source,
            })?;
            settings.take_file(path, &text, is_rocketmqs, outside.disk)?;
        }
        settings.take_flags(flags)?;
        if !name_server_only {
            settings.take_live(outside.disk)?;
        }
        settings.settle_announce(is_rocketmqs, outside.local_address)?;
        settings.settle_index();
        settings.draft.config.validate()?;
        settings.note_record_limit();
        settings.note_tls();
        Ok(settings)
    }

    /// The settings in force, each with its value and where it comes from: all of them, or those that RocketMQ calls
    /// important.
    #[must_use]
    pub fn table(&self, important: bool) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["setting", "value", "from"]);
        let concerned = SETTINGS
            .iter()
            .filter(|setting| !self.name_server_only || setting.is_for_name_server())
            .filter(|setting| !important || keys::is_important(setting.name));
        for setting in concerned {
            let from = self.places.get(setting.name).unwrap_or(&Place::Default);
            table.add_row([setting.name.to_owned(), (setting.show)(&self.draft), from.to_string()]);
        }
        table
            .column_iter_mut()
            .for_each(|column| _ = column.set_padding((0, 2)));
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }

    /// What a start would have otherwise with `read_again`, of that which is read at the start alone.
    #[must_use]
    pub fn needs_restart(&self, read_again: &Self) -> Vec<Difference> {
        let mut all = between(&self.draft, &read_again.draft);
        all.retain(|difference| self.name_server_only || !live::is_live(difference.setting));
        all
    }

    /// The values.
    #[must_use]
    pub fn config(&self) -> &BrokerConfig {
        &self.draft.config
    }

    /// The frozen values.
    #[must_use]
    pub fn into_config(self) -> BrokerConfig {
        self.draft.config
    }

    fn take_file(&mut self, path: &Path, text: &str, is_rocketmqs: bool, disk: &dyn Disk) -> Result<(), ConfigError> {
        if text.trim().is_empty() {
            let path = path.display();
            self.notes.push(Note::Warning(format!(
                "the settings file {path} says nothing (a pipe cannot be read as one)"
            )));
        }
        let place = Place::line_of(path);
        let mut tls_file = None;
        let given = if is_rocketmqs {
            self.draft.config.listen = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            self.places
                .insert("listen", Place::Derived("all interfaces, as in RocketMQ"));
            let contents = Contents::read(text, place, self.name_server_only)?;
            self.notes.extend(contents.notes);
            tls_file = contents.tls_file;
            contents.given
        } else {
            toml::read(text, place)?
        };
        given.into_iter().try_for_each(|given| self.take(&given))?;
        match is_rocketmqs {
            true => self.take_tls_file(tls_file, disk),
            false => Ok(()),
        }
    }

    /// What a tls.properties says counts over the file that names it, as in Java. Where none is named, Java's own is read if it
    /// is there.
    fn take_tls_file(&mut self, named: Option<PathBuf>, disk: &dyn Disk) -> Result<(), ConfigError> {
        let is_named = named.is_some();
        let path = named.unwrap_or_else(|| PathBuf::from(TLS_FILE));
        let text = match read(&path, disk) {
            Ok(text) => text,
            Err(source) if source.kind() == ErrorKind::NotFound && !is_named => return Ok(()),
            Err(source) => return Err(ConfigError::TlsFileUnreadable { path, source }),
        };
        let contents = Contents::read_tls(&text, Place::line_of(&path), self.name_server_only)?;
        self.notes.extend(contents.notes);
        contents.given.iter().try_for_each(|given| self.take(given))
    }

    fn take_flags(&mut self, flags: &Flags) -> Result<(), ConfigError> {
        let address = |address: IpAddr| Value::Text(address.to_string());
        let port = |port: u16| Value::Integer(port.into());
        let environment = flags
            .environment_name_servers
            .as_ref()
            .filter(|text| !text.trim().is_empty());
        let data = flags
            .data
            .as_ref()
            .map(|path| Value::Text(path.to_string_lossy().into_owned()));
        let all = [
            (
                "name_server.addresses",
                Place::Environment(NAMESRV_ADDR),
                environment.cloned().map(Value::Text),
            ),
            (
                "name_server.addresses",
                Place::Flag("-n"),
                flags.name_servers.clone().map(Value::Text),
            ),
            ("data", Place::Flag("--data"), data),
            ("listen", Place::Flag("--listen"), flags.listen.map(address)),
            ("announce", Place::Flag("--announce"), flags.announce.map(address)),
            (
                "http",
                Place::Flag("--http"),
                flags.http.map(|at| Value::Text(at.to_string())),
            ),
            ("port", Place::Flag("--port"), flags.port.map(port)),
            (
                "name_server.port",
                Place::Flag("--namesrv-port"),
                flags.namesrv_port.map(port),
            ),
        ];
        for (name, place, value) in all {
            if let (Some(setting), Some(value)) = (setting::named(name), value) {
                let written = if let Value::Text(text) = &value {
                    text.clone()
                } else {
                    String::new()
                };
                let key = setting.name.to_owned();
                self.take(&Given {
                    setting,
                    key,
                    written,
                    value,
                    place,
                })?;
            }
        }
        // A path need not be text; the setting above only notes where it comes from.
        if let Some(data) = &flags.data {
            self.draft.config.data.clone_from(data);
        }
        Ok(())
    }

    /// What was changed while the broker ran; there is no flag for any of that.
    fn take_live(&mut self, disk: &dyn Disk) -> Result<(), ConfigError> {
        let data = self.draft.config.data.clone();
        let text = live::read_file(disk, &data)?;
        let changed = Contents::read(&text, Place::line_of(live::path_below(&data)), false)?;
        changed.given.iter().try_for_each(|given| self.take(given))
    }

    fn take(&mut self, given: &Given) -> Result<(), ConfigError> {
        given.apply(&mut self.draft)?;
        let earlier = self.places.insert(given.setting.name, given.place.clone());
        let is_of_other_file = |earlier: &Place| match (earlier, &given.place) {
            (Place::File { path: one, .. }, Place::File { path: other, .. }) => one != other,
            (Place::File { .. }, Place::Environment(_)) => true,
            _ => false,
        };
        if let Some(earlier) = earlier.filter(is_of_other_file) {
            self.notes
                .push(Note::Info(format!("{} counts, not what {earlier} says", given.place)));
        }
        Ok(())
    }

    /// What clients are told: what is given, else what is listened on, else (for a broker.conf) this machine's address.
    fn settle_announce(&mut self, is_rocketmqs: bool, local: fn() -> Option<IpAddr>) -> Result<(), ConfigError> {
        let listen = self.draft.config.listen;
        if let Some(announce) = self.draft.announce {
            self.draft.config.announce = announce;
        } else if !listen.is_unspecified() {
            self.draft.config.announce = listen;
            if self.places.contains_key("listen") {
                self.places.insert("announce", Place::Derived("what is listened on"));
            }
        } else if self.name_server_only {
            // A name server tells brokers' addresses, never its own.
        } else if is_rocketmqs {
            self.draft.config.announce = local().ok_or(ConfigError::NoLocalAddress)?;
            self.places.insert(
                "announce",
                Place::Derived("this machine's address, as brokerIP1 is absent"),
            );
        } else {
            return Err(ConfigError::AnnounceNeeded { listen, local: local() });
        }
        Ok(())
    }

    fn settle_index(&mut self) {
        let draft = &mut self.draft;
        let layout = IndexLayout::new(draft.index_slots, draft.index_entries);
        draft.config.index = layout.filter(|_| draft.with_index);
    }

    fn note_record_limit(&mut self) {
        let (limit, fits) = (self.draft.config.max_message_size, self.draft.config.record_bytes_max());
        if fits < limit.into() {
            self.notes.push(Note::Warning(format!(
                "messages of more than {fits} bytes are refused, although limits.message_bytes is {limit}: a message has to fit a commit log file"
            )));
        }
    }

    /// What looks as if it kept somebody out, and does not.
    fn note_tls(&mut self) {
        let tls = &self.draft.config.tls;
        if tls.mode == TlsMode::Enforcing && tls.pair.cert.is_none() {
            self.notes.push(Note::Warning(
                "tls.mode is enforcing with a self-signed certificate, by which no client can tell this server from \
                 another: give tls.cert and tls.key (`cuemq tls init` makes such files)"
                    .to_owned(),
            ));
        }
        if tls.trust.is_some() && tls.client_auth == ClientAuth::None {
            self.notes.push(Note::Info(
                "tls.trust has no effect, since tls.client_auth is none: clients are not asked for certificates"
                    .to_owned(),
            ));
        }
    }
}

/// A settings file's text. What is not UTF-8 is Latin-1, as Java reads it.
fn read(path: &Path, disk: &dyn Disk) -> io::Result<String> {
    let bytes = disk.read_whole(path, FILE_BYTES_MAX)?;
    let text =
        String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect());
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
