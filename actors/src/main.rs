//! The `cuemq` program: name server, broker and load generator in one.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages. A broker that rests holds 20 MiB of them and uses 3, and sends are none the faster.
    // A kernel that does not know the request goes on as before.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cuemq_actors::cli::run()
}
