//! Stands empty until its own change.
