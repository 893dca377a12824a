//! Faults of the disk, injected.
