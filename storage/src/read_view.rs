//! Read-only mappings: the one file with unsafe code.
/// A read-only mapping.
#[derive(Debug)] pub struct ReadView;
