//! The mathematics of AMDIM.
