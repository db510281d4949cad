//! A network description with its weights as an ONNX model, for runtimes in any language.
//!
//! Opset 17, IR version 8, standard operators only, f32, batch norm with running statistics. The first axis is the
//! batch and may have any length.
//!
//! | name | is |
//! | --- | --- |
//! | `pictures` | input `[batch, channels, height, width]`: normalised, or RGB in 0..1 where the model normalises |
//! | one output a map | `[batch, channels]` for a 1x1 map, else `[batch, channels, height, width]` |
//!
//! Weights have the names of the reference's `state_dict`. A protobuf message can't have more than 2 GiB; the weights
//! of a larger model go into a file beside it (ONNX's external data). Whole numbers, such as the widths of a border, stay
//! in the message: runtimes tell the shapes of maps by them, before they open the file.

mod graph;
mod layers;
pub mod proto;

use std::io::Write;

use amdim_network::Network;
use prost::Message;

use self::proto::{EXTERNAL, FLOAT, Model, OperatorSet, StringEntry};
use crate::{FilesError, Result};

/// Version of the standard operators.
pub const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
/// Name of the input.
pub const INPUT: &str = "pictures";
/// Bytes of weights that still fit into one message beside the graph.
const MOST_INSIDE: u64 = (1 << 31) - (64 << 20);

/// What is exported.
#[derive(Debug, Clone)]
pub struct Export<'a> {
    /// The encoder.
    pub network: &'a Network,
    /// Flat parameters, `[parameter_len]`.
    pub parameters: &'a [f32],
    /// Flat running statistics, `[buffer_len]`.
    pub running: &'a [f32],
    /// Maps to return, at least one: a name, and its place among the network's outputs.
    pub outputs: &'a [(&'a str, usize)],
    /// Mean and standard deviation a channel, where the model takes pictures in 0..1 and normalises them.
    pub normalisation: Option<(&'a [f32], &'a [f32])>,
    /// Version of the writer.
    pub version: &'a str,
    /// Keys and values for the model's metadata.
    pub metadata: &'a [(&'a str, String)],
}

impl Export<'_> {
    /// Whether the weights must go into a file beside the model.
    pub fn needs_file_beside(&self) -> bool {
        (self.parameters.len() + self.running.len()) as u64 * 4 > MOST_INSIDE
    }

    /// Writes the model with its weights inside.
    ///
    /// # Errors
    /// [`FilesError::InvalidArgument`] for outputs or lengths that don't fit the network; [`FilesError::Io`].
    pub fn write(&self, out: &mut impl Write) -> Result<()> {
        Ok(out.write_all(&self.model()?.encode_to_vec())?)
    }

    /// Writes the model, and its weights into `weights`, a file beside it that is called `name`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_with_file_beside(
        &self,
        out: &mut impl Write,
        name: &str,
        weights: &mut impl Write,
    ) -> Result<()> {
        let mut model = self.model()?;
        let mut offset = 0;
        let tensors = &mut model.graph.get_or_insert_default().initializer;
        for tensor in tensors.iter_mut().filter(|tensor| tensor.data_type == FLOAT) {
            let bytes = std::mem::take(&mut tensor.raw_data);
            weights.write_all(&bytes)?;
            let entry = |key: &str, value: String| StringEntry { key: key.into(), value };
            tensor.external_data = vec![
                entry("location", name.into()),
                entry("offset", offset.to_string()),
                entry("length", bytes.len().to_string()),
            ];
            tensor.data_location = EXTERNAL;
            offset += bytes.len();
        }
        Ok(out.write_all(&model.encode_to_vec())?)
    }

    fn model(&self) -> Result<Model> {
        self.check()?;
        Ok(Model {
            ir_version: IR_VERSION,
            producer_name: "amdim".into(),
            producer_version: self.version.into(),
            graph: Some(graph::build(self)),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: self
                .metadata
                .iter()
                .map(|(key, value)| StringEntry { key: (*key).into(), value: value.clone() })
                .collect(),
        })
    }

    fn check(&self) -> Result<()> {
        let lengths = [
            ("parameters", self.network.parameter_len(), self.parameters.len()),
            ("running", self.network.buffer_len(), self.running.len()),
        ];
        for (name, expected, actual) in lengths {
            if expected != actual {
                return Err(argument(name, format!("{expected} values"), actual));
            }
        }
        let maps = self.network.outputs.len();
        if self.outputs.is_empty() || self.outputs.iter().any(|&(_, place)| place >= maps) {
            return Err(argument(
                "outputs",
                format!("some of the network's {maps} maps"),
                format!("{:?}", self.outputs),
            ));
        }
        let channels = self.network.input.channels;
        match self.normalisation {
            Some((mean, std)) if mean.len() != channels || std.len() != channels => {
                Err(argument("normalisation", format!("{channels} numbers"), mean.len()))
            }
            _ => Ok(()),
        }
    }
}

fn argument(name: &'static str, expected: String, actual: impl std::fmt::Display) -> FilesError {
    FilesError::InvalidArgument { name, expected, actual: format!("{actual}") }
}
