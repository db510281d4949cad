//! What a training pass keeps until its backward.

use amdim_kernels::{Buffer, Stored};
use amdim_network::{Network, Node};

use crate::layer::{Kept, Layer};
use crate::norm::NormState;

/// One training pass.
#[derive(Debug)]
pub(crate) struct Slot<S: Stored> {
    /// Number of pictures; 0 before the first pass.
    pub(crate) batch: usize,
    /// Whether the pass waits for its backward.
    pub(crate) open: bool,
    /// Whether its batch norms took running statistics.
    pub(crate) frozen: bool,
    /// The pictures, channels last.
    pub(crate) pictures: Buffer<S>,
    /// The maps of the nodes.
    pub(crate) maps: Vec<Buffer<S>>,
    /// What else the nodes keep.
    pub(crate) kept: Vec<Kept<S>>,
    /// Batch statistics.
    pub(crate) norms: Vec<NormState<S::Real>>,
}

impl<S: Stored> Slot<S> {
    pub(crate) fn new(norms: Vec<NormState<S::Real>>) -> Self {
        Self {
            batch: 0,
            open: false,
            frozen: false,
            pictures: Buffer::default(),
            maps: vec![],
            kept: vec![],
            norms,
        }
    }

    /// Bytes of a slot with room for `batch` pictures, batch statistics aside: proportional to the batch.
    pub(crate) fn bytes(network: &Network, layers: &[Layer], batch: usize) -> usize {
        let per_picture = |(layer, node): (&Layer, &Node)| {
            let [hidden, sum, _] = layer.kept_len(node.shape.locations());
            node.shape.len() + hidden + sum
        };
        let maps: usize = layers.iter().zip(&network.nodes).map(per_picture).sum();
        batch * (network.input.len() + maps) * size_of::<S>()
    }

    /// Makes room for `batch` pictures. Allocates only if the last batch was smaller.
    pub(crate) fn resize(&mut self, network: &Network, layers: &[Layer], batch: usize) {
        self.pictures.resize(batch * network.input.len());
        self.maps.resize_with(layers.len(), Buffer::default);
        self.kept.resize_with(layers.len(), || Kept { hidden: Buffer::default(), sum: Buffer::default() });
        let stored = self.maps.iter_mut().zip(&mut self.kept);
        for ((map, kept), (layer, node)) in stored.zip(layers.iter().zip(&network.nodes)) {
            let [hidden, sum, _] = layer.kept_len(node.shape.locations()).map(|len| len * batch);
            map.resize(batch * node.shape.len());
            kept.hidden.resize(hidden);
            kept.sum.resize(sum);
        }
    }
}
