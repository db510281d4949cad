//! A training run: data in, trained encoder out.
