//! Forward and backward of a network description on CPUs.
