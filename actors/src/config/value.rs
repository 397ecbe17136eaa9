//! [`Value`]: what a file or a flag says, before it is known which setting it is for; and what settings read from it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::size::ByteSize;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Truth(bool),
    /// From formats that count times in a unit of their own.
    Span(Duration),
    List(Vec<String>),
    /// What no setting takes: a float, a date, a table, a list of anything but texts.
    Other,
}

/// A value that a setting cannot take: what it does take, to be put behind "write".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// What a setting reads.
pub(super) type Read<T> = Result<T, Wrong>;

fn wrong<T>(allowed: &str) -> Read<T> {
    Err(Wrong(allowed.to_owned()))
}

impl Value {
    pub(super) fn text(&self) -> Read<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            _ => wrong("a text"),
        }
    }

    pub(super) fn truth(&self) -> Read<bool> {
        match self {
            Self::Truth(truth) => Ok(*truth),
            _ => wrong("true or false"),
        }
    }

    pub(super) fn integer<T: TryFrom<i64>>(&self, allowed: RangeInclusive<i64>) -> Read<T> {
        let number = match self {
            Self::Integer(number) if allowed.contains(number) => T::try_from(*number).ok(),
            _ => None,
        };
        let sentence = || Wrong(format!("a whole number from {} to {}", allowed.start(), allowed.end()));
        number.ok_or_else(sentence)
    }

    pub(super) fn bytes<T: TryFrom<u64>>(&self) -> Read<T> {
        let bytes = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.parse().ok().map(|ByteSize(bytes)| bytes),
            _ => None,
        };
        let fitting = bytes.and_then(|bytes| T::try_from(bytes).ok());
        fitting.map_or_else(|| wrong("a size such as 65536, 64 KiB, 256 MiB or 1 GiB"), Ok)
    }

    pub(super) fn span(&self) -> Read<Duration> {
        let span = match self {
            Self::Span(span) => Some(*span),
            Self::Text(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        span.map_or_else(|| wrong("a time with its unit, such as 500ms, 5s or 2m"), Ok)
    }

    pub(super) fn address(&self) -> Read<IpAddr> {
        let address = match self {
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        address.map_or_else(|| wrong("an IP address such as 127.0.0.1"), Ok)
    }

    /// An address with its port, or none.
    pub(super) fn socket_address(&self) -> Read<Option<SocketAddr>> {
        let address = match self {
            Self::Text(text) if text == "off" => return Ok(None),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        let allowed = "an IP address with its port, such as 127.0.0.1:9877, or \"off\"";
        address.map_or_else(|| wrong(allowed), |address| Ok(Some(address)))
    }

    /// Addresses as a list, or as one text with `;` between them.
    /// A host, with a port or without.
    pub(super) fn host(&self) -> Read<String> {
        let text = self.text()?;
        if is_peer(&text) || is_peer(&format!("{text}:1")) {
            Ok(text)
        } else {
            wrong("a host, or host:port")
        }
    }

    /// A part of a path.
    pub(super) fn path_part(&self) -> Read<String> {
        let text = self.text()?;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.?=".contains(letter);
        if !text.is_empty() && text.chars().all(is_plain) {
            Ok(text)
        } else {
            wrong("letters, digits, `-`, `_` and `.`")
        }
    }

    pub(super) fn peers(&self) -> Read<Vec<String>> {
        let parts: Vec<&str> = match self {
            Self::List(list) => list.iter().map(|part| part.trim()).collect(),
            Self::Text(text) => text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect(),
            _ => vec![""],
        };
        if parts.iter().all(|part| is_peer(part)) {
            Ok(parts.into_iter().map(str::to_owned).collect())
        } else {
            wrong("addresses as host:port, several with ; between them")
        }
    }
}

/// The addresses in `host:port;host:port`; `None` when one of them is none.
pub(crate) fn peers_in(text: &str) -> Option<Vec<String>> {
    Value::Text(text.to_owned()).peers().ok()
}

/// Whether this is `host:port`, an IPv6 host in brackets.
fn is_peer(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '[', ']']) && !host.contains(char::is_whitespace),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_number_is_within_its_range() {
        assert_eq!(Value::Integer(65_535).integer(0..=65_535), Ok(65_535_u16));
        let wrong = Wrong("a whole number from 0 to 65535".into());
        assert_eq!(Value::Integer(65_536).integer::<u16>(0..=65_535), Err(wrong));
        assert!(text("7").integer::<u16>(0..=9).is_err());
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(text("500ms").span(), Ok(Duration::from_millis(500)));
        assert_eq!(text("2m 30s").span(), Ok(Duration::from_secs(150)));
        assert!(text("500").span().is_err());
        assert!(Value::Integer(500).span().is_err());
    }

    #[test]
    fn a_size_is_a_number_or_a_text() {
        assert_eq!(Value::Integer(20).bytes(), Ok(20_u64));
        assert_eq!(text("256 MiB").bytes(), Ok(256_u64 << 20));
        assert!(Value::Integer(-1).bytes::<u64>().is_err());
        assert!(text("8 GiB").bytes::<u32>().is_err());
    }

    #[test]
    fn name_servers_come_as_list_or_text() {
        let both = Ok(vec!["a:9876".to_owned(), "[::1]:9877".to_owned()]);
        assert_eq!(text("a:9876; [::1]:9877;").peers(), both);
        assert_eq!(Value::List(vec!["a:9876".into(), "[::1]:9877".into()]).peers(), both);
        for bad in [
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a b:1",
            "::1:9876",
            "http://a:80",
            "[a]:1",
        ] {
            assert!(text(bad).peers().is_err(), "{bad}");
        }
    }
}
