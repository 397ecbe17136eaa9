//! `cuemq store check`, `dump` and `backup`: the statuses that scripts ask, and the lines that programs read.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::{Home, ask, cuemq, message, run};

const TOPIC: &str = "Kept";
/// Tags, keys and a property of the application.
const PROPERTIES: &str = "TAGS\u{1}red\u{2}KEYS\u{1}k1 k2\u{2}colour\u{1}blue \u{e9}\u{2}";
/// What is another one in each run.
const VOLATILE: [&str; 5] = ["bornTimestamp", "storeTimestamp", "bornHost", "storeHost", "messageId"];
/// The lines that programs read: a member that changes its name, its place or its form breaks them.
const LINES: [&str; 2] = [
    r#"{"body":"body","bodyBytes":4,"bodyCrc":1537739698,"bornHost":~,"bornTimestamp":~,"flag":0,"messageId":~,"physicalOffset":0,"preparedTransactionOffset":0,"properties":{"KEYS":"k1 k2","TAGS":"red","colour":"blue é"},"queue":0,"queueOffset":0,"reconsumeTimes":0,"size":134,"storeHost":~,"storeTimestamp":~,"systemFlag":0,"topic":"Kept"}"#,
    r#"{"bodyBytes":2,"bodyCrc":1392373645,"bodyHex":"ff00","bornHost":~,"bornTimestamp":~,"flag":0,"messageId":~,"physicalOffset":134,"preparedTransactionOffset":0,"properties":{},"queue":0,"queueOffset":1,"reconsumeTimes":0,"size":97,"storeHost":~,"storeTimestamp":~,"systemFlag":0,"topic":"Kept"}"#,
];

/// Runs `cuemq store` in the home's directory.
fn store(home: &Home, arguments: &[&str]) -> (String, String, ExitStatus) {
    let mut command = cuemq(["store"]);
    command.args(arguments).current_dir(home.path());
    if arguments[0] != "help" {
        command.args(["--index-slots", "500", "--index-entries", "2000"]);
    }
    run(command)
}

fn status(home: &Home, arguments: &[&str]) -> Option<i32> {
    store(home, arguments).2.code()
}

/// Two messages in a store whose broker is left by this signal.
fn filled(signal: Signal) -> Home {
    let home = Home::new();
    let server = home.start("server");
    let with = |body: &[u8], properties: &str| message(TOPIC).with_field("i", properties).with_body(body.to_vec());
    for request in [with(b"body", PROPERTIES), with(&[0xff, 0], "")] {
        let answer = ask(server.address("broker"), &request);
        assert_eq!(answer.code, 0, "{answer:?}");
    }
    server.signal(signal);
    server.end();
    home
}

/// The line with `~` for what is another one in each run.
fn masked(line: &str) -> String {
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    VOLATILE.iter().fold(line.to_owned(), |line, name| {
        let member = |value: &str| format!("\"{name}\":{value}");
        line.replace(&member(&object[name].to_string()), &member("~"))
    })
}

fn segment(home: &Home) -> std::path::PathBuf {
    home.data().join("commitlog").join(format!("{:020}", 0))
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 0x41;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_dumped_line_keeps_its_members_and_their_form() {
    let home = filled(Signal::TERM);
    let (lines, said, status) = store(&home, &["dump", "data", "--json", "--body"]);
    assert!(status.success() && said.is_empty(), "{said}");
    assert_eq!(lines.lines().map(masked).collect::<Vec<_>>(), LINES);
    let (keys, _, _) = store(&home, &["dump", "data", "--keys", "--limit", "1"]);
    assert_eq!(keys, r#"0 134 Kept:0@0 TAGS="red" KEYS="k1 k2" UNIQ_KEY="""#);
}

#[test]
fn a_check_ends_with_0_where_all_is_sound_1_where_a_start_mends_it_and_2_at_damage() {
    let sound = filled(Signal::TERM);
    assert_eq!(status(&sound, &["check", "data"]), Some(0));
    let killed = filled(Signal::KILL);
    assert_eq!(status(&killed, &["check", "data"]), Some(1));
    flip(&segment(&sound), 100);
    let (said, _, status_of_damage) = store(&sound, &["check", "data"]);
    assert_eq!(status_of_damage.code(), Some(2), "{said}");
    assert!(
        said.contains("topic Kept, queue 0, queue offset 0, physical offset 0"),
        "{said}"
    );
    assert_eq!(status(&sound, &["check", "nowhere"]), Some(2));
}

#[test]
fn a_dump_ends_with_0_and_with_2_at_a_hole_or_without_a_store() {
    let home = filled(Signal::TERM);
    assert_eq!(status(&home, &["dump", "data"]), Some(0));
    assert_eq!(status(&home, &["dump", "data", "--topic", "Other"]), Some(0));
    assert_eq!(status(&home, &["dump", "nowhere"]), Some(2));
    // The magic of the first record: what lies behind it is found again.
    flip(&segment(&home), 5);
    let (lines, said, status) = store(&home, &["dump", "data", "--json"]);
    assert_eq!((status.code(), lines.lines().count()), (Some(2), 1), "{said}");
}

#[test]
fn a_backup_ends_with_0_and_with_2_where_it_would_overwrite() {
    let home = filled(Signal::KILL);
    let (said, _, status_of_backup) = store(&home, &["backup", "data", "copy", "--json"]);
    assert!(status_of_backup.success(), "{said}");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["minPhysicalOffset"], 0);
    let dump = |of: &str| store(&home, &["dump", of, "--json", "--body"]).0;
    assert_eq!(dump("copy"), dump("data"));
    assert_eq!(status(&home, &["backup", "data", "copy"]), Some(2), "it is not empty");
    assert_eq!(status(&home, &["backup", "nowhere", "other"]), Some(2));
    assert!(!home.path().join("other").exists());
}
