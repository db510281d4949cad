//! One tensor in a file, on the host.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::container::ReadError;
use crate::Error;

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
    pub fn take<'a>(
        state: &'a BTreeMap<String, Self>,
        name: &str,
        expected: &[usize],
    ) -> crate::Result<&'a [f32]> {
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
    pub fn take_counter(state: &BTreeMap<String, Self>, name: &str) -> crate::Result<u64> {
        match state.get(name) {
            Some(Self::Integer { values, .. }) if values.len() == 1 => Ok(values[0] as u64),
            Some(other) => Err(Error::shape(name, &[], other.shape())),
            None => Err(missing(name, &[])),
        }
    }

    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Self::Float { .. } => Dtype::F32,
            Self::Integer { .. } => Dtype::I64,
        }
    }

    /// Bytes of the values.
    pub(super) fn byte_len(&self) -> usize {
        match self {
            Self::Float { values, .. } => size_of_val(&values[..]),
            Self::Integer { values, .. } => size_of_val(&values[..]),
        }
    }

    /// Writes the values, little-endian.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Float { values, .. } => write_values(out, values, f32::to_le_bytes),
            Self::Integer { values, .. } => write_values(out, values, i64::to_le_bytes),
        }
    }

    /// Reads the values of tensor `name`.
    pub(super) fn read(name: &str, info: &TensorInfo, from: &mut impl Read) -> Result<Self, ReadError> {
        let shape = info.shape.clone();
        let bytes = info.data_offsets.1 - info.data_offsets.0;
        match info.dtype {
            Dtype::F32 => Ok(Self::Float { shape, values: read_values(from, bytes, f32::from_le_bytes)? }),
            Dtype::I64 => Ok(Self::Integer { shape, values: read_values(from, bytes, i64::from_le_bytes)? }),
            other => {
                Err(ReadError::Broken(format!("{name}: tensors of f32 or i64 expected, {other:?} found")))
            }
        }
    }
}

/// Values that are turned into bytes, or back, at once.
const PIECE: usize = 1 << 12;

fn write_values<T: Copy, const BYTES: usize>(
    out: &mut impl Write,
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; BYTES],
) -> io::Result<()> {
    let mut bytes = vec![0; PIECE * BYTES];
    for values in values.chunks(PIECE) {
        let bytes = &mut bytes[..values.len() * BYTES];
        for (to, &value) in bytes.chunks_exact_mut(BYTES).zip(values) {
            to.copy_from_slice(&to_bytes(value));
        }
        out.write_all(bytes)?;
    }
    Ok(())
}

fn read_values<T, const BYTES: usize>(
    from: &mut impl Read,
    length: usize,
    from_bytes: impl Fn([u8; BYTES]) -> T,
) -> io::Result<Vec<T>> {
    let mut values = Vec::with_capacity(length / BYTES);
    let mut bytes = vec![0; PIECE * BYTES];
    while values.len() < length / BYTES {
        let bytes = &mut bytes[..(length - values.len() * BYTES).min(PIECE * BYTES)];
        from.read_exact(bytes)?;
        values.extend(bytes.as_chunks().0.iter().map(|&value| from_bytes(value)));
    }
    Ok(values)
}

fn missing(name: &str, expected: &[usize]) -> Error {
    Error::Shape { what: name.into(), expected: format!("{expected:?}"), actual: "no such tensor".into() }
}
