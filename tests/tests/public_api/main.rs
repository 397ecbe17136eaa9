//! What an application can see of the client library, as a text in the tree (`client/public-api.txt`), so that a change
//! of it is seen in review. `just public-api` writes the text anew.
//!
//! The text is read from the sources by their grammar and needs no compiler of another day: what is public on a public
//! path, re-exports at their place, with the signatures of functions and without their bodies. Items that macros make
//! stand as the macro's call.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(clippy::disallowed_methods, reason = "a test reads the sources that it is about")]

mod list;
mod tree;

use std::path::{Path, PathBuf};

/// Set to write the text instead of comparing it.
const WRITE: &str = "CUEMQ_WRITE_PUBLIC_API";

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client")
}

/// The lines of one that the other has not.
fn missing<'a>(of: &'a str, from: &str) -> Vec<&'a str> {
    of.lines()
        .filter(|line| !from.lines().any(|other| other == *line))
        .collect()
}

#[test]
fn the_public_interface_of_the_client_is_as_recorded() {
    let now = list::of(&tree::Module::read(&client().join("src/lib.rs")));
    let path = client().join("public-api.txt");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(&path).unwrap();
    let (gone, new) = (missing(&recorded, &now), missing(&now, &recorded));
    assert!(
        recorded == now,
        "the public interface of cuemq-client has changed: if it is meant to, `just public-api` writes \
         client/public-api.txt anew.\ngone:\n  {}\nnew:\n  {}",
        gone.join("\n  "),
        new.join("\n  ")
    );
}

#[test]
fn what_is_private_is_not_listed_and_what_is_public_is() {
    let text = "
        mod hidden;
        pub mod shown { pub(crate) fn no() {} pub fn yes<T: Copy>(of: &T) -> u8 { 1 } }
        pub use hidden::{Seen as Shown, Unit};
        struct Private;
    ";
    let hidden = "
        #[derive(Clone)] pub struct Seen { pub field: u8, other: u8 }
        impl Seen { pub fn new() -> Self { Self::make() } fn make() -> Self { loop {} } }
        impl std::fmt::Debug for Seen { fn fmt(&self) {} }
        pub struct Unit;
        pub struct NotExported;
        #[cfg(test)] mod tests { pub struct Tested; }
    ";
    let root = tree::Module::of(text, &|name| (name == "hidden").then(|| hidden.to_owned()));
    let listed = list::of(&root);
    let expected = "\
cuemq_client::Shown: #[derive(Clone)] pub struct Seen { pub field: u8, .. }
cuemq_client::Shown: impl std::fmt::Debug for Seen
cuemq_client::Shown: pub fn new() -> Self
cuemq_client::Unit: pub struct Unit;
cuemq_client::shown: pub mod
cuemq_client::shown::yes: pub fn yes<T: Copy>(of: &T) -> u8
";
    assert_eq!(listed, expected);
}
