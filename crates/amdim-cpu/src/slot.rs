//! What a training pass keeps until its backward.

use amdim_kernels::{Stored, resize};
use amdim_network::Network;

use crate::layer::{Kept, Layer};
use crate::norm::NormState;

/// One training pass.
#[derive(Debug)]
pub(crate) struct Slot<S: Stored> {
    /// Number of pictures; 0 before the first pass.
    pub(crate) batch: usize,
    /// Whether the pass waits for its backward.
    pub(crate) open: bool,
    /// The pictures, channels last.
    pub(crate) pictures: Vec<S>,
    /// The maps of the nodes.
    pub(crate) maps: Vec<Vec<S>>,
    /// What else the nodes keep.
    pub(crate) kept: Vec<Kept<S>>,
    /// Batch statistics.
    pub(crate) norms: Vec<NormState<S::Real>>,
}

impl<S: Stored> Slot<S> {
    pub(crate) fn new(norms: Vec<NormState<S::Real>>) -> Self {
        Self { batch: 0, open: false, pictures: vec![], maps: vec![], kept: vec![], norms }
    }

    /// Makes room for `batch` pictures. Allocates only if the last batch was smaller.
    pub(crate) fn resize(&mut self, network: &Network, layers: &[Layer], batch: usize) {
        resize(&mut self.pictures, batch * network.input.len());
        self.maps.resize_with(layers.len(), Vec::new);
        self.kept.resize_with(layers.len(), || Kept { hidden: vec![], sum: vec![] });
        let stored = self.maps.iter_mut().zip(&mut self.kept);
        for ((map, kept), (layer, node)) in stored.zip(layers.iter().zip(&network.nodes)) {
            let [hidden, sum, _] = layer.kept_channels().map(|n| n * node.shape.locations() * batch);
            resize(map, batch * node.shape.len());
            resize(&mut kept.hidden, hidden);
            resize(&mut kept.sum, sum);
        }
    }
}
