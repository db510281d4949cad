//! The encoder for 32 pixels of Bachman et al. 2019 (their `model.py`), of any width and depth.

use amdim_network::{Builder, DescribeError, MapShape, Network, Padding, Source, Window};

/// Outputs: the 1x1 map, and the projections of the 5x5 and 7x7 maps.
pub(crate) fn encoder(
    channels: usize,
    width: usize,
    embedding: usize,
    depth: usize,
    norm: bool,
) -> Result<Network, DescribeError> {
    let mut builder = Builder::new(MapShape { channels, height: 32, width: 32 });
    let window = |kernel, stride| Window::new(kernel, stride, Padding::none());
    let mut top =
        builder.convolution("layer_list.0.conv", Source::Picture, width, window(3, 1), true, true)?;
    top = builder.residual_block("layer_list.1", Source::Node(top), width, window(1, 1), norm)?;
    let mut maps = vec![];
    let blocks = [(2, 2 * width, 4, 2), (3, 4 * width, 2, 2), (5, 4 * width, 3, 1), (6, 4 * width, 3, 1)];
    for (layer, out, kernel, stride) in blocks {
        for index in 0..depth {
            let window = if index == 0 { window(kernel, stride) } else { window(1, 1) };
            let name = format!("layer_list.{layer}.layer_list.{index}");
            top = builder.residual_block(&name, Source::Node(top), out, window, norm)?;
        }
        if layer == 3 {
            top = builder.batch_norm("layer_list.4", top, norm);
        }
        maps.push(top);
    }
    top = builder.residual_block("layer_list.7", Source::Node(top), embedding, window(3, 1), norm)?;
    let global = builder.batch_norm("layer_list.8", top, true);
    let local5 = builder.projection("rkhs_block_5", maps[2], embedding, norm);
    let local7 = builder.projection("rkhs_block_7", maps[1], embedding, norm);
    Ok(builder.finish(vec![global, local5, local7]))
}
