//! A tensor as bytes with a shape and an element type.

use half::{bf16, f16};

use crate::{FilesError, Result};

/// Type of the elements of a tensor or storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 16-bit float (IEEE 754 half).
    F16,
    /// 16-bit float with the exponent of f32.
    Bf16,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

/// A tensor in row-major order, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Type of the elements.
    pub element: Element,
    /// Dimensions; none for a scalar.
    pub shape: Vec<usize>,
    /// `shape.product() * element.size()` bytes.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of f32 values in row-major order.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { element: Element::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// A tensor of i64 values in row-major order.
    pub fn from_i64(shape: Vec<usize>, values: &[i64]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { element: Element::I64, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The values as f32: exact for halves and f32, rounded for f64; none for integers.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self.element {
            Element::F32 => Some(read(&self.bytes, f32::from_le_bytes)),
            Element::F64 => Some(read(&self.bytes, |b| f64::from_le_bytes(b) as f32)),
            Element::F16 => Some(read(&self.bytes, |b| f16::from_le_bytes(b).to_f32())),
            Element::Bf16 => Some(read(&self.bytes, |b| bf16::from_le_bytes(b).to_f32())),
            _ => None,
        }
    }

    /// The values as i64; none for floating-point numbers.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match self.element {
            Element::I64 => Some(read(&self.bytes, i64::from_le_bytes)),
            Element::I32 => Some(read(&self.bytes, |b| i32::from_le_bytes(b).into())),
            Element::I16 => Some(read(&self.bytes, |b| i16::from_le_bytes(b).into())),
            Element::I8 => Some(read(&self.bytes, |b| i8::from_le_bytes(b).into())),
            Element::U8 | Element::Bool => Some(read(&self.bytes, |b| u8::from_le_bytes(b).into())),
            _ => None,
        }
    }
}

fn read<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&chunk| convert(chunk)).collect()
}

/// Where the elements of a tensor lie in a storage, counted in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Index of the first element.
    pub offset: usize,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Steps between neighbours along each dimension.
    pub strides: Vec<usize>,
}

impl View {
    /// Number of elements, where the view lies within a storage of `storage_len` elements and has no more than those.
    ///
    /// # Errors
    /// [`FilesError::Malformed`] for a view that leaves the storage, repeats it, or has a stride too many or too few.
    pub fn len_within(&self, storage_len: usize) -> Result<usize> {
        let refused = || {
            FilesError::malformed(format!(
                "a tensor of shape {:?}, strides {:?} and offset {} does not lie in a storage of {storage_len} elements",
                self.shape, self.strides, self.offset
            ))
        };
        if self.shape.len() != self.strides.len() {
            return Err(refused());
        }
        let len = self.shape.iter().try_fold(1_usize, |len, &n| len.checked_mul(n)).ok_or_else(refused)?;
        if len == 0 {
            return Ok(0);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (&n, &stride)| last.checked_add((n - 1).checked_mul(stride)?))
            .ok_or_else(refused)?;
        if last < storage_len && len <= storage_len { Ok(len) } else { Err(refused()) }
    }

    /// The viewed elements of a storage in row-major order.
    ///
    /// # Errors
    /// As [`len_within`](Self::len_within).
    pub fn gather(&self, storage: &[u8], element: Element) -> Result<Tensor> {
        let size = element.size();
        let len = self.len_within(storage.len() / size)?;
        let mut bytes = Vec::with_capacity(len * size);
        if self.is_contiguous() || len == 0 {
            let start = if len == 0 { 0 } else { self.offset * size };
            bytes.extend_from_slice(&storage[start..start + len * size]);
        } else {
            for place in 0..len {
                let start = self.place(place) * size;
                bytes.extend_from_slice(&storage[start..start + size]);
            }
        }
        Ok(Tensor { element, shape: self.shape.clone(), bytes })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&n, &stride)| {
            let fits = n == 1 || stride == expected;
            expected *= n;
            fits
        })
    }

    /// Index in the storage of element `place` of the row-major order.
    fn place(&self, mut place: usize) -> usize {
        let mut at = self.offset;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            at += place % n * stride;
            place /= n;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> View {
        View { offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn views_are_gathered_in_row_major_order() {
        let storage: Vec<u8> = (0..24).collect();
        let gather = |v: View| v.gather(&storage, Element::U8).unwrap().bytes;
        assert_eq!(gather(view(2, &[2, 3], &[3, 1])), [2, 3, 4, 5, 6, 7]);
        assert_eq!(gather(view(0, &[3, 2], &[1, 3])), [0, 3, 1, 4, 2, 5]);
        assert_eq!(gather(view(1, &[2, 2], &[12, 6])), [1, 7, 13, 19]);
        assert_eq!(gather(view(7, &[], &[])), [7]);
        assert_eq!(gather(view(99, &[0, 4], &[4, 1])), [0_u8; 0]);
        let halves = view(1, &[2], &[2]).gather(&storage, Element::I16).unwrap();
        assert_eq!(halves.to_i64().unwrap(), [0x0302, 0x0706]);
    }

    #[test]
    fn views_outside_their_storage_are_refused_before_memory_is_taken() {
        for bad in [
            view(0, &[25], &[1]),
            view(20, &[5], &[1]),
            view(0, &[2, 2], &[23, 1]),
            view(0, &[2], &[1, 1]),
            view(0, &[usize::MAX, 3], &[0, 0]),
            view(0, &[2, 2], &[usize::MAX, 1]),
            // Repeats of one element, which could ask for any amount of memory.
            view(0, &[1 << 40], &[0]),
        ] {
            assert!(matches!(bad.len_within(24), Err(FilesError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn every_float_becomes_f32() {
        let tensor = |element, bytes: &[u8]| Tensor { element, shape: vec![1], bytes: bytes.to_vec() };
        assert_eq!(tensor(Element::F16, &[0x00, 0x3e]).to_f32().unwrap(), [1.5]);
        assert_eq!(tensor(Element::Bf16, &[0xc0, 0x3f]).to_f32().unwrap(), [1.5]);
        assert_eq!(tensor(Element::F64, &1.5_f64.to_le_bytes()).to_f32().unwrap(), [1.5]);
        assert_eq!(tensor(Element::F32, &1.5_f32.to_le_bytes()).to_f32().unwrap(), [1.5]);
        assert_eq!(tensor(Element::I8, &[0xff]).to_f32(), None);
        assert_eq!(tensor(Element::I8, &[0xff]).to_i64().unwrap(), [-1]);
    }
}
