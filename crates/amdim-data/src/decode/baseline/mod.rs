//! The common JPEG files (baseline, one scan, gray or YCbCr) decoded in part: blocks outside the wanted region are
//! read and not transformed, and a reduced size is made by a smaller transform.
//!
//! The levels are those of the JPEG library (libjpeg-turbo, which Pillow uses) with its default settings. Whatever
//! else a file may be, damaged or rare, is left to the general decoder.

mod frame;
mod huffman;
mod idct;
mod planes;

use std::cell::RefCell;
use std::ops::Range;

use image::metadata::Orientation;

use frame::{Component, Frame};
use huffman::{Bits, Block, PADDING, read_block};
use idct::{Reduced, inverse, inverse_reduced};
use planes::{Plane, RowBuffers, write_row};

use super::part::{ChoosePart, Part, Wanted};
use super::{Limits, oriented};
use crate::augment::Region;
use crate::error::Result;
use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;

/// Decodes what `choose` wants of a picture of the size that it is told.
///
/// None for a file that the general decoder should take.
///
/// # Errors
/// [`DataError::Limit`](crate::DataError::Limit) for a picture above `limits`.
pub(super) fn decode(bytes: &[u8], limits: &Limits, choose: &mut ChoosePart<'_>) -> Result<Option<Part>> {
    let Some(frame) = Frame::read(bytes) else { return Ok(None) };
    limits.check_pixels(frame.width, frame.height)?;
    let (width, height) = (frame.width, frame.height);
    let is_upright = frame.orientation == Orientation::NoTransforms;
    // What is turned is decoded whole.
    let wanted = if is_upright { choose(width, height) } else { Wanted::all(width, height) };
    let part = BUFFERS.with_borrow_mut(|buffers| decode_wanted(&frame, bytes, wanted, buffers));
    Ok(part.map(|part| if is_upright { part } else { Part::whole(oriented(part.image, frame.orientation)) }))
}

/// Most bytes kept of one picture's pixels.
const KEPT_BYTES: usize = 16 << 20;

/// What a thread keeps between pictures, so that memory is not fetched anew for each.
#[derive(Default)]
struct Buffers {
    pixels: Vec<u8>,
    data: Vec<u8>,
    planes: [Plane; 3],
    rows: RowBuffers,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Takes back the pixels of a picture that is no longer needed, for the next one of this thread.
pub(super) fn recycle(pixels: Vec<u8>) {
    BUFFERS.with_borrow_mut(|buffers| {
        if pixels.capacity() > buffers.pixels.capacity() && pixels.capacity() <= KEPT_BYTES {
            buffers.pixels = pixels;
        }
    });
}

fn decode_wanted(frame: &Frame, bytes: &[u8], wanted: Wanted, buffers: &mut Buffers) -> Option<Part> {
    let Wanted { region, reduction } = wanted;
    let units = Units::covering(frame, region);
    let transforms: Vec<Transform> = frame
        .components
        .iter()
        .map(|component| Transform::new(component, frame.most_blocks, reduction as usize))
        .collect();
    let planes = &mut buffers.planes[..frame.components.len()];
    for ((plane, component), transform) in planes.iter_mut().zip(&frame.components).zip(&transforms) {
        cover(plane, frame, component, &units, transform);
    }
    read_scan(frame, bytes, &units, &transforms, planes, &mut buffers.data)?;

    let reduction_pixels = reduction as usize;
    let (left, top) = (region.left as usize / reduction_pixels, region.top as usize / reduction_pixels);
    let width = (region.left + region.width).div_ceil(reduction) as usize - left;
    let height = (region.top + region.height).div_ceil(reduction) as usize - top;
    let mut pixels = std::mem::take(&mut buffers.pixels);
    pixels.resize(width * height * 3, 0);
    for (index, row) in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(width).enumerate() {
        write_row(planes, [left, top + index], &mut buffers.rows, row);
    }
    Some(Part {
        image: Image { width: width as u32, height: height as u32, channels: 3, pixels },
        origin: [left * reduction_pixels, top * reduction_pixels].map(|pixel| pixel as i64),
        reduction,
        whole: [frame.width, frame.height],
    })
}

/// The units (MCUs) that a region depends on.
struct Units {
    columns: Range<usize>,
    rows: Range<usize>,
}

impl Units {
    fn covering(frame: &Frame, region: Region) -> Self {
        let range = |begin: u32, length: u32, axis: usize| {
            let pixels = 8 * frame.most_blocks[axis];
            // Chroma at half size is interpolated from the next level, too.
            let margin = if frame.most_blocks[axis] > 1 { 2 } else { 0 };
            let start = (begin as usize).saturating_sub(margin) / pixels;
            let end = (begin as usize + length as usize + margin).div_ceil(pixels);
            start..end.min(frame.units()[axis])
        };
        Self { columns: range(region.left, region.width, 0), rows: range(region.top, region.height, 1) }
    }
}

/// How a component's blocks become levels.
struct Transform {
    /// Levels of a block, across and down.
    size: [usize; 2],
    /// How many pixels of the picture at its decoded size one level covers, an axis.
    spread: [usize; 2],
}

impl Transform {
    /// At a reduced size a component that is already smaller is reduced less.
    fn new(component: &Component, most_blocks: [usize; 2], reduction: usize) -> Self {
        let spread = [0, 1].map(|axis| most_blocks[axis] / component.blocks[axis]);
        if reduction == 1 {
            return Self { size: [8, 8], spread };
        }
        Self { size: spread.map(|spread| 8 * spread / reduction), spread: [1, 1] }
    }
}

/// Makes room for a component's levels of `units`.
fn cover(plane: &mut Plane, frame: &Frame, component: &Component, units: &Units, transform: &Transform) {
    let levels = [0, 1].map(|axis| component.blocks[axis] * transform.size[axis]);
    plane.stride = units.columns.len() * levels[0];
    plane.origin = [units.columns.start * levels[0], units.rows.start * levels[1]];
    plane.size = [0, 1].map(|axis| {
        let pixels = [frame.width, frame.height][axis] as usize;
        (pixels * component.blocks[axis]).div_ceil(frame.most_blocks[axis])
    });
    plane.spread = transform.spread;
    plane.levels.resize(plane.stride * units.rows.len() * levels[1], 0);
}

/// Reads the scan up to the last wanted row and transforms the wanted blocks; none for damaged data.
fn read_scan(
    frame: &Frame,
    bytes: &[u8],
    wanted: &Units,
    transforms: &[Transform],
    planes: &mut [Plane],
    data: &mut Vec<u8>,
) -> Option<()> {
    vectorized!(kernel(), {
        let [columns, rows] = frame.units();
        let last = columns * wanted.rows.end.min(rows);
        let interval = frame.restart.unwrap_or(columns * rows);
        let mut position = frame.data;
        let mut first = 0;
        while first < last {
            position = unstuffed(bytes, position, data);
            let mut bits = Bits::new(data);
            let mut previous = [0; 3];
            for unit in first..last.min(first + interval) {
                let (column, row) = (unit % columns, unit / columns);
                let is_wanted = wanted.columns.contains(&column) && wanted.rows.contains(&row);
                let place = [column.wrapping_sub(wanted.columns.start), row.wrapping_sub(wanted.rows.start)];
                for (index, component) in frame.components.iter().enumerate() {
                    let dc = frame.dc[component.dc].as_ref()?;
                    let ac = frame.ac[component.ac].as_ref()?;
                    for block_y in 0..component.blocks[1] {
                        for block_x in 0..component.blocks[0] {
                            let mut block: Block = [0; 65];
                            let used = read_block(
                                &mut bits,
                                dc,
                                ac,
                                &component.quantizers,
                                &mut previous[index],
                                &mut block,
                            )?;
                            if is_wanted {
                                let x = place[0] * component.blocks[0] + block_x;
                                let y = place[1] * component.blocks[1] + block_y;
                                transform(&block, used, &transforms[index], &mut planes[index], [x, y]);
                            }
                        }
                    }
                }
            }
            if bits.is_beyond_end() {
                return None;
            }
            first += interval;
        }
        Some(())
    })
}

/// Writes the levels of the block at `x` and `y`, counted in blocks of the plane.
#[allow(clippy::inline_always, reason = "part of a vectorised loop")]
#[inline(always)]
fn transform(block: &Block, used: usize, transform: &Transform, plane: &mut Plane, [x, y]: [usize; 2]) {
    let [columns, rows] = transform.size;
    let place = y * rows * plane.stride + x * columns;
    if [columns, rows] == [8, 8] {
        inverse(block, used, &mut plane.levels, place, plane.stride);
    } else {
        let tables = [columns, rows].map(Reduced::of);
        inverse_reduced(block, used, tables, &mut plane.levels, place, plane.stride);
    }
}

/// Copies entropy-coded data from `position` to the next marker into `data`, without stuffed bytes and with padding,
/// and returns where the data after a restart marker begins.
fn unstuffed(bytes: &[u8], mut position: usize, data: &mut Vec<u8>) -> usize {
    data.clear();
    while let Some(offset) = bytes.get(position..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        data.extend_from_slice(&bytes[position..position + offset]);
        position += offset;
        match bytes.get(position + 1) {
            Some(0) => {
                data.push(0xFF);
                position += 2;
            }
            // A fill byte.
            Some(0xFF) => position += 1,
            _ => break,
        }
    }
    data.extend_from_slice(&[0; PADDING]);
    position + 2
}
