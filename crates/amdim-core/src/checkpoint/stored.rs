//! One tensor in a file, on the host.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, View};

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

    pub(super) fn from_view(name: &str, view: &TensorView) -> std::result::Result<Self, String> {
        let shape = view.shape().to_vec();
        match view.dtype() {
            Dtype::F32 => {
                let values = view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect();
                Ok(Self::Float { shape, values })
            }
            Dtype::I64 => {
                let read = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                Ok(Self::Integer { shape, values: view.data().chunks_exact(8).map(read).collect() })
            }
            other => Err(format!("{name}: tensors of f32 or i64 expected, {other:?} found")),
        }
    }
}

fn missing(name: &str, expected: &[usize]) -> Error {
    Error::Shape { what: name.into(), expected: format!("{expected:?}"), actual: "no such tensor".into() }
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        match self {
            Stored::Float { .. } => Dtype::F32,
            Stored::Integer { .. } => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        Stored::shape(self)
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Stored::Float { values, .. } => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Stored::Integer { values, .. } => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Stored::Float { values, .. } => values.len() * 4,
            Stored::Integer { values, .. } => values.len() * 8,
        }
    }
}
