//! What one connection may make the broker hold, and what its requests wait for: connections over pipes, the other actors
//! played by the test.

mod answers;
mod classes;
mod ends;
mod memory;
mod questions;
mod scene;
mod still;
