//! Probes on frozen features.
