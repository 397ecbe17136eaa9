//! The I/O threads: connections as tasks, one egress for each thread, sends and pulls handled where they arrive.

pub mod answer_turns;
pub mod budget;
pub mod connection;
pub mod egress;
pub mod identity;
pub mod look_up;
pub mod offset_moves;
pub mod outbox;
pub mod peer_table;
pub mod pressure;
pub mod pull;
mod pull_filter;
pub mod questions;
pub mod send;
pub mod send_answer;
pub mod send_context;
pub mod state;
pub mod turns;
