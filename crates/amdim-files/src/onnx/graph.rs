//! The graph of a network: which operations, on which values.

use amdim_network::{BufferId, MapShape, ParameterId, Source};

use super::proto::{
    Attribute, Dimension, FLOAT, FLOAT_ATTRIBUTE, Graph, INT_ATTRIBUTE, INT64, INTS_ATTRIBUTE, Length, Node,
    STRING_ATTRIBUTE, Shape, Tensor, TensorType, Type, ValueInfo,
};
use super::{Export, INPUT, layers};

/// A graph under construction. A value has the name of the operation that gives it.
pub(super) struct Build<'a> {
    export: &'a Export<'a>,
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

/// The graph of the maps asked for; layers that none of them needs are left out.
pub(super) fn build(export: &Export) -> Graph {
    let mut build = Build { export, nodes: vec![], initializers: vec![] };
    let network = export.network;
    let pictures = build.pictures();
    let needed = needed(export);
    let mut values: Vec<String> = vec![];
    for (node, is_needed) in network.nodes.iter().zip(needed) {
        let input = match node.input {
            Source::Picture => (pictures.clone(), network.input),
            Source::Node(index) => (values[index].clone(), network.nodes[index].shape),
        };
        let other = node.beside().map(|other| values[other].clone());
        let result = is_needed.then(|| layers::add(&mut build, node, &input, other.as_deref()));
        values.push(result.unwrap_or_default());
    }
    for &(name, place) in export.outputs {
        let node = network.outputs[place];
        // A 1x1 map is a vector; any other gets the name of the output only.
        match network.nodes[node].shape.locations() {
            1 => build.op(name, "Flatten", &[&values[node]], vec![int("axis", 1)]),
            _ => build.op(name, "Identity", &[&values[node]], vec![]),
        };
    }
    Graph {
        node: build.nodes,
        name: "encoder".into(),
        initializer: build.initializers,
        input: vec![value(INPUT, network.input, false)],
        output: export
            .outputs
            .iter()
            .map(|&(name, place)| {
                let shape = network.nodes[network.outputs[place]].shape;
                value(name, shape, shape.locations() == 1)
            })
            .collect(),
    }
}

/// For each node whether one of the outputs needs it.
fn needed(export: &Export) -> Vec<bool> {
    let network = export.network;
    let mut needed = vec![false; network.nodes.len()];
    for &(_, place) in export.outputs {
        needed[network.outputs[place]] = true;
    }
    for index in (0..needed.len()).rev() {
        if needed[index] {
            network.nodes[index].reads().for_each(|input| needed[input] = true);
        }
    }
    needed
}

impl Build<'_> {
    /// The normalised pictures.
    fn pictures(&mut self) -> String {
        let Some((mean, std)) = self.export.normalisation else { return INPUT.into() };
        let dims = [1, mean.len(), 1, 1];
        let mean = self.floats("normalise.mean", &dims, mean);
        let std = self.floats("normalise.std", &dims, std);
        let centred = self.op("normalise/subtract", "Sub", &[INPUT, &mean], vec![]);
        self.op("normalise/divide", "Div", &[&centred, &std], vec![])
    }

    /// Adds an operation and returns the name of its value.
    pub(super) fn op(
        &mut self,
        name: &str,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.into()],
            name: name.into(),
            op_type: kind.into(),
            attribute: attributes,
        });
        name.into()
    }

    /// Adds a parameter of the network and returns its name.
    pub(super) fn parameter(&mut self, id: ParameterId) -> String {
        let export = self.export;
        let parameter = &export.network.parameters[id.0];
        self.floats(&parameter.name, &parameter.shape, &export.parameters[parameter.range()])
    }

    /// Adds running statistics of the network and returns their name.
    pub(super) fn buffer(&mut self, id: BufferId) -> String {
        let export = self.export;
        let buffer = &export.network.buffers[id.0];
        self.floats(&buffer.name, &[buffer.len], &export.running[buffer.range()])
    }

    /// Adds a constant list of integers and returns its name.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, INT64, vec![values.len() as i64], raw_data)
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, FLOAT, dims.iter().map(|&n| n as i64).collect(), raw_data)
    }

    fn initializer(&mut self, name: &str, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) -> String {
        self.initializers.push(Tensor { dims, data_type, name: name.into(), raw_data, ..Tensor::default() });
        name.into()
    }
}

fn value(name: &str, shape: MapShape, is_vector: bool) -> ValueInfo {
    let length = |n: usize| Dimension { length: Some(Length::Value(n as i64)) };
    let mut dim = vec![Dimension { length: Some(Length::Name("batch".into())) }, length(shape.channels)];
    if !is_vector {
        dim.extend([length(shape.height), length(shape.width)]);
    }
    let tensor_type = TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) };
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

/// An attribute with an integer.
pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: value, r#type: INT_ATTRIBUTE, ..Attribute::default() }
}

/// An attribute with integers.
pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    let ints = values.iter().map(|&value| value as i64).collect();
    Attribute { name: name.into(), ints, r#type: INTS_ATTRIBUTE, ..Attribute::default() }
}

/// An attribute with a float.
pub(super) fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.into(), f: value, r#type: FLOAT_ATTRIBUTE, ..Attribute::default() }
}

/// An attribute with a text.
pub(super) fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.into(), s: value.into(), r#type: STRING_ATTRIBUTE, ..Attribute::default() }
}
