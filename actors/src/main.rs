//! The `cuemq` program: name server, broker and load generator in one.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cuemq_actors::cli::run()
}
