# The front door for developers. Most need rustup and a C compiler; `interop` and `long` also a JDK of 9 or newer, Maven
# and Python 3 with pip, Go and npm for the clients of those languages, `counts` also valgrind. `.ci/run` is what a
# change must pass and needs all of these.

# show the recipes
default:
    @just --list --unsorted

# formatting, lints and documentation, all without a warning
check:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# all tests of the workspace
test *ARGS:
    cargo test --locked --workspace {{ARGS}}

# writes client/public-api.txt anew, which a test compares with the client's sources
public-api:
    CUEMQ_WRITE_PUBLIC_API=1 cargo test --locked -p cuemq-tests --test public_api

# real clients (Java, Go, C++, Node, each with each) against our server, then three kills under the load of Java 4.9.8
interop *ARGS:
    tests/interop/run {{ARGS}}
    tests/interop/kill-load --kills 3

# RocketMQ's admin tool, 4.3.0 and 4.9.8, on our broker and on a Java broker that hold the same
mqadmin *ARGS:
    tests/interop/mqadmin {{ARGS}}

# our client on real Java brokers, alone and in groups with Java's client, with TLS and access control
rust-on-java *ARGS:
    tests/interop/rust-on-java {{ARGS}}

# the long tables: 20000 histories of the store, 2000 of the whole broker, 2000 of applications with it, ten million messages that wait, a hundred thousand open transactions, a million messages that one expression walks, 20 kills for each Java client, our client on Java brokers, stores in Java brokers and of the commit before, overload, flood
long:
    CUEMQ_CRASH_SEEDS=20000 cargo test --locked --profile bench -p cuemq-storage --lib crash_test
    CUEMQ_SEEDS=2000 cargo test --locked --profile bench -p cuemq-tests --test simulation -- --nocapture
    CUEMQ_SEEDS=2000 cargo test --locked --profile bench -p cuemq-tests --test client_simulation -- --nocapture
    CUEMQ_TIMERS=10000000 cargo test --locked --profile bench -p cuemq-tests --test wire_behaviour many_timers -- --nocapture
    CUEMQ_FILTERED=1000000 cargo test --locked --profile bench -p cuemq-tests --test wire_behaviour many_filters -- --nocapture
    CUEMQ_HALVES=100000 cargo test --locked --profile bench -p cuemq-tests --test wire_behaviour many_transactions -- --nocapture
    tests/interop/run
    tests/interop/run --client groups-4.3.0 --client groups-5.3.3
    tests/interop/rust-on-java
    tests/interop/kill-load --client 4.3.0 --kills 20
    tests/interop/kill-load --client 4.9.8 --kills 50
    tests/interop/java-opens-ours
    tests/interop/upgrade
    tests/interop/overload
    tests/interop/flood --full

# build the image of examples/deploy/Containerfile, and try it (needs podman or docker)
image:
    examples/deploy/try-image

# one simulated history, with its trace
sim SEED:
    CUEMQ_SEED={{SEED}} cargo test --locked -p cuemq-tests --test simulation every_history_keeps_the_promises -- --exact --nocapture

# one simulated history of applications, with its trace
sim-apps SEED:
    CUEMQ_SEED={{SEED}} cargo test --locked -p cuemq-tests --test client_simulation every_history_keeps_the_promises_to_applications -- --exact --nocapture

# our broker and others in turn, with their floors and goals: `just bench --ours HOST:PORT --against NAME=HOST:PORT`; see BENCHMARKS.md
bench *ARGS:
    cargo run --locked --release -- bench suite {{ARGS}}

# micro-benchmarks, and actors against plain calls
micro *ARGS:
    cargo bench --locked --workspace --bench codec --bench actors_against_calls {{ARGS}}

# instructions of the hot path against their record (needs valgrind); `just counts --record` writes the record anew
counts *ARGS:
    tests/counts/check {{ARGS}}

# fuzz batch, bodies, dialect, filter, frame, headers, properties or record for a minute (needs a C++ compiler, `rustup toolchain
# install nightly` and `cargo install cargo-fuzz --locked`); an input that takes 10 s or one allocation over 64 MiB is a
# finding as well. What it collects is in fuzz/corpus-work, what it finds in fuzz/artifacts.
[doc("fuzz one of batch, bodies, dialect, filter, frame, headers, properties, record for a minute (needs nightly and cargo-fuzz)")]
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/corpus-work/{{TARGET}}
    cargo +nightly fuzz run {{TARGET}} fuzz/corpus-work/{{TARGET}} fuzz/corpus/{{TARGET}} -- -max_total_time={{SECONDS}} -timeout=10 -malloc_limit_mb=64

# name server and broker on 127.0.0.1, data in ./cuemq-data
run *ARGS:
    cargo run --release -- server {{ARGS}}
