//! Mistakes: one sentence with the next step on standard error, status 2, and nothing has changed on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Home, cuemq, run, send};

/// Every path below a directory, with the contents of the files.
fn below(directory: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
                found.insert(path, None);
            } else {
                let contents = fs::read(&path).unwrap();
                found.insert(path, Some(contents));
            }
        }
    }
    found
}

/// Runs a command that must refuse to start; gives what it says.
#[track_caller]
fn refused(home: &Home, command: Command) -> String {
    let before = below(home.path());
    let (out, said, status) = run(command);
    assert_eq!(status.code(), Some(2), "{said}");
    assert_eq!(out, "");
    let complaint: Vec<&str> = said.lines().filter(|line| line.starts_with("cuemq: ")).collect();
    assert_eq!(complaint.len(), 1, "one sentence: {said}");
    assert!(below(home.path()) == before, "nothing may change on the disk: {said}");
    complaint[0].trim_start_matches("cuemq: ").to_owned()
}

#[track_caller]
fn says(complaint: &str, words: &[&str]) {
    for word in words {
        assert!(complaint.contains(word), "{word:?} in {complaint:?}");
    }
}

#[test]
fn a_wrong_flag_is_named_with_the_one_that_was_meant() {
    let home = Home::new();
    says(&refused(&home, cuemq(["server", "--dta", "x"])), &["--dta", "--data"]);
    says(
        &refused(&home, cuemq(["server", "--port", "80000"])),
        &["80000", "--help"],
    );
    says(&refused(&home, cuemq(["sever"])), &["sever", "server"]);
}

#[test]
fn a_wrong_key_is_named_with_the_nearest_one() {
    let home = Home::new();
    fs::write(home.path().join("wrong.toml"), "[store]\nsegment_byte = \"1 MiB\"\n").unwrap();
    let mut command = cuemq(["server", "--data", "data", "-c", "wrong.toml"]);
    command.current_dir(home.path());
    says(
        &refused(&home, command),
        &["wrong.toml:2", "segment_byte", "`store.segment_bytes`"],
    );
}

#[test]
fn a_settings_file_that_is_not_there_is_named_once() {
    let home = Home::new();
    let mut command = cuemq(["server", "--data", "data", "-c", "none.toml"]);
    command.current_dir(home.path());
    let complaint = refused(&home, command);
    says(&complaint, &["none.toml", "-c"]);
    assert_eq!(complaint.matches("No such file").count(), 1, "{complaint}");
}

#[test]
fn a_port_in_use_is_named_before_the_store_is_touched() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for flag in ["--namesrv-port", "--port"] {
        let ports = match flag {
            "--port" => [
                "--port".to_owned(),
                port.to_string(),
                "--namesrv-port".to_owned(),
                "0".to_owned(),
            ],
            _ => [
                "--namesrv-port".to_owned(),
                port.to_string(),
                "--port".to_owned(),
                "0".to_owned(),
            ],
        };
        let mut command = cuemq(["server", "--data", "data"]);
        command.args(ports).current_dir(home.path());
        says(
            &refused(&home, command),
            &[&format!("127.0.0.1:{port}"), "choose another"],
        );
    }
}

#[test]
fn a_data_directory_in_use_is_refused_and_its_owner_goes_on() {
    let home = Home::new();
    let owner = home.start("server");
    assert_eq!(send(owner.address("broker"), "Owned"), 0);
    let (_, said, status) = run(home.command("server"));
    assert_eq!(status.code(), Some(2), "{said}");
    says(&said, &["lock", "another process", "another data directory"]);
    assert_eq!(send(owner.address("broker"), "Owned"), 1);
    owner.stop();
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let home = Home::new();
    fs::write(home.data(), "a file in its place").unwrap();
    says(&refused(&home, home.command("server")), &["data", "--data"]);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let home = Home::new();
    home.start("server").stop();
    let note = home.data().join("cuemq").join("log");
    let mut bytes = fs::read(&note).unwrap();
    // Magic number 4, then kind 4, version 2 and length 4, which the checksum covers with the rest.
    bytes[9] += 1;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[4..14]);
    hasher.update(&bytes[18..]);
    bytes[14..18].copy_from_slice(&hasher.finalize().to_be_bytes());
    fs::write(&note, bytes).unwrap();
    says(
        &refused(&home, home.command("server")),
        &["format version", "run a newer cuemq"],
    );
}

#[test]
fn a_file_size_that_is_not_that_of_the_store_is_refused() {
    let home = Home::new();
    let server = home.start("server");
    send(server.address("broker"), "Sized");
    server.stop();
    fs::write(home.path().join("small.toml"), "[store]\nsegment_bytes = \"2 MiB\"\n").unwrap();
    says(
        &refused(&home, home.command("server")),
        &["1048576", "2097152", "another data directory"],
    );
}

#[test]
fn all_interfaces_need_an_address_to_announce() {
    let home = Home::new();
    let mut command = home.command("server");
    command.args(["--listen", "0.0.0.0"]);
    says(&refused(&home, command), &["--announce"]);
}
