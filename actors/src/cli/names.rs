//! The names that RocketMQ's users know: called `mqnamesrv`, `mqbroker` or `mqshutdown`, by a link or a copy, the program
//! is its command of that meaning.

use std::ffi::OsString;
use std::path::Path;

/// The other names of the program, and the command that each one is.
const NAMES: [(&str, &str); 3] = [
    ("mqnamesrv", "namesrv"),
    ("mqbroker", "broker"),
    ("mqshutdown", "shutdown"),
];

/// The command line as `cuemq` would have been called.
pub(super) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given: Vec<OsString> = given.into_iter().collect();
    let called = given.first().and_then(|program| Path::new(program).file_name());
    let command = NAMES
        .iter()
        .find(|(name, _)| called.is_some_and(|called| called == *name));
    if let Some((_, command)) = command {
        given.splice(..1, ["cuemq".into(), OsString::from(command)]);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_its_command_wherever_the_program_lies() {
        let called = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(
            called(&["/opt/bin/mqbroker", "-c", "f"]),
            ["cuemq", "broker", "-c", "f"]
        );
        assert_eq!(called(&["mqnamesrv"]), ["cuemq", "namesrv"]);
        assert_eq!(called(&["./mqshutdown", "broker"]), ["cuemq", "shutdown", "broker"]);
        assert_eq!(called(&["mqadmin", "server"]), ["mqadmin", "server"]);
        assert!(called(&[]).is_empty());
    }
}
