//! The tiles in plain Rust, for processors that have none: what Intel's manual says of each instruction, step by step.

use std::cell::RefCell;
use std::slice;

use super::{ROW_BYTES, Shapes, TILE_ROWS, TileUnit, multiplies_right};
use crate::{Bf16, Stored};

/// Tiles that every thread has of its own, as with [`super::Amx`]. What the processor refuses panics.
pub(crate) struct Emulated;

#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    row_bytes: usize,
    bytes: [[u8; ROW_BYTES]; TILE_ROWS],
}

thread_local! {
    /// None until configured, and once released.
    static TILES: RefCell<Option<[Tile; 8]>> = const { RefCell::new(None) };
}

fn with_tiles<R>(work: impl FnOnce(&mut [Tile; 8]) -> R) -> R {
    TILES.with_borrow_mut(|tiles| work(tiles.as_mut().expect("tiles that are configured")))
}

/// Subnormal numbers are read and written as zero of the same sign.
fn flush(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

impl Tile {
    fn zeros(rows: usize, row_bytes: usize) -> Self {
        Self { rows, row_bytes, bytes: [[0; ROW_BYTES]; TILE_ROWS] }
    }

    fn clear(&mut self) {
        assert!(self.rows > 0, "a tile that has a shape");
        *self = Self::zeros(self.rows, self.row_bytes);
    }

    fn bf16(&self, row: usize, at: usize) -> f32 {
        let bytes = &self.bytes[row][2 * at..];
        flush(Bf16(u16::from_le_bytes([bytes[0], bytes[1]])).to_real())
    }

    fn f32(&mut self, row: usize, at: usize) -> &mut [u8; 4] {
        (&mut self.bytes[row][4 * at..][..4]).try_into().expect("four bytes")
    }
}

impl TileUnit for Emulated {
    unsafe fn configure(shapes: &Shapes) {
        // SAFETY: the structure is 64 bytes without padding.
        let bytes = unsafe { slice::from_raw_parts(std::ptr::from_ref(shapes).cast::<u8>(), 64) };
        assert!(bytes.as_ptr().addr().is_multiple_of(64) && size_of::<Shapes>() == 64);
        assert_eq!(bytes[..2], [1, 0], "palette and first row");
        assert!(bytes[2..16].iter().chain(&bytes[32..48]).chain(&bytes[56..]).all(|&byte| byte == 0));
        let tiles = std::array::from_fn(|tile| {
            let row_bytes = u16::from_le_bytes([bytes[16 + 2 * tile], bytes[17 + 2 * tile]]).into();
            let rows = bytes[48 + tile].into();
            assert!(rows <= TILE_ROWS && row_bytes <= ROW_BYTES && (rows == 0) == (row_bytes == 0));
            Tile::zeros(rows, row_bytes)
        });
        TILES.set(Some(tiles));
    }

    unsafe fn release() {
        TILES.set(None);
    }

    unsafe fn zero<const TILE: u8>() {
        with_tiles(|tiles| tiles[TILE as usize].clear());
    }

    unsafe fn load<const TILE: u8>(from: *const u8, stride: isize) {
        with_tiles(|tiles| {
            let tile = &mut tiles[TILE as usize];
            tile.clear();
            for row in 0..tile.rows {
                let from = from.wrapping_offset(row as isize * stride);
                // SAFETY: the trait's contract.
                let from = unsafe { slice::from_raw_parts(from, tile.row_bytes) };
                tile.bytes[row][..tile.row_bytes].copy_from_slice(from);
            }
        });
    }

    unsafe fn store<const TILE: u8>(to: *mut u8, stride: isize) {
        with_tiles(|tiles| {
            let tile = &tiles[TILE as usize];
            assert!(tile.rows > 0, "a tile that has a shape");
            for row in 0..tile.rows {
                let to = to.wrapping_offset(row as isize * stride);
                // SAFETY: the trait's contract.
                unsafe { to.copy_from_nonoverlapping(tile.bytes[row].as_ptr(), tile.row_bytes) };
            }
        });
    }

    unsafe fn multiply_add<const SUM: u8, const LEFT: u8, const RIGHT: u8>() {
        assert!(SUM != LEFT && SUM != RIGHT && LEFT != RIGHT, "three tiles");
        with_tiles(|tiles| {
            let (left, right) = (tiles[LEFT as usize], tiles[RIGHT as usize]);
            let sum = &mut tiles[SUM as usize];
            assert!(sum.rows == left.rows && sum.row_bytes == right.row_bytes);
            assert!(left.row_bytes == 4 * right.rows && left.row_bytes > 0);
            let (rows, columns) = (sum.rows, sum.row_bytes / 4);
            let before = *sum;
            *sum = Tile::zeros(before.rows, before.row_bytes);
            for i in 0..rows {
                for j in 0..columns {
                    let mut halves = [0.0_f32; 2];
                    for k in 0..left.row_bytes / 4 {
                        for (h, half) in halves.iter_mut().enumerate() {
                            // A product of two bf16 is exact in f32, so this rounds once, like a fused one.
                            let product = left.bf16(i, 2 * k + h) * right.bf16(k, 2 * j + h);
                            *half = flush(*half + product);
                        }
                    }
                    let old = flush(f32::from_le_bytes(*{ before }.f32(i, j)));
                    *sum.f32(i, j) = flush(old + flush(halves[0] + halves[1])).to_le_bytes();
                }
            }
        });
    }
}

#[test]
fn the_product_that_is_asked_of_processors_comes_out_right() {
    // SAFETY: the emulator needs no instruction.
    assert!(unsafe { multiplies_right::<Emulated>() });
}

/// Two rows of one pair, times one row of three pairs.
#[test]
fn small_shapes_leave_the_rest_of_a_tile_zero() {
    let mut shapes = Shapes { row_bytes: [0; 16], rows: [0; 16], ..Shapes::WHOLE };
    shapes.row_bytes[..3].copy_from_slice(&[12, 4, 12]);
    shapes.rows[..3].copy_from_slice(&[2, 2, 1]);
    let bf16 = |values: [f32; 6]| values.map(Bf16::from_real);
    let (left, right) = (bf16([1.0, 2.0, 9.0, 9.0, 3.0, 4.0]), bf16([1.0, 0.0, 0.0, 1.0, 1.0, 1.0]));
    let mut sums = [[-1.0_f32; 4]; 3];
    // SAFETY: the emulator needs no instruction; the arrays hold the shapes' rows.
    unsafe {
        Emulated::configure(&shapes);
        Emulated::load::<1>(left.as_ptr().cast(), 8);
        Emulated::load::<2>(right.as_ptr().cast(), 12);
        Emulated::multiply_add::<0, 1, 2>();
        Emulated::store::<0>(sums.as_mut_ptr().cast(), 16);
        with_tiles(|tiles| {
            assert!(tiles[0].bytes[..2].iter().all(|row| row[12..].iter().all(|&byte| byte == 0)));
            assert!(tiles[0].bytes[2..].as_flattened().iter().all(|&byte| byte == 0));
        });
        Emulated::release();
    }
    assert_eq!(sums, [[1.0, 2.0, 3.0, -1.0], [3.0, 4.0, 7.0, -1.0], [-1.0; 4]]);
}

#[test]
#[should_panic(expected = "tiles that are configured")]
fn released_tiles_are_not_used() {
    // SAFETY: the emulator needs no instruction.
    unsafe { Emulated::zero::<0>() };
}
