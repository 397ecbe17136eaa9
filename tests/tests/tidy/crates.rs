//! The shape of the workspace: its folders, the edges between its crates, and who may know a runtime.
//!
//! ```text
//! net      -> nothing of ours; tokio only behind `transport`
//! storage  -> net without `transport`; no actix, no tokio, not even through others
//! client   -> net
//! actors   -> net, storage, client
//! examples, tests -> all four
//! ```

use crate::{none, root};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use toml::{Table, Value};

const EDGES: [(&str, &[&str]); 6] = [
    ("net", &[]),
    ("storage", &["net"]),
    ("client", &["net"]),
    ("actors", &["client", "net", "storage"]),
    ("examples", &["actors", "client", "net", "storage"]),
    ("tests", &["actors", "client", "net", "storage"]),
];

fn manifest(folder: &str) -> Table {
    std::fs::read_to_string(root().join(folder).join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

/// All dependencies of a crate, of every kind and target.
fn dependencies(folder: &str) -> BTreeMap<String, Value> {
    let manifest = manifest(folder);
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of_kind = |table: &&Table| kinds.map(|kind| table.get(kind).and_then(Value::as_table).cloned());
    tables.iter().flat_map(of_kind).flatten().flatten().collect()
}

fn strings(value: &Value) -> BTreeSet<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_crates_depend_on_each_other_as_drawn() {
    for (folder, expected) in EDGES {
        let dependencies = dependencies(folder);
        let ours: BTreeSet<_> = dependencies
            .keys()
            .filter_map(|name| name.strip_prefix("cuemq-"))
            .collect();
        assert_eq!(ours, expected.iter().copied().collect(), "edges of {folder}");
    }
}

#[test]
fn only_the_crates_that_may_know_a_runtime_name_it() {
    let mut offenders = Vec::new();
    for (folder, _) in EDGES {
        let dependencies = dependencies(folder);
        let allowed = |runtime: &str| match runtime {
            "tokio" => folder != "storage",
            _ => ["actors", "examples", "tests"].contains(&folder),
        };
        for runtime in ["actix", "actix-rt", "tokio"] {
            if dependencies.contains_key(runtime) && !allowed(runtime) {
                offenders.push(format!("{folder} names {runtime}"));
            }
        }
    }
    none("runtimes where none belongs", &offenders);
    let optional = |name: &str| dependencies("net")[name].get("optional").and_then(Value::as_bool);
    assert_eq!(
        optional("tokio"),
        Some(true),
        "net knows tokio only behind its feature `transport`"
    );
}

#[test]
fn storage_links_no_runtime_even_through_others() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "-p",
            "cuemq-storage",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let text = String::from_utf8(tree.stdout).unwrap();
    let linked: BTreeSet<&str> = text.lines().collect();
    assert!(
        linked.contains("cuemq_net") && linked.contains("bytes"),
        "not a tree of storage: {linked:?}"
    );
    let runtimes = ["tokio", "actix", "actix_rt", "mio", "async_std", "smol"];
    none(
        "storage links",
        &runtimes
            .iter()
            .filter(|name| linked.contains(**name))
            .map(|n| (*n).to_owned())
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_workspace_has_six_members_and_one_program() {
    let workspace = manifest("")["workspace"].as_table().unwrap().clone();
    assert_eq!(
        strings(&workspace["members"]),
        EDGES.iter().map(|(folder, _)| *folder).collect()
    );
    assert_eq!(strings(&workspace["default-members"]), BTreeSet::from(["actors"]));
    let mut programs = Vec::new();
    for (folder, _) in EDGES {
        let manifest = manifest(folder);
        let listed = manifest
            .get("bin")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        programs.extend(
            listed
                .iter()
                .map(|bin| format!("{folder}/{}", bin["path"].as_str().unwrap())),
        );
        let unlisted = root().join(folder).join("src/main.rs").exists() && listed.is_empty();
        assert!(
            !unlisted && !root().join(folder).join("src/bin").exists(),
            "{folder} has a program that is not listed"
        );
    }
    assert_eq!(programs, ["actors/src/main.rs"]);
}

/// Beside the crates only `fuzz`, which cargo-fuzz wants as a workspace of its own; hidden folders hold settings.
#[test]
fn the_root_holds_the_crates_and_nothing_else() {
    let mut allowed: BTreeSet<_> = EDGES.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    allowed.extend(["fuzz", "target", "cuemq-data"].map(str::to_owned));
    let mut offenders = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && !name.starts_with('.') && !allowed.contains(&name) {
            offenders.push(name);
        }
    }
    none("folders beside the crates", &offenders);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let lints = |folder: &str| {
        manifest(folder)
            .get("lints")
            .and_then(|lints| lints.get("workspace")?.as_bool())
    };
    let without = EDGES.iter().filter(|(folder, _)| lints(folder) != Some(true));
    none(
        "crates without the workspace lints",
        &without.map(|(folder, _)| (*folder).to_owned()).collect::<Vec<_>>(),
    );
}

#[test]
fn every_example_is_named_on_the_page_of_its_crate() {
    let files = crate::files();
    let page = files.iter().find(|file| file.path == "examples/src/lib.rs").unwrap();
    let examples = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("examples/examples/")?.strip_suffix(".rs"));
    let unnamed = examples.filter(|name| !page.text.contains(&format!("| `{name}` |")));
    none(
        "examples without a row",
        &unnamed.map(str::to_owned).collect::<Vec<_>>(),
    );
}
