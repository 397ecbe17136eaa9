//! What can be wrong with settings. Each text names the place and ends with what to do.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::validate::Invalid;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    Default,
    /// Follows from another setting, or from the kind of the file.
    Derived(&'static str),
    /// On a line of a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// By an environment variable.
    Environment(&'static str),
    /// By a flag.
    Flag(&'static str),
    /// By a tool, while the broker runs.
    Request {
        /// The line of the request's body, from 1.
        line: usize,
    },
}

impl Place {
    /// The places of a file's lines.
    pub(super) fn line_of(path: impl AsRef<Path>) -> impl Fn(usize) -> Self {
        move |line| Self::File {
            path: path.as_ref().to_owned(),
            line,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived(from) => f.write_str(from),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "{name} in the environment"),
            Self::Flag(name) => f.write_str(name),
            Self::Request { line } => write!(f, "line {line} of the request"),
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file {} cannot be read ({source}): give the path of a readable file to -c", path.display())]
    Unreadable {
        /// The file as it was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that tls.config.file names cannot be read.
    #[error(
        "the file {} cannot be read ({source}): let tls.config.file name a readable file, or leave it out", path.display()
    )]
    TlsFileUnreadable {
        /// The file as it was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The settings that were changed while the broker ran cannot be read.
    #[error(
        "the changed settings in {} cannot be read ({source}): let this user read the file, or move it away to start without \
         them", path.display()
    )]
    ChangesUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's form is broken.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{place}: there is no setting `{key}`: {hint}")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key as it was written.
        key: String,
        /// The nearest one, or where all are listed.
        hint: String,
    },
    /// A value that its setting does not take.
    #[error("{place}: {key} = {written} cannot be used: write {allowed}")]
    Value {
        /// Where.
        place: Place,
        /// The key as it was written.
        key: String,
        /// The value as it was written.
        written: String,
        /// What the setting takes.
        allowed: String,
    },
    /// Something that RocketMQ does and this broker does not.
    #[error("{place}: {key} = {written} is not supported: {reason}")]
    Unsupported {
        /// Where.
        place: Place,
        /// The key as it was written.
        key: String,
        /// The value as it was written.
        written: String,
        /// Why, and what to write.
        reason: &'static str,
    },
    /// All interfaces are listened on, and nothing says which address clients are told.
    #[error("listen = {listen} means all interfaces, and clients must be told one address: give --announce {}", example(*.local))]
    AnnounceNeeded {
        /// What is listened on.
        listen: IpAddr,
        /// An address of this machine.
        local: Option<IpAddr>,
    },
    /// A broker.conf without brokerIP1, on a machine without an address of its own.
    #[error(
        "this machine's address cannot be found out: set brokerIP1 to the address that clients connect to, or give --announce"
    )]
    NoLocalAddress,
    /// Settings that do not hold together.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ConfigError {
    pub(super) fn unknown_key(place: Place, key: &str, nearest: Option<&str>) -> Self {
        let hint = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`cuemq server -p` prints all there are".to_owned(),
        };
        Self::UnknownKey {
            place,
            key: key.to_owned(),
            hint,
        }
    }
}

fn example(local: Option<IpAddr>) -> String {
    local.map_or_else(
        || "and this machine's address".to_owned(),
        |address| address.to_string(),
    )
}
