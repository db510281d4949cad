//! Each kind of layer as operators of ONNX.

use amdim_network::{
    BatchNorm, Convolution, Coupling, Layer, MapShape, Node, NormedConvolution, PadMode, ParameterId, Parity,
    Projection, ResidualBlock, Window,
};

use super::graph::{Build, float, int, ints, text};

/// Adds a layer on the value `input` (its name and shape) and returns the name of its result; `other` is the value that
/// some layers take beside it.
pub(super) fn add(build: &mut Build, node: &Node, input: &(String, MapShape), other: Option<&str>) -> String {
    let (value, from) = (input.0.as_str(), input.1);
    let name = &node.name;
    match &node.layer {
        Layer::Convolution(layer) => convolution(build, name, value, layer),
        Layer::ResidualBlock(layer) => {
            residual_block(build, name, value, layer, node.shape.channels - from.channels)
        }
        Layer::BatchNorm(layer) => batch_norm(build, &format!("{name}/norm"), value, layer),
        Layer::Projection(layer) => projection(build, name, value, layer),
        Layer::NormedConvolution(layer) => normed_convolution(build, name, value, other, layer),
        Layer::MaxPool(window) => max_pool(build, name, value, *window),
        Layer::GlobalAverage => build.op(&format!("{name}/average"), "GlobalAveragePool", &[value], vec![]),
        Layer::Tanh => build.op(&format!("{name}/tanh"), "Tanh", &[value], vec![]),
        Layer::Flatten => flatten(build, name, value, node.shape),
        Layer::Alternate(parity) => alternate(build, name, value, *parity, from.channels),
        Layer::Coupling(layer) => {
            let other = other.unwrap_or_else(|| unreachable!("a coupling has a map beside its input"));
            coupling(build, name, value, other, layer, node.shape)
        }
        Layer::Mixture(_) => unreachable!("mixture features are no part of an encoder"),
    }
}

/// All values as channels of one location, location after location.
fn flatten(build: &mut Build, name: &str, input: &str, shape: MapShape) -> String {
    let attributes = vec![ints("perm", &[0, 2, 3, 1])];
    let last = build.op(&format!("{name}/channels_last"), "Transpose", &[input], attributes);
    let to = build.ints(&format!("{name}/flatten.shape"), &[-1, shape.channels as i64, 1, 1]);
    build.op(&format!("{name}/flatten"), "Reshape", &[&last, &to], vec![])
}

/// Every other of `channels` channels.
fn alternate(build: &mut Build, name: &str, input: &str, parity: Parity, channels: usize) -> String {
    slice(build, name, input, [parity.first(), channels, 2])
}

/// Channels `[start, end, step]`.
fn slice(build: &mut Build, name: &str, input: &str, [start, end, step]: [usize; 3]) -> String {
    let mut value = |what: &str, value: usize| build.ints(&format!("{name}/slice.{what}"), &[value as i64]);
    let places = [value("start", start), value("end", end), value("axis", 1), value("step", step)];
    let [start, end, axis, step] = &places;
    build.op(&format!("{name}/slice"), "Slice", &[input, start, end, axis, step], vec![])
}

/// Channels of parity `kept` of `x` as they are, the others times `exp(tanh(scale))` plus shift.
fn coupling(build: &mut Build, name: &str, told: &str, x: &str, layer: &Coupling, shape: MapShape) -> String {
    let (channels, half) = (shape.channels, shape.channels / 2);
    let scale = slice(build, &format!("{name}/scale"), told, [0, half, 1]);
    let shift = slice(build, &format!("{name}/shift"), told, [half, channels, 1]);
    let kept = alternate(build, &format!("{name}/stay"), x, layer.kept, channels);
    let moved = alternate(build, &format!("{name}/move"), x, layer.kept.other(), channels);
    let bent = build.op(&format!("{name}/bent"), "Tanh", &[&scale], vec![]);
    let factor = build.op(&format!("{name}/factor"), "Exp", &[&bent], vec![]);
    let scaled = build.op(&format!("{name}/scaled"), "Mul", &[&moved, &factor], vec![]);
    let moved = build.op(&format!("{name}/moved"), "Add", &[&scaled, &shift], vec![]);
    let [even, odd] = layer.kept.order(kept, moved);
    // [B, C / 2, 2, 1]: the two of a pair lie one after the other.
    let pairs = build.op(&format!("{name}/pairs"), "Concat", &[&even, &odd], vec![int("axis", 2)]);
    let to = build.ints(&format!("{name}/result.shape"), &[-1, channels as i64, 1, 1]);
    build.op(&format!("{name}/result"), "Reshape", &[&pairs, &to], vec![])
}

/// `relu(norm(conv(x)) + other)`.
fn normed_convolution(
    build: &mut Build,
    name: &str,
    input: &str,
    other: Option<&str>,
    layer: &NormedConvolution,
) -> String {
    let (input, window) = bordered(build, name, input, layer.window);
    let mut result = slide(build, &format!("{name}/convolution"), &input, window, layer.weight, None);
    result = batch_norm(build, &format!("{name}/norm"), &result, &layer.norm);
    if let Some(other) = other {
        result = build.op(&format!("{name}/sum"), "Add", &[&result, other], vec![]);
    }
    if layer.relu { relu(build, name, &result) } else { result }
}

/// The largest of each window; a border of zeros is no candidate, as in ONNX.
fn max_pool(build: &mut Build, name: &str, input: &str, window: Window) -> String {
    let (input, window) = bordered(build, name, input, window);
    build.op(&format!("{name}/largest"), "MaxPool", &[&input], window_attributes(window))
}

fn convolution(build: &mut Build, name: &str, input: &str, layer: &Convolution) -> String {
    let (input, window) = bordered(build, name, input, layer.window);
    let result = slide(build, &format!("{name}/convolution"), &input, window, layer.weight, layer.bias);
    if layer.relu { relu(build, name, &result) } else { result }
}

/// `conv2(relu(norm(conv1(x)))) + pad_channels(average_pool(x))`.
fn residual_block(build: &mut Build, name: &str, input: &str, layer: &ResidualBlock, added: usize) -> String {
    let (input, window) = bordered(build, name, input, layer.window);
    let mut hidden = slide(build, &format!("{name}/conv1"), &input, window, layer.conv1, None);
    if let Some(norm) = &layer.norm {
        hidden = batch_norm(build, &format!("{name}/norm"), &hidden, norm);
    }
    let hidden = relu(build, name, &hidden);
    let residual = slide(build, &format!("{name}/conv2"), &hidden, POINT, layer.conv2, None);
    let mut shortcut = input;
    if window != POINT {
        let mut attributes = window_attributes(window);
        // PyTorch's average counts the zeros of the border.
        attributes.push(int("count_include_pad", 1));
        shortcut = build.op(&format!("{name}/average"), "AveragePool", &[&shortcut], attributes);
    }
    if added > 0 {
        let pads = build.ints(&format!("{name}/widen.pads"), &[0, 0, 0, 0, 0, added as i64, 0, 0]);
        shortcut =
            build.op(&format!("{name}/widen"), "Pad", &[&shortcut, &pads], vec![text("mode", "constant")]);
    }
    build.op(&format!("{name}/sum"), "Add", &[&residual, &shortcut], vec![])
}

/// `output_norm(conv2(relu(hidden_norm(conv1(x)))) + shortcut(x))`.
fn projection(build: &mut Build, name: &str, input: &str, layer: &Projection) -> String {
    let mut hidden = slide(build, &format!("{name}/conv1"), input, POINT, layer.conv1, None);
    if let Some(norm) = &layer.hidden_norm {
        hidden = batch_norm(build, &format!("{name}/hidden_norm"), &hidden, norm);
    }
    let hidden = relu(build, name, &hidden);
    let residual = slide(build, &format!("{name}/conv2"), &hidden, POINT, layer.conv2, None);
    let shortcut = slide(
        build,
        &format!("{name}/shortcut"),
        input,
        POINT,
        layer.shortcut_weight,
        Some(layer.shortcut_bias),
    );
    let sum = build.op(&format!("{name}/sum"), "Add", &[&residual, &shortcut], vec![]);
    batch_norm(build, &format!("{name}/output_norm"), &sum, &layer.output_norm)
}

/// A window of one location.
const POINT: Window =
    Window { kernel: 1, stride: 1, padding: amdim_network::Padding { pixels: 0, mode: PadMode::Zero } };

/// A mirrored border as an operation of its own; the window that is left has borders of zeros at most.
fn bordered(build: &mut Build, name: &str, input: &str, window: Window) -> (String, Window) {
    let border = window.padding.pixels;
    match window.padding.mode {
        PadMode::Reflect if border > 0 => {
            let border = border as i64;
            let pads =
                build.ints(&format!("{name}/mirror.pads"), &[0, 0, border, border, 0, 0, border, border]);
            let mirrored =
                build.op(&format!("{name}/mirror"), "Pad", &[input, &pads], vec![text("mode", "reflect")]);
            (mirrored, Window { padding: POINT.padding, ..window })
        }
        PadMode::Reflect | PadMode::Zero => (input.into(), window),
    }
}

fn slide(
    build: &mut Build,
    name: &str,
    input: &str,
    window: Window,
    weight: ParameterId,
    bias: Option<ParameterId>,
) -> String {
    let weight = build.parameter(weight);
    let bias = bias.map(|bias| build.parameter(bias));
    let inputs: Vec<&str> = [input, &weight].into_iter().chain(bias.as_deref()).collect();
    build.op(name, "Conv", &inputs, window_attributes(window))
}

fn window_attributes(window: Window) -> Vec<super::proto::Attribute> {
    vec![
        ints("kernel_shape", &[window.kernel; 2]),
        ints("strides", &[window.stride; 2]),
        ints("pads", &[window.padding.pixels; 4]),
    ]
}

fn relu(build: &mut Build, name: &str, input: &str) -> String {
    build.op(&format!("{name}/relu"), "Relu", &[input], vec![])
}

fn batch_norm(build: &mut Build, name: &str, input: &str, norm: &BatchNorm) -> String {
    let inputs = [
        build.parameter(norm.weight),
        build.parameter(norm.bias),
        build.buffer(norm.running_mean),
        build.buffer(norm.running_var),
    ];
    let [scale, shift, mean, variance] = &inputs;
    let attributes = vec![float("epsilon", norm.epsilon as f32)];
    build.op(name, "BatchNormalization", &[input, scale, shift, mean, variance], attributes)
}
