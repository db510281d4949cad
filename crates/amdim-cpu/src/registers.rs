//! Maps that are not needed at the same time share memory.

use amdim_kernels::Buffer;
use amdim_network::Network;

/// Which register holds each node's map (or its gradients).
///
/// A map is needed from its node to its last reader; its gradients from that reader, in backward order, to its node.
/// These are the same stretches, so one assignment serves both directions.
#[derive(Debug)]
pub(crate) struct Registers {
    /// Register of each node.
    pub(crate) of_node: Vec<usize>,
    /// Values a picture, of each register.
    pub(crate) lens: Vec<usize>,
}

impl Registers {
    pub(crate) fn new(network: &Network) -> Self {
        let mut last_reader: Vec<usize> = (0..network.nodes.len()).collect();
        for (index, node) in network.nodes.iter().enumerate() {
            node.reads().for_each(|read| last_reader[read] = index);
        }
        let mut registers = Self { of_node: vec![], lens: vec![] };
        let mut busy_until: Vec<usize> = vec![];
        for (index, node) in network.nodes.iter().enumerate() {
            let free = busy_until.iter().position(|&last| last < index);
            let register = free.unwrap_or(busy_until.len());
            if free.is_none() {
                busy_until.push(0);
                registers.lens.push(0);
            }
            busy_until[register] = last_reader[index];
            registers.lens[register] = registers.lens[register].max(node.shape.len());
            registers.of_node.push(register);
        }
        registers
    }

    /// Values a picture, of all registers together.
    pub(crate) fn total_len(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Makes room for `pictures` in every register of `maps`.
    pub(crate) fn resize<T: Copy + Default>(&self, maps: &mut Vec<Buffer<T>>, pictures: usize) {
        maps.resize_with(self.lens.len(), Buffer::default);
        for (map, len) in maps.iter_mut().zip(&self.lens) {
            if map.len() < len * pictures {
                map.resize(len * pictures);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amdim_network::{Builder, MapShape, Padding, Source, Window};

    use super::*;

    #[test]
    fn a_tapped_map_keeps_its_register_until_its_last_reader() {
        let mut builder = Builder::new(MapShape { channels: 2, height: 3, width: 3 });
        let mut add = |input, out| {
            builder.convolution("c", input, out, Window::new(1, 1, Padding::none()), false, false).unwrap()
        };
        let tapped = add(Source::Picture, 4);
        let one = add(Source::Node(tapped), 2);
        let two = add(Source::Node(one), 3);
        let three = add(Source::Node(two), 5);
        let tap = add(Source::Node(tapped), 1);
        let registers = Registers::new(&builder.finish(vec![three, tap]));
        assert_eq!(registers.of_node, [0, 1, 2, 1, 1]);
        assert_eq!(registers.lens, [4 * 9, 5 * 9, 3 * 9]);
    }

    #[test]
    fn a_map_that_is_added_keeps_its_register_until_then() {
        let mut builder = Builder::new(MapShape { channels: 2, height: 3, width: 3 });
        let mut layer = |input, add| {
            let window = Window::new(3, 1, Padding::zeros(1));
            builder.normed_convolution(["c", "n"], input, 2, window, add, true).unwrap()
        };
        let tapped = layer(Source::Picture, None);
        let one = layer(Source::Node(tapped), None);
        let two = layer(Source::Node(one), None);
        let sum = layer(Source::Node(two), Some(tapped));
        let last = layer(Source::Node(sum), None);
        assert_eq!(Registers::new(&builder.finish(vec![last])).of_node, [0, 1, 2, 1, 0]);
    }
}
