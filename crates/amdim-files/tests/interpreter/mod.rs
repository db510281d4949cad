//! Runs an ONNX model operator by operator, as the standard describes each, with no regard for speed.

use std::collections::HashMap;

use amdim_files::onnx::INPUT;
use amdim_files::onnx::proto::{FLOAT, Graph, INT64, Model, Node};

/// A tensor of f64.
#[derive(Debug, Clone)]
pub struct Values {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Values {
    pub fn new(shape: &[usize], data: impl IntoIterator<Item = impl Into<f64>>) -> Self {
        let data: Vec<f64> = data.into_iter().map(Into::into).collect();
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }

    /// Batch, channels, rows, columns.
    fn dims(&self) -> [usize; 4] {
        self.shape.clone().try_into().unwrap()
    }

    fn at(&self, [n, c, y, x]: [usize; 4]) -> f64 {
        let [_, channels, height, width] = self.dims();
        self.data[((n * channels + c) * height + y) * width + x]
    }

    fn make(shape: [usize; 4], mut value: impl FnMut([usize; 4]) -> f64) -> Self {
        let mut data = vec![];
        for n in 0..shape[0] {
            for c in 0..shape[1] {
                for y in 0..shape[2] {
                    data.extend((0..shape[3]).map(|x| value([n, c, y, x])));
                }
            }
        }
        Self::new(&shape, data)
    }
}

/// The outputs of a model by name.
pub fn run(model: &Model, pictures: Values) -> HashMap<String, Values> {
    let graph = model.graph.as_ref().unwrap();
    let mut values = weights(graph);
    values.insert(INPUT.into(), pictures);
    for node in &graph.node {
        let inputs: Vec<&Values> = node.input.iter().map(|name| &values[name]).collect();
        let result = operator(node, &inputs);
        values.insert(node.output[0].clone(), result);
    }
    graph.output.iter().map(|output| (output.name.clone(), values[&output.name].clone())).collect()
}

fn weights(graph: &Graph) -> HashMap<String, Values> {
    let read = |tensor: &amdim_files::onnx::proto::Tensor| {
        let shape: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
        let data: Vec<f64> = match tensor.data_type {
            FLOAT => tensor.raw_data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
            INT64 => tensor.raw_data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
            other => panic!("data type {other}"),
        };
        (tensor.name.clone(), Values::new(&shape, data))
    };
    graph.initializer.iter().map(read).collect()
}

fn ints(node: &Node, name: &str) -> Vec<usize> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name).unwrap();
    assert_eq!(attribute.r#type, 7);
    attribute.ints.iter().map(|&value| value as usize).collect()
}

fn operator(node: &Node, inputs: &[&Values]) -> Values {
    let x = inputs[0];
    match node.op_type.as_str() {
        "Identity" => x.clone(),
        "Relu" => Values::new(&x.shape, x.data.iter().map(|value| value.max(0.0))),
        "Add" => {
            assert_eq!(x.shape, inputs[1].shape);
            Values::new(&x.shape, x.data.iter().zip(&inputs[1].data).map(|(a, b)| a + b))
        }
        "Sub" => Values::make(x.dims(), |at| x.at(at) - inputs[1].data[at[1]]),
        "Div" => Values::make(x.dims(), |at| x.at(at) / inputs[1].data[at[1]]),
        "Flatten" => {
            let [n, c, h, w] = x.dims();
            Values::new(&[n, c * h * w], x.data.clone())
        }
        "Conv" => convolution(node, x, inputs[1], inputs.get(2).copied()),
        "AveragePool" => average(node, x),
        "MaxPool" => largest(node, x),
        "GlobalAveragePool" => {
            let [n, c, h, w] = x.dims();
            let places = |n, c| (0..h).flat_map(move |y| (0..w).map(move |column| [n, c, y, column]));
            let mean =
                |[n, c, _, _]: [usize; 4]| places(n, c).map(|at| x.at(at)).sum::<f64>() / (h * w) as f64;
            Values::make([n, c, 1, 1], mean)
        }
        "Tanh" => Values::make(x.dims(), |at| x.at(at).tanh()),
        "Exp" => Values::make(x.dims(), |at| x.at(at).exp()),
        "Mul" => {
            assert_eq!(x.shape, inputs[1].shape);
            Values::new(&x.shape, x.data.iter().zip(&inputs[1].data).map(|(a, b)| a * b))
        }
        "Transpose" => {
            let (order, dims) = (ints(node, "perm"), x.dims());
            Values::make(std::array::from_fn(|axis| dims[order[axis]]), |at| {
                let mut from = [0; 4];
                order.iter().zip(at).for_each(|(&axis, place)| from[axis] = place);
                x.at(from)
            })
        }
        "Reshape" => {
            let known: f64 = inputs[1].data.iter().filter(|&&side| side > 0.0).product();
            let missing = x.data.len() / known as usize;
            let side = |&side: &f64| if side > 0.0 { side as usize } else { missing };
            Values::new(&inputs[1].data.iter().map(side).collect::<Vec<_>>(), x.data.clone())
        }
        "Slice" => {
            let [start, end, axis, step] = [1, 2, 3, 4].map(|input| inputs[input].data[0] as usize);
            let mut dims = x.dims();
            dims[axis] = (start..end.min(dims[axis])).step_by(step).count();
            Values::make(dims, |mut at| {
                at[axis] = start + at[axis] * step;
                x.at(at)
            })
        }
        "Concat" => {
            let axis = node.attribute[0].i as usize;
            let (mut dims, first) = (x.dims(), x.dims()[axis]);
            dims[axis] += inputs[1].dims()[axis];
            Values::make(dims, |mut at| {
                if at[axis] < first {
                    return x.at(at);
                }
                at[axis] -= first;
                inputs[1].at(at)
            })
        }
        "BatchNormalization" => batch_norm(node, inputs),
        "Pad" => pad(node, x, inputs[1]),
        other => panic!("{other}"),
    }
}

/// The value at a place of the map with a border of zeros.
fn bordered(x: &Values, n: usize, c: usize, y: usize, column: usize, pads: &[usize]) -> f64 {
    let [_, _, height, width] = x.dims();
    match (y.checked_sub(pads[0]), column.checked_sub(pads[1])) {
        (Some(y), Some(column)) if y < height && column < width => x.at([n, c, y, column]),
        _ => 0.0,
    }
}

fn positions(x: &Values, kernel: &[usize], strides: &[usize], pads: &[usize]) -> [usize; 2] {
    let [_, _, height, width] = x.dims();
    [
        (height + pads[0] + pads[2] - kernel[0]) / strides[0] + 1,
        (width + pads[1] + pads[3] - kernel[1]) / strides[1] + 1,
    ]
}

fn convolution(node: &Node, x: &Values, weight: &Values, bias: Option<&Values>) -> Values {
    let (kernel, strides, pads) = (ints(node, "kernel_shape"), ints(node, "strides"), ints(node, "pads"));
    let [out, channels, rows, columns] = weight.dims();
    assert_eq!((channels, &kernel[..]), (x.shape[1], &[rows, columns][..]));
    let [height, width] = positions(x, &kernel, &strides, &pads);
    Values::make([x.shape[0], out, height, width], |[n, o, y, column]| {
        let mut sum = bias.map_or(0.0, |bias| bias.data[o]);
        for c in 0..channels {
            for i in 0..rows {
                for j in 0..columns {
                    let value = bordered(x, n, c, y * strides[0] + i, column * strides[1] + j, &pads);
                    sum += weight.at([o, c, i, j]) * value;
                }
            }
        }
        sum
    })
}

fn average(node: &Node, x: &Values) -> Values {
    let (kernel, strides, pads) = (ints(node, "kernel_shape"), ints(node, "strides"), ints(node, "pads"));
    assert!(node.attribute.iter().any(|attribute| attribute.name == "count_include_pad" && attribute.i == 1));
    let [height, width] = positions(x, &kernel, &strides, &pads);
    Values::make([x.shape[0], x.shape[1], height, width], |[n, c, y, column]| {
        let places = (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j)));
        let sum: f64 =
            places.map(|(i, j)| bordered(x, n, c, y * strides[0] + i, column * strides[1] + j, &pads)).sum();
        sum / (kernel[0] * kernel[1]) as f64
    })
}

/// Places of the border are no candidates.
fn largest(node: &Node, x: &Values) -> Values {
    let (kernel, strides, pads) = (ints(node, "kernel_shape"), ints(node, "strides"), ints(node, "pads"));
    let [height, width] = positions(x, &kernel, &strides, &pads);
    let [_, _, rows, columns] = x.dims();
    Values::make([x.shape[0], x.shape[1], height, width], |[n, c, y, column]| {
        let axis = |first: usize, kernel: usize, pad: usize, end: usize| {
            (first..first + kernel).filter_map(move |at| at.checked_sub(pad)).filter(move |&at| at < end)
        };
        axis(y * strides[0], kernel[0], pads[0], rows)
            .flat_map(|y| {
                axis(column * strides[1], kernel[1], pads[1], columns).map(move |column| [n, c, y, column])
            })
            .map(|at| x.at(at))
            .fold(f64::NEG_INFINITY, f64::max)
    })
}

fn batch_norm(node: &Node, inputs: &[&Values]) -> Values {
    let [x, scale, shift, mean, variance] = inputs else { panic!() };
    let epsilon = f64::from(node.attribute.iter().find(|attribute| attribute.name == "epsilon").unwrap().f);
    Values::make(x.dims(), |at| {
        let c = at[1];
        (x.at(at) - mean.data[c]) / (variance.data[c] + epsilon).sqrt() * scale.data[c] + shift.data[c]
    })
}

/// `pads`: what is added before each axis, then after each.
fn pad(node: &Node, x: &Values, pads: &Values) -> Values {
    let mode = node.attribute.iter().find(|attribute| attribute.name == "mode").unwrap();
    let pads: Vec<usize> = pads.data.iter().map(|&value| value as usize).collect();
    let dims = x.dims();
    let shape = std::array::from_fn(|axis| pads[axis] + dims[axis] + pads[axis + 4]);
    Values::make(shape, |at| {
        let mut from = [0; 4];
        for axis in 0..4 {
            let place = at[axis] as i64 - pads[axis] as i64;
            let last = dims[axis] as i64 - 1;
            if (0..=last).contains(&place) {
                from[axis] = place as usize;
            } else if mode.s == b"reflect" {
                from[axis] = if place < 0 { -place } else { 2 * last - place } as usize;
            } else {
                assert_eq!(mode.s, b"constant");
                return 0.0;
            }
        }
        x.at(from)
    })
}
