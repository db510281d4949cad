//! One tensor in a file, on the host.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// A tensor of f32, or a counter of i64.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Values in row-major order.
    Float {
        /// Dimensions.
        shape: Vec<usize>,
        /// `shape.product()` values.
        values: Vec<f32>,
    },
    /// Integers in row-major order (the reference's `num_batches_tracked`).
    Integer {
        /// Dimensions; none for a scalar.
        shape: Vec<usize>,
        /// `shape.product()` values.
        values: Vec<i64>,
    },
}

impl Stored {
    /// A tensor of f32.
    pub fn float(shape: Vec<usize>, values: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::Float { shape, values }
    }

    /// A scalar counter.
    pub fn counter(count: u64) -> Self {
        Self::Integer { shape: vec![], values: vec![count as i64] }
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float { shape, .. } | Self::Integer { shape, .. } => shape,
        }
    }

    /// Bytes of the values, in memory and in a file.
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Float { values, .. } => size_of_val(&values[..]),
            Self::Integer { values, .. } => size_of_val(&values[..]),
        }
    }

    /// The values of the f32 tensor `name` of this shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is missing, an integer, or of another shape.
    pub fn take<'a>(state: &'a BTreeMap<String, Self>, name: &str, expected: &[usize]) -> Result<&'a [f32]> {
        match state.get(name) {
            Some(Self::Float { shape, values }) if shape == expected => Ok(values),
            Some(other) => Err(Error::shape(name, expected, other.shape())),
            None => Err(missing(name, expected)),
        }
    }

    /// The counter `name`.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is missing or no scalar integer.
    pub fn take_counter(state: &BTreeMap<String, Self>, name: &str) -> Result<u64> {
        match state.get(name) {
            Some(Self::Integer { values, .. }) if values.len() == 1 => Ok(values[0] as u64),
            Some(other) => Err(Error::shape(name, &[], other.shape())),
            None => Err(missing(name, &[])),
        }
    }
}

fn missing(name: &str, expected: &[usize]) -> Error {
    Error::Shape { what: name.into(), expected: format!("{expected:?}"), actual: "no such tensor".into() }
}
