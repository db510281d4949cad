//! Small helpers between candle tensors and slices.

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

/// A tensor of shape `dims` and type `dtype` on `device` from f32 values.
pub fn from_slice(values: &[f32], dims: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    let expected: usize = dims.iter().product();
    if expected != values.len() {
        return Err(Error::shape("values", dims, &[values.len()]));
    }
    Ok(Tensor::from_slice(values, dims, device)?.to_dtype(dtype)?)
}

/// A vector of type `dtype` on `device`; f32 values on a processor become its own, without a copy.
pub fn from_vec(values: Vec<f32>, dtype: DType, device: &Device) -> Result<Tensor> {
    let length = values.len();
    Ok(Tensor::from_vec(values, length, device)?.to_dtype(dtype)?)
}

/// All values of a tensor in row-major order, as f32.
pub fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
}

/// The one value of a scalar tensor.
pub fn to_scalar(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.to_dtype(DType::F64)?.to_scalar()?)
}

/// Checks that a tensor has this shape.
pub fn expect_shape(what: &str, tensor: &Tensor, expected: &[usize]) -> Result<()> {
    if tensor.dims() == expected { Ok(()) } else { Err(Error::shape(what, expected, tensor.dims())) }
}
