//! Files that other programs write and read: PyTorch checkpoints (`.pth`), ONNX graphs, Parquet tables.
//!
//! Tensors are named buffers here; this crate knows no candle, no executor and no JavaScript. Nothing in a file is
//! ever executed: a pickle is parsed by a small machine that knows the constructors of a `state_dict` and refuses
//! everything else. Whatever a file claims to hold is checked against its length before memory is taken for it.
//!
//! | module | holds |
//! | --- | --- |
//! | [`tensor`] | a tensor as bytes with a shape and an element type |
//! | [`pickle`] | reading and writing the subset of pickle that PyTorch uses for tensors |
//! | [`pth`] | `torch.save` files: zip and legacy, and the authors' checkpoint inside |
//! | [`onnx`] | a network description with its weights as an ONNX model |
//! | [`table`] | features with names and labels as Parquet |

mod error;
pub mod onnx;
pub mod pickle;
pub mod pth;
pub mod table;
pub mod tensor;

pub use error::{FilesError, Result};
