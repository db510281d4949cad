//! The inverse cosine transform: of the JPEG library ("islow"), level for level, and of reduced size.

#![allow(clippy::inline_always, reason = "parts of a vectorised loop")]

use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::sync::LazyLock;

use super::huffman::Block;

/// Bits behind the point of the constants, and those kept between the two passes.
const CONSTANT_BITS: u32 = 13;
const BETWEEN_BITS: u32 = 2;

/// One pass over eight columns side by side; results are shifted down by `bits` and rounded.
///
/// Loeffler, Ligtenberg and Moschytz 1989 with 12 products, as in the JPEG library's `jidctint.c`, whose constants are
/// those of cosines times 2^13.
#[inline(always)]
fn pass(input: &[i16; 64], bits: u32) -> [i16; 64] {
    let mut output = [0; 64];
    for column in 0..8 {
        let at = |row: usize| i32::from(input[row * 8 + column]);
        let even = (at(2) + at(6)).wrapping_mul(4433);
        let two = even.wrapping_sub(at(6).wrapping_mul(15137));
        let three = even.wrapping_add(at(2).wrapping_mul(6270));
        let zero = (at(0) + at(4)) << CONSTANT_BITS;
        let one = (at(0) - at(4)) << CONSTANT_BITS;
        let evens = [
            zero.wrapping_add(three),
            one.wrapping_add(two),
            one.wrapping_sub(two),
            zero.wrapping_sub(three),
        ];

        let [a, b, c, d] = [at(7), at(5), at(3), at(1)];
        let both = (a + b + c + d).wrapping_mul(9633);
        let outer = (a + d).wrapping_mul(-7373);
        let inner = (b + c).wrapping_mul(-20995);
        let crossed = both.wrapping_sub((a + c).wrapping_mul(16069));
        let straight = both.wrapping_sub((b + d).wrapping_mul(3196));
        let odds = [
            d.wrapping_mul(12299).wrapping_add(outer).wrapping_add(straight),
            c.wrapping_mul(25172).wrapping_add(inner).wrapping_add(crossed),
            b.wrapping_mul(16819).wrapping_add(inner).wrapping_add(straight),
            a.wrapping_mul(2446).wrapping_add(outer).wrapping_add(crossed),
        ];
        let half = 1 << (bits - 1);
        for row in 0..4 {
            let (even, odd) = (evens[row].wrapping_add(half), odds[row]);
            output[row * 8 + column] = (even.wrapping_add(odd) >> bits) as i16;
            output[(7 - row) * 8 + column] = (even.wrapping_sub(odd) >> bits) as i16;
        }
    }
    output
}

/// Exchanges rows and columns: three times, the halves are interleaved.
#[inline(always)]
fn transposed(mut values: [i16; 64]) -> [i16; 64] {
    for _ in 0..3 {
        let mut shuffled = [0; 64];
        for index in 0..32 {
            shuffled[2 * index] = values[index];
            shuffled[2 * index + 1] = values[index + 32];
        }
        values = shuffled;
    }
    values
}

/// Writes the 8x8 levels of `block` at `place` of a plane whose rows are `stride` apart. `used` is the number of
/// coefficients in zigzag order up to the last one that is not zero.
#[inline(always)]
pub(super) fn inverse(block: &Block, used: usize, plane: &mut [u8], place: usize, stride: usize) {
    if used == 1 {
        let level = (((i32::from(block[0]) + 4) >> 3) + 128).clamp(0, 255) as u8;
        for row in 0..8 {
            plane[place + row * stride..][..8].fill(level);
        }
        return;
    }
    let Some(coefficients) = block.first_chunk() else { return };
    let between = transposed(pass(coefficients, CONSTANT_BITS - BETWEEN_BITS));
    let sums = transposed(pass(&between, CONSTANT_BITS + BETWEEN_BITS + 3));
    for (row, sums) in sums.as_chunks::<8>().0.iter().enumerate() {
        let levels = &mut plane[place + row * stride..][..8];
        for (level, sum) in levels.iter_mut().zip(sums) {
            *level = sum.saturating_add(128).clamp(0, 255) as u8;
        }
    }
}

/// The transform of the lowest frequencies to fewer than 8 levels an axis.
pub(super) struct Reduced {
    /// Levels an axis: 1, 2, 4 or 8.
    size: usize,
    /// `[level][frequency]` times 2^13; frequencies from `size` on are left out.
    basis: [[i32; 8]; 8],
}

static REDUCED: LazyLock<[Reduced; 4]> = LazyLock::new(|| [1, 2, 4, 8].map(Reduced::new));

impl Reduced {
    /// The transform to `size` levels (1, 2, 4 or 8).
    pub(super) fn of(size: usize) -> &'static Self {
        &REDUCED[size.ilog2() as usize]
    }

    fn new(size: usize) -> Self {
        let mut basis = [[0; 8]; 8];
        for (level, row) in basis.iter_mut().enumerate().take(size) {
            for (frequency, factor) in row.iter_mut().enumerate().take(size) {
                let angle = (2 * level + 1) as f64 * frequency as f64 * PI / (2 * size) as f64;
                let scale = if frequency == 0 { FRAC_1_SQRT_2 } else { 1.0 };
                // Half of the sum over frequencies, an axis, is the transform of 8 levels; fewer levels keep the mean.
                *factor = (0.5 * scale * angle.cos() * f64::from(1 << CONSTANT_BITS)).round() as i32;
            }
        }
        Self { size, basis }
    }
}

/// As [`inverse`] with `columns.size` levels across and `rows.size` down.
#[inline(always)]
pub(super) fn inverse_reduced(
    block: &Block,
    used: usize,
    [columns, rows]: [&Reduced; 2],
    plane: &mut [u8],
    place: usize,
    stride: usize,
) {
    /// Bits kept behind the point after the first pass.
    const KEPT: u32 = 4;
    if used == 1 || (columns.size == 1 && rows.size == 1) {
        let level = ((i32::from(block[0]) + 4) >> 3).wrapping_add(128).clamp(0, 255) as u8;
        for row in 0..rows.size {
            plane[place + row * stride..][..columns.size].fill(level);
        }
        return;
    }
    let values = block.as_chunks::<8>().0;
    for row in 0..rows.size {
        let mut between = [1 << (CONSTANT_BITS - KEPT - 1); 8];
        for (frequency, values) in values.iter().enumerate().take(rows.size) {
            let factor = rows.basis[row][frequency];
            for (sum, &value) in between.iter_mut().zip(values) {
                *sum += i32::from(value) * factor;
            }
        }
        let between = between.map(|sum: i32| sum >> (CONSTANT_BITS - KEPT));
        for column in 0..columns.size {
            let products = between.iter().zip(&columns.basis[column]).map(|(value, factor)| value * factor);
            let sum = products.sum::<i32>() + (1 << (CONSTANT_BITS + KEPT - 1));
            plane[place + row * stride + column] =
                ((sum >> (CONSTANT_BITS + KEPT)) + 128).clamp(0, 255) as u8;
        }
    }
}
