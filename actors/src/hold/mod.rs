//! Parked pulls.
