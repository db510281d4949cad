//! Resizing as Pillow does it: two passes, 8-bit result after each, fixed-point weights of 22 bits.
//!
//! Reduction is antialiased: the filter is widened by the scale. Equal to Pillow's `Image.resize` on 8-bit images
//! (its `Resample.c`, version 13: earlier versions always reduced the width first, which is a few levels off where the
//! height shrinks much more than the width), level for level.

use std::hint::black_box;

use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;

/// Bits behind the point of a weight: 8 bits of level and 2 of headroom remain of 32.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The interpolation filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Triangle of half-width 1.
    Bilinear,
    /// Cubic convolution with a = -0.5 (Keys 1981), half-width 2.
    Bicubic,
}

impl Filter {
    fn half_width(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// A rectangle of an image, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Region {
    /// All of `image`.
    pub fn whole(image: &Image) -> Self {
        Self { left: 0, top: 0, width: image.width, height: image.height }
    }

    /// The smallest rectangle that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let right = (self.left + self.width).max(other.left + other.width);
        let bottom = (self.top + self.height).max(other.top + other.height);
        Self { left, top, width: right - left, height: bottom - top }
    }
}

/// A rectangle of an image that may begin and end inside pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Where it begins, across and down, pixels.
    pub start: [f64; 2],
    /// How long it is, across and down, pixels.
    pub length: [f64; 2],
}

impl From<Region> for Window {
    fn from(region: Region) -> Self {
        Self {
            start: [region.left, region.top].map(f64::from),
            length: [region.width, region.height].map(f64::from),
        }
    }
}

/// One axis of the result: how long it would be as a whole, and the part of it that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Pixels of the whole result.
    pub whole: u64,
    /// First wanted pixel.
    pub first: u64,
    /// Wanted pixels; `first + count` is at most `whole`.
    pub count: u32,
}

impl Extent {
    /// All of a result of `pixels`.
    pub fn all(pixels: u32) -> Self {
        Self { whole: u64::from(pixels), first: 0, count: pixels }
    }
}

/// Resizes images and keeps its buffers between calls.
#[derive(Debug, Default)]
pub struct Resampler {
    columns: Weights,
    rows: Weights,
    between: Vec<u8>,
    pack: Vec<u8>,
}

impl Resampler {
    /// Cuts `window` out of `image`, resizes it to `[columns, rows]` and writes the wanted part into `resized`.
    ///
    /// Pixels outside the window have no influence: at its edges the filter is cut and its weights are scaled up. A
    /// pass that would not change the size is left out. What is not wanted is not computed.
    ///
    /// # Panics
    /// When `window` is not inside `image` or a wanted part not inside its whole; the callers of this crate check it.
    pub fn resize(
        &mut self,
        image: &Image,
        window: impl Into<Window>,
        [columns, rows]: [Extent; 2],
        filter: Filter,
        resized: &mut Image,
    ) {
        resized.reshape(columns.count, rows.count, image.channels);
        let window = window.into();
        let left = self.columns.compute(window.start[0], window.length[0], image.width, columns, filter);
        let top = self.rows.compute(window.start[1], window.length[1], image.height, rows, filter);
        match image.channels {
            3 => self.two_passes::<3>(image, [left, top], resized),
            _ => self.two_passes::<1>(image, [left, top], resized),
        }
    }

    fn two_passes<const CHANNELS: usize>(
        &mut self,
        image: &Image,
        [left, top]: [usize; 2],
        resized: &mut Image,
    ) {
        let stride = image.row_values();
        // Only what a wanted output depends on is read.
        let (rows, columns) = (self.rows.inputs(), self.columns.inputs());
        let top = top + rows.start;
        let left = left + columns.start;
        let input = Rows {
            values: &image.pixels[top * stride + left * CHANNELS..],
            stride,
            row_values: columns.len() * CHANNELS,
            count: rows.len(),
        };
        let output = &mut resized.pixels;
        match (self.columns.copies, self.rows.copies) {
            (true, true) => input.copy_to(output),
            (false, true) => horizontal_pass::<CHANNELS>(&input, &self.columns, &mut self.pack, output),
            (true, false) => vertical_pass(&input, &self.rows, output),
            (false, false) if is_vertical_first(&self.columns, &self.rows) => {
                self.between.resize(self.rows.spans.len() * input.row_values, 0);
                vertical_pass(&input, &self.rows, &mut self.between);
                horizontal_pass::<CHANNELS>(
                    &Rows::packed(&self.between, input.row_values),
                    &self.columns,
                    &mut self.pack,
                    output,
                );
            }
            (false, false) => {
                let row_values = self.columns.spans.len() * CHANNELS;
                self.between.resize(input.count * row_values, 0);
                horizontal_pass::<CHANNELS>(&input, &self.columns, &mut self.pack, &mut self.between);
                vertical_pass(&Rows::packed(&self.between, row_values), &self.rows, output);
            }
        }
    }
}

/// Pillow 13's choice: rows are reduced first when the height loses more than twice the pixels that the width loses.
fn is_vertical_first(columns: &Weights, rows: &Weights) -> bool {
    let lost = |weights: &Weights| i128::from(weights.input_count) - i128::from(weights.output_count);
    lost(rows) > 0 && lost(rows) > 2 * lost(columns)
}

/// Rows of values at a stride.
struct Rows<'a> {
    values: &'a [u8],
    stride: usize,
    row_values: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// Rows without gaps.
    fn packed(values: &'a [u8], row_values: usize) -> Self {
        Self { values, stride: row_values, row_values, count: values.len() / row_values }
    }

    #[inline]
    fn row(&self, index: usize) -> &[u8] {
        &self.values[index * self.stride..][..self.row_values]
    }

    fn copy_to(&self, output: &mut [u8]) {
        for (index, row) in output.chunks_exact_mut(self.row_values).enumerate() {
            row.copy_from_slice(self.row(index));
        }
    }
}

/// For each wanted output position, the first input position and the fixed-point weights from there on.
#[derive(Debug, Default)]
struct Weights {
    /// `(first input, number of weights, where they start in values)`.
    spans: Vec<(usize, usize, usize)>,
    values: Vec<i32>,
    floats: Vec<f64>,
    /// Lengths of the whole axis.
    input_count: u64,
    output_count: u64,
    /// The length does not change, so that outputs are inputs.
    copies: bool,
}

impl Weights {
    /// Computes the weights of `outputs` over `length` pixels from `start` on of an axis of `pixels`, and returns the
    /// first pixel, from which inputs are counted.
    fn compute(&mut self, start: f64, length: f64, pixels: u32, outputs: Extent, filter: Filter) -> usize {
        self.spans.clear();
        self.values.clear();
        // Pixels that the window touches; of a fractional one those at the ends count as a whole.
        let begin = start.floor();
        let inputs = ((start + length).ceil().min(f64::from(pixels)) - begin) as usize;
        let offset = start - begin;
        self.input_count = inputs as u64;
        self.output_count = outputs.whole;
        self.copies = length == outputs.whole as f64 && offset == 0.0;
        if self.copies {
            let first = outputs.first as usize;
            self.spans.extend((first..first + outputs.count as usize).map(|input| (input, 1, 0)));
            return begin as usize;
        }
        let scale = length / outputs.whole as f64;
        let filter_scale = scale.max(1.0);
        let half_width = filter.half_width() * filter_scale;
        let per_filter_unit = 1.0 / filter_scale;
        for output in outputs.first..outputs.first + u64::from(outputs.count) {
            let center = offset + (output as f64 + 0.5) * scale;
            // Casts cut towards zero; what would be negative starts at 0.
            let first = (center - half_width + 0.5).max(0.0) as usize;
            let end = ((center + half_width + 0.5) as usize).min(inputs);
            self.floats.clear();
            self.floats.extend(
                (first..end).map(|input| filter.weight((input as f64 - center + 0.5) * per_filter_unit)),
            );
            let sum: f64 = self.floats.iter().sum();
            let divisor = if sum == 0.0 { 1.0 } else { sum };
            self.spans.push((first, end - first, self.values.len()));
            self.values.extend(self.floats.iter().map(|&weight| to_fixed(weight / divisor)));
        }
        begin as usize
    }

    /// The input positions that any wanted output depends on.
    fn inputs(&self) -> std::ops::Range<usize> {
        let first = self.spans.first().map_or(0, |span| span.0);
        first..self.spans.last().map_or(first, |span| span.0 + span.1)
    }

    fn of(&self, output: usize) -> (usize, &[i32]) {
        let (first, count, start) = self.spans[output];
        (first, &self.values[start..start + count])
    }
}

/// Rounds half away from zero.
fn to_fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1_u32 << PRECISION_BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

#[allow(clippy::inline_always, reason = "part of the vectorised loops")]
#[inline(always)]
fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Values whose sums are kept in registers.
const LANES: usize = 32;

/// The weighted sum of [`LANES`] neighbouring values, from value `start` on, over the rows from `first` on.
#[allow(clippy::inline_always, reason = "part of the vectorised loops")]
#[inline(always)]
fn weighted_levels(rows: &Rows<'_>, first: usize, start: usize, weights: &[i32]) -> [u8; LANES] {
    let mut sums = [HALF; LANES];
    for (index, &weight) in weights.iter().enumerate() {
        let values = &rows.row(first + index)[start..][..LANES];
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += i32::from(value) * weight;
        }
    }
    sums.map(to_level)
}

/// `input` starts with the first column that any output depends on.
///
/// Some rows at a time are packed: one column of them after another, so that one weight serves all their values.
fn horizontal_pass<const CHANNELS: usize>(
    input: &Rows<'_>,
    weights: &Weights,
    pack: &mut Vec<u8>,
    output: &mut [u8],
) {
    vectorized!(kernel(), {
        let offset = weights.inputs().start;
        let outputs = weights.spans.len();
        // An RGB pixel has a value to spare in a pack, so that it is copied as a whole.
        let pixel_lanes = if CHANNELS == 3 { 4 } else { CHANNELS };
        pack.resize(input.row_values / CHANNELS * LANES, 0);
        for (index, rows) in output.chunks_mut(LANES / pixel_lanes * outputs * CHANNELS).enumerate() {
            let first_row = index * (LANES / pixel_lanes);
            let count = rows.len() / (outputs * CHANNELS);
            for row in 0..count {
                let pixels = input.row(first_row + row).as_chunks::<CHANNELS>().0;
                for (column, pixel) in pack.as_chunks_mut::<LANES>().0.iter_mut().zip(pixels) {
                    column[row * pixel_lanes..][..CHANNELS].copy_from_slice(pixel);
                }
            }
            // A distance that the compiler does not know keeps it from vectorising over the weights, which is slower.
            let columns = Rows::packed(pack, black_box(LANES));
            for position in 0..outputs {
                let (first, weights) = weights.of(position);
                let levels = weighted_levels(&columns, first - offset, 0, weights);
                for row in 0..count {
                    let pixel = &mut rows[(row * outputs + position) * CHANNELS..][..CHANNELS];
                    pixel.copy_from_slice(&levels[row * pixel_lanes..][..CHANNELS]);
                }
            }
        }
    });
}

/// `input` starts with the first row that any output depends on.
fn vertical_pass(input: &Rows<'_>, weights: &Weights, output: &mut [u8]) {
    vectorized!(kernel(), {
        let offset = weights.inputs().start;
        for (position, row) in output.chunks_exact_mut(input.row_values).enumerate() {
            let (first, weights) = weights.of(position);
            let first = first - offset;
            let (blocks, rest) = row.as_chunks_mut::<LANES>();
            let done = blocks.len() * LANES;
            for (index, block) in blocks.iter_mut().enumerate() {
                *block = weighted_levels(input, first, index * LANES, weights);
            }
            for (index, value) in rest.iter_mut().enumerate() {
                let terms = weights.iter().enumerate();
                let sum: i32 = terms
                    .map(|(row, &weight)| i32::from(input.row(first + row)[done + index]) * weight)
                    .sum();
                *value = to_level(sum + HALF);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(image: &Image, width: u32, height: u32, filter: Filter) -> Image {
        let mut output = Image::blank(0, 0, image.channels);
        let extents = [Extent::all(width), Extent::all(height)];
        Resampler::default().resize(image, Region::whole(image), extents, filter, &mut output);
        output
    }

    #[test]
    fn same_size_is_a_copy() {
        let image = Image::new(3, 2, 3, (0..18).map(|value| value * 13).collect()).unwrap();
        assert_eq!(resized(&image, 3, 2, Filter::Bicubic), image);
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let image = Image::new(37, 23, 3, vec![201; 37 * 23 * 3]).unwrap();
        for (width, height) in [(5, 4), (64, 64), (37, 3), (8, 23), (1, 1)] {
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let output = resized(&image, width, height, filter);
                assert!(output.pixels.iter().all(|&value| value == 201), "{width}x{height} {filter:?}");
            }
        }
    }

    #[test]
    fn halving_by_triangle_weighs_neighbours() {
        // Outputs at 1 and 3 with half-width 2: weights 3/8 3/8 1/8 cut at the edges.
        let image = Image::new(4, 1, 1, vec![0, 70, 140, 210]).unwrap();
        // (3*0 + 3*70 + 1*140) / 7 = 50, and mirrored.
        assert_eq!(resized(&image, 2, 1, Filter::Bilinear).pixels, [50, 160]);
    }

    #[test]
    fn gray_equals_each_channel_of_rgb() {
        let gray = Image::new(9, 7, 1, (0..63).map(|value| (value * 37 % 256) as u8).collect()).unwrap();
        let rgb = gray.clone().into_channels(3);
        let output = resized(&gray, 4, 12, Filter::Bicubic).into_channels(3);
        assert_eq!(output, resized(&rgb, 4, 12, Filter::Bicubic));
    }

    #[test]
    fn a_region_equals_the_picture_cut_out() {
        let image = Image::new(8, 6, 3, (0..144).map(|value| (value * 91 % 256) as u8).collect()).unwrap();
        let region = Region { left: 2, top: 1, width: 5, height: 4 };
        let cut = resized_region(&image, region, 5, 4);
        assert_eq!(cut.pixels[..3], image.pixels[(8 + 2) * 3..][..3]);
        assert_eq!(resized(&cut, 7, 9, Filter::Bicubic), resized_region(&image, region, 7, 9));
    }

    #[test]
    fn a_wanted_part_equals_the_part_of_the_whole() {
        let image = Image::new(8, 6, 3, (0..144).map(|value| (value * 91 % 256) as u8).collect()).unwrap();
        for (width, height) in [(16, 12), (5, 4), (8, 12), (16, 6), (8, 6)] {
            let whole = resized(&image, width, height, Filter::Bicubic);
            let columns = Extent { whole: u64::from(width), first: 2, count: 3 };
            let rows = Extent { whole: u64::from(height), first: 1, count: 2 };
            let mut part = Image::blank(0, 0, 3);
            let region = Region::whole(&image);
            Resampler::default().resize(&image, region, [columns, rows], Filter::Bicubic, &mut part);
            for y in 0..2 {
                let expected = &whole.pixels[((y + 1) * width as usize + 2) * 3..][..9];
                assert_eq!(&part.pixels[y * 9..][..9], expected, "{width}x{height}");
            }
        }
    }

    fn resized_region(image: &Image, region: Region, width: u32, height: u32) -> Image {
        let mut output = Image::blank(0, 0, image.channels);
        let extents = [Extent::all(width), Extent::all(height)];
        Resampler::default().resize(image, region, extents, Filter::Bicubic, &mut output);
        output
    }
}
