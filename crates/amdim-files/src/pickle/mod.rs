//! The subset of Python's pickle, protocol 2, that `torch.save` uses for a dictionary of tensors and plain values.
//!
//! A pickle is a program for a machine that can call any function of Python. The machine here ([`parse`]) can't: it
//! builds plain values, and of all names it knows those of [`Global`]. An opcode or a name beyond these is an error
//! that says which, and at which byte.

mod objects;
mod parse;
mod write;

pub use objects::{Global, Id, Object, Pickle, Storage, StoredTensor};
pub use parse::{MAX_OBJECTS, PickleError, parse};
pub use write::PickleWriter;
