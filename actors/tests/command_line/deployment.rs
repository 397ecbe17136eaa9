//! The samples of `examples/deploy/`: every settings file says what the program reads, every unit starts it, and what the Containerfile
//! runs, runs. Whether an engine builds the image, `examples/deploy/try-image` tries where there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Home, Running, cuemq, run};

const DATA: &str = "/var/lib/cuemq";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below `examples/deploy/` whose name ends so.
fn samples(ends: &[&str]) -> Vec<PathBuf> {
    let deploy = root().join("examples/deploy");
    let all = [deploy.clone(), deploy.join("two-masters")]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|path| ends.iter().any(|end| path.to_str().unwrap().ends_with(end)))
        .collect()
}

#[test]
fn every_sample_is_read_without_a_warning() {
    let samples = samples(&[".toml", ".conf"]);
    assert_eq!(samples.len(), 8);
    for path in samples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let role = if name.starts_with("namesrv") {
            "namesrv"
        } else {
            "broker"
        };
        let mut command = cuemq([role, "-p", "-c"]);
        command.arg(&path);
        if name == "namesrv.conf" {
            command.args(["--data", DATA]);
        }
        let (out, said, status) = run(command);
        assert!(status.success() && !said.contains("WARN"), "{name}: {said}");
        let data = out.lines().find(|line| line.starts_with("data ")).unwrap();
        assert!(data.contains(DATA) && !data.contains("default"), "{name}: {data}");
    }
}

/// What follows a word at the beginning of a line.
fn line_of<'a>(text: &'a str, word: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("{word} in {text}"))
}

#[test]
fn every_unit_is_one_that_systemd_takes_and_starts_the_program_with_a_sample() {
    let units = samples(&[".service"]);
    assert_eq!(units.len(), 3);
    let home = Home::new();
    for path in units {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nType=notify\n") && text.contains("\nExecReload=/bin/kill -HUP $MAINPID\n"));
        let line = line_of(&text, "ExecStart=/usr/bin/cuemq ");
        let sample = |word: &str| match word {
            "/etc/cuemq/cuemq.toml" => root().join("examples/deploy/single.toml"),
            "/etc/cuemq/namesrv.toml" => root().join("examples/deploy/namesrv.toml"),
            "/etc/cuemq/broker.toml" => root().join("examples/deploy/two-masters/broker-a.toml"),
            other => other.into(),
        };
        let mut command = cuemq(line.split(' ').map(sample));
        command.arg("-p");
        let (_, said, status) = run(command);
        assert!(status.success(), "{}: {said}", path.display());

        let copy = home.path().join(path.file_name().unwrap());
        fs::write(&copy, text.replace("/usr/bin/cuemq", env!("CARGO_BIN_EXE_cuemq"))).unwrap();
        match Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&copy)
            .output()
        {
            Ok(said) => {
                let said = String::from_utf8_lossy(&said.stderr);
                let of_it: Vec<&str> = said.lines().filter(|line| line.contains("cuemq")).collect();
                assert!(of_it.is_empty(), "{of_it:?}");
            }
            Err(error) => eprintln!("SKIPPED: systemd-analyze does not run here: {error}"),
        }
    }
}

/// The words of an instruction in its JSON form.
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_the_image_copies_is_there_and_what_it_runs_starts_serves_and_stops() {
    let text = fs::read_to_string(root().join("examples/deploy/Containerfile")).unwrap();
    let copied: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("COPY ")).collect();
    let (of_stage, of_context): (Vec<&str>, Vec<&str>) = copied.iter().partition(|line| line.starts_with("--from"));
    assert_eq!(
        of_stage,
        ["--from=build /src/target/release/cuemq /usr/local/bin/cuemq"]
    );
    let sources: Vec<&str> = of_context
        .iter()
        .flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    assert!(sources.iter().all(|source| root().join(source).exists()), "{sources:?}");
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    assert!(members.iter().all(|member| sources.contains(&member.as_str().unwrap())));
    assert!(text.contains("\nRUN cargo build --release --locked -p cuemq-actors --bin cuemq\n"));

    let home = Home::new();
    let place = |word: &str| word.replace(DATA, "data").replace("127.0.0.1:8080", "127.0.0.1:0");
    assert_eq!(words(line_of(&text, "ENTRYPOINT ")), ["cuemq"]);
    let mut command = cuemq(words(line_of(&text, "CMD ")).iter().map(|word| place(word)));
    command.args(["--port", "0", "--namesrv-port", "0", "-c", "small.toml"]);
    command.current_dir(home.path());
    let mut server = Running::start(command);
    let line = server.wait_for_log("/healthz");
    let (_, port) = line.rsplit_once(':').unwrap();
    let (_, check) = text.split_once("\nHEALTHCHECK --start-period=60s CMD ").unwrap();
    let check = words(check.lines().next().unwrap());
    let is_healthy = || {
        let mut command = Command::new(&check[0]);
        command.args(check[1..].iter().map(|word| word.replace("8080", port.trim())));
        command.output().unwrap().status.success()
    };
    assert!(is_healthy());
    server.stop();
    assert!(!is_healthy());

    let links = line_of(&text, "RUN for name in ").replace("/usr/local/bin", home.path().to_str().unwrap());
    let linked = Command::new("sh")
        .args(["-c", &format!("for name in {links}")])
        .status()
        .unwrap();
    assert!(linked.success());
    for name in ["mqnamesrv", "mqbroker", "mqshutdown"] {
        assert_eq!(fs::read_link(home.path().join(name)).unwrap(), Path::new("cuemq"));
    }
}
