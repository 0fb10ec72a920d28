//! Everything that touches a cluster or a process.
