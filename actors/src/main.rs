//! The `cuemq` program.
fn main() {}
