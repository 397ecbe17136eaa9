//! What tests of several crates share.

pub mod golden;
pub mod sim;
pub mod sim_net;
