//! Colour planes of a part of a picture, and their way to RGB as the JPEG library goes it.

use crate::vector::kernel;
use amdim_kernels::vectorized;

/// One component's levels over the decoded blocks.
#[derive(Default)]
pub(super) struct Plane {
    pub(super) levels: Vec<u8>,
    pub(super) stride: usize,
    /// First column and row, in the component's own pixels.
    pub(super) origin: [usize; 2],
    /// Width and height of the component, of which the plane may hold a part.
    pub(super) size: [usize; 2],
    /// How many of the picture's pixels one level covers, an axis: 1 or 2.
    pub(super) spread: [usize; 2],
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        &self.levels[(y - self.origin[1]) * self.stride..][..self.stride]
    }
}

/// Buffers of a row.
#[derive(Default)]
pub(super) struct RowBuffers {
    sums: Vec<i32>,
    chroma: [Vec<u8>; 2],
}

/// Writes the RGB pixels of columns `left..left + width` of row `y`.
pub(super) fn write_row(
    planes: &[Plane],
    [left, y]: [usize; 2],
    buffers: &mut RowBuffers,
    output: &mut [[u8; 3]],
) {
    let width = output.len();
    let luma = &planes[0].row(y)[left - planes[0].origin[0]..][..width];
    let [_, blue, red] = planes else {
        for (pixel, &level) in output.iter_mut().zip(luma) {
            *pixel = [level; 3];
        }
        return;
    };
    let RowBuffers { sums, chroma: [blues, reds] } = buffers;
    let blues = chroma_row(blue, [left, y], width, sums, blues);
    let reds = chroma_row(red, [left, y], width, sums, reds);
    convert(luma, blues, reds, output);
}

/// The levels of a component at columns `left..left + width` of the picture's row `y`.
fn chroma_row<'a>(
    plane: &'a Plane,
    [left, y]: [usize; 2],
    width: usize,
    sums: &mut Vec<i32>,
    levels: &'a mut Vec<u8>,
) -> &'a [u8] {
    let [spread_x, spread_y] = plane.spread;
    if plane.spread == [1, 1] {
        return &plane.row(y)[left - plane.origin[0]..][..width];
    }
    // The triangle filter: three parts of the nearest level, one of the next.
    let near = y / spread_y;
    let far = if spread_y == 1 {
        near
    } else if y % 2 == 0 {
        near.saturating_sub(1)
    } else {
        (near + 1).min(plane.size[1] - 1)
    };
    let first = left / spread_x;
    let end = (left + width).div_ceil(spread_x);
    let offset = plane.origin[0];
    let last = plane.size[0] - 1;
    sums.clear();
    let column = |x: usize| x.clamp(offset, last) - offset;
    let edges = [column(first.saturating_sub(1)), column(end)];
    let (near, far) = (plane.row(near), plane.row(far));
    let sum = |x: usize| {
        if spread_y == 1 { i32::from(near[x]) } else { 3 * i32::from(near[x]) + i32::from(far[x]) }
    };
    sums.push(sum(edges[0]));
    sums.extend((first - offset..end - offset).map(sum));
    sums.push(sum(edges[1]));
    levels.clear();
    if spread_x == 1 {
        let bias = if y % 2 == 0 { 1 } else { 2 };
        levels.extend(sums[1..=width].iter().map(|sum| ((sum + bias) >> 2) as u8));
        return levels;
    }
    levels.resize(2 * (end - first), 0);
    let (shift, biases) = if spread_y == 1 { (2, [1, 2]) } else { (4, [8, 7]) };
    spread_row(sums, shift, biases, levels.as_chunks_mut().0);
    &levels[left - 2 * first..][..width]
}

/// Two levels from each sum; the first and the last sum are neighbours alone.
fn spread_row(sums: &[i32], shift: u32, biases: [i32; 2], output: &mut [[u8; 2]]) {
    vectorized!(kernel(), {
        let (before, here, after) = (sums, &sums[1..], &sums[2..]);
        for (((pair, &sum), &before), &after) in output.iter_mut().zip(here).zip(before).zip(after) {
            *pair = [
                ((3 * sum + before + biases[0]) >> shift) as u8,
                ((3 * sum + after + biases[1]) >> shift) as u8,
            ];
        }
    });
}

/// YCbCr to RGB with the JPEG library's constants of 16 bits (`jdcolor.c`).
fn convert(lumas: &[u8], blues: &[u8], reds: &[u8], output: &mut [[u8; 3]]) {
    vectorized!(kernel(), {
        const HALF: i32 = 1 << 15;
        for (((pixel, &luma), &blue), &red) in output.iter_mut().zip(lumas).zip(blues).zip(reds) {
            let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
            let levels = [
                luma + ((91881 * red + HALF) >> 16),
                luma + ((-22554 * blue - 46802 * red + HALF) >> 16),
                luma + ((116_130 * blue + HALF) >> 16),
            ];
            *pixel = levels.map(|level| level.clamp(0, 255) as u8);
        }
    });
}
