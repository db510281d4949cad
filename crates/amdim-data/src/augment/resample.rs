//! Resizing as Pillow does it: two passes, 8-bit result after each, fixed-point weights of 22 bits.
//!
//! Reduction is antialiased: the filter is widened by the scale. Equal to Pillow's `Image.resize` on 8-bit images
//! (its `Resample.c`, version 13: earlier versions always reduced the width first, which is a few levels off where the
//! height shrinks much more than the width), level for level.

use crate::image::Image;

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
    sums: Vec<i32>,
}

impl Resampler {
    /// Cuts `region` out of `image`, resizes it to `[columns, rows]` and writes the wanted part into `resized`.
    ///
    /// Pixels outside the region have no influence: at its edges the filter is cut and its weights are scaled up. A
    /// pass that would not change the size is left out. What is not wanted is not computed.
    ///
    /// # Panics
    /// When `region` is not inside `image` or a wanted part not inside its whole; the callers of this crate check it.
    pub fn resize(
        &mut self,
        image: &Image,
        region: Region,
        [columns, rows]: [Extent; 2],
        filter: Filter,
        resized: &mut Image,
    ) {
        resized.reshape(columns.count, rows.count, image.channels);
        self.columns.compute(region.width, columns, filter);
        self.rows.compute(region.height, rows, filter);
        match image.channels {
            3 => self.two_passes::<3>(image, region, resized),
            _ => self.two_passes::<1>(image, region, resized),
        }
    }

    fn two_passes<const CHANNELS: usize>(&mut self, image: &Image, region: Region, resized: &mut Image) {
        let stride = image.row_values();
        // Only what a wanted output depends on is read.
        let (rows, columns) = (self.rows.inputs(), self.columns.inputs());
        let top = region.top as usize + rows.start;
        let left = region.left as usize + columns.start;
        let input = Rows {
            values: &image.pixels[top * stride + left * CHANNELS..],
            stride,
            row_values: columns.len() * CHANNELS,
            count: rows.len(),
        };
        let output = &mut resized.pixels;
        match (self.columns.copies, self.rows.copies) {
            (true, true) => input.copy_to(output),
            (false, true) => horizontal_pass::<CHANNELS>(&input, &self.columns, output),
            (true, false) => vertical_pass(&input, &self.rows, &mut self.sums, output),
            (false, false) if is_vertical_first(&self.columns, &self.rows) => {
                self.between.resize(self.rows.spans.len() * input.row_values, 0);
                vertical_pass(&input, &self.rows, &mut self.sums, &mut self.between);
                horizontal_pass::<CHANNELS>(
                    &Rows::packed(&self.between, input.row_values),
                    &self.columns,
                    output,
                );
            }
            (false, false) => {
                let row_values = self.columns.spans.len() * CHANNELS;
                self.between.resize(input.count * row_values, 0);
                horizontal_pass::<CHANNELS>(&input, &self.columns, &mut self.between);
                vertical_pass(&Rows::packed(&self.between, row_values), &self.rows, &mut self.sums, output);
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
    fn compute(&mut self, inputs: u32, outputs: Extent, filter: Filter) {
        self.spans.clear();
        self.values.clear();
        self.input_count = u64::from(inputs);
        self.output_count = outputs.whole;
        self.copies = self.input_count == self.output_count;
        let inputs = inputs as usize;
        if self.copies {
            let first = outputs.first as usize;
            self.spans.extend((first..first + outputs.count as usize).map(|input| (input, 1, 0)));
            return;
        }
        let scale = inputs as f64 / outputs.whole as f64;
        let filter_scale = scale.max(1.0);
        let half_width = filter.half_width() * filter_scale;
        let per_filter_unit = 1.0 / filter_scale;
        for output in outputs.first..outputs.first + u64::from(outputs.count) {
            let center = (output as f64 + 0.5) * scale;
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

#[inline]
fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// `input` starts with the first column that any output depends on.
fn horizontal_pass<const CHANNELS: usize>(input: &Rows, weights: &Weights, output: &mut [u8]) {
    let offset = weights.inputs().start;
    let outputs = weights.spans.len();
    for (index, row) in output.chunks_exact_mut(outputs * CHANNELS).enumerate() {
        let source = input.row(index).as_chunks::<CHANNELS>().0;
        for (position, pixel) in row.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
            let (first, weights) = weights.of(position);
            let mut sums = [HALF; CHANNELS];
            for (weight, values) in weights.iter().zip(&source[first - offset..]) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(value) * weight;
                }
            }
            *pixel = sums.map(to_level);
        }
    }
}

/// `input` starts with the first row that any output depends on.
fn vertical_pass(input: &Rows, weights: &Weights, sums: &mut Vec<i32>, output: &mut [u8]) {
    let offset = weights.inputs().start;
    for (position, row) in output.chunks_exact_mut(input.row_values).enumerate() {
        let (first, weights) = weights.of(position);
        sums.clear();
        sums.resize(input.row_values, HALF);
        for (index, weight) in weights.iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(input.row(first - offset + index)) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, &sum) in row.iter_mut().zip(sums.iter()) {
            *value = to_level(sum);
        }
    }
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
