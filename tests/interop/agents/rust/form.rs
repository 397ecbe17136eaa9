//! Lines of ../desk.py in either direction: forms (application/x-www-form-urlencoded), each name with one value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One line.
#[derive(Clone, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a line.
    pub(crate) fn of(line: &str) -> Self {
        let members = line.trim().split('&').filter_map(|member| member.split_once('='));
        Self(members.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A member that a command must have.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        STANDARD.decode(self.text("body")).unwrap_or_default()
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    #[must_use]
    pub(crate) fn with_bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.with(name, STANDARD.encode(bytes))
    }

    /// The members whose names begin with the prefix, without it.
    pub(crate) fn under(&self, prefix: &str) -> Self {
        let members = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        Self(members.map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the line, with the member first that says what it is.
    pub(crate) fn print(&self, first: &str) {
        let mut line = format!("{first}={}", encoded(self.0.get(first).map_or("", String::as_str)));
        for (name, value) in self.members().filter(|(name, _)| *name != first) {
            let _ = write!(line, "&{}={}", encoded(name), encoded(value));
        }
        line.push('\n');
        let mut out = std::io::stdout().lock();
        // a program whose reader is gone has nobody to tell
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
