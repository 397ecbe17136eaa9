//! The store as a whole over the disk that loses, tears and fails: append, roll, dispatch, checkpoint and recovery against
//! a plain list of what was acknowledged.

mod crash_test;
mod damage_test;
mod deletion_test;
mod groups_test;
mod interrupt_test;
mod lost_keys_test;
mod names_test;
mod places_test;
mod promise_test;
mod resume_test;
mod retention_test;
mod world;
