//! Hash maps whose order is the same in every run, as the simulation needs.

/// The hasher: fast, and seeded by a constant.
pub type Hasher = foldhash::fast::FixedState;
/// A hash map with a fixed seed.
pub type Map<K, V> = std::collections::HashMap<K, V, Hasher>;
/// A hash set with a fixed seed.
pub type Set<T> = std::collections::HashSet<T, Hasher>;
