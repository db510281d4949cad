//! The headers of a JPEG file.

use image::metadata::Orientation;

use super::huffman::{HuffmanTable, ZIGZAG};

/// One colour component.
pub(super) struct Component {
    /// Blocks a unit, across and down: 1 or 2.
    pub(super) blocks: [usize; 2],
    /// Of the coefficients in zigzag order.
    pub(super) quantizers: [i32; 64],
    /// Which tables its coefficients are coded with.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// The tables of codes by their number.
type Tables = [Option<Box<HuffmanTable>>; 4];

/// What the headers of a file say, up to its only scan.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// How the stored picture is turned to be upright.
    pub(super) orientation: Orientation,
    /// One (gray) or three (luma and two of chroma).
    pub(super) components: Vec<Component>,
    pub(super) dc: Tables,
    pub(super) ac: Tables,
    /// Units between restart markers; none without them.
    pub(super) restart: Option<usize>,
    /// Where the entropy-coded data begins.
    pub(super) data: usize,
    /// Blocks a unit of the component with most, across and down.
    pub(super) most_blocks: [usize; 2],
}

/// A component as its frame header gives it.
struct Declared {
    id: u8,
    blocks: [usize; 2],
    table: usize,
}

impl Frame {
    /// Reads the headers; none for a file that is not of the kind decoded here.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut tables: [Option<[i32; 64]>; 4] = [None; 4];
        let (mut dc, mut ac) = (Tables::default(), Tables::default());
        let mut declared: Option<(u32, u32, Vec<Declared>)> = None;
        let mut restart = None;
        let mut is_jfif = false;
        let mut orientation = Orientation::NoTransforms;
        let mut position = 2;
        loop {
            let (marker, segment, end) = segment(bytes, position)?;
            match marker {
                0xDB => read_quantizers(segment, &mut tables)?,
                0xC4 => read_codes(segment, &mut dc, &mut ac)?,
                0xC0 | 0xC1 if declared.is_none() => declared = Some(read_sizes(segment)?),
                0xDD => {
                    let units = usize::from(u16::from_be_bytes(*segment.first_chunk()?));
                    restart = (units > 0).then_some(units);
                }
                0xDA => {
                    let (width, height, declared) = declared?;
                    let is_ycc = is_jfif || declared.iter().map(|component| component.id).ne(*b"RGB");
                    let components = read_scan_header(segment, &declared, &tables)?;
                    let most = |axis: usize| components.iter().map(|c: &Component| c.blocks[axis]).max();
                    let most_blocks = [most(0)?, most(1)?];
                    let frame = Self {
                        width,
                        height,
                        orientation,
                        components,
                        dc,
                        ac,
                        restart,
                        data: end,
                        most_blocks,
                    };
                    return (is_ycc && frame.is_common()).then_some(frame);
                }
                0xE0 => is_jfif |= segment.starts_with(b"JFIF\0"),
                0xE1 => {
                    let found = segment.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                    orientation = found.unwrap_or(orientation);
                }
                // RGB or inks.
                0xEE if segment.starts_with(b"Adobe") && segment.get(11) != Some(&1) => return None,
                0xE0..=0xEF | 0xFE => {}
                _ => return None,
            }
            position = end;
        }
    }

    /// Whether the sampling is one of the usual: chroma as fine as luma or half as fine along an axis.
    fn is_common(&self) -> bool {
        let tables_are_there = self
            .components
            .iter()
            .all(|component| self.dc[component.dc].is_some() && self.ac[component.ac].is_some());
        // A picture this narrow is interpolated in another way.
        let is_wide = self.width >= 8 && self.height >= 8;
        let chroma_is_single = self.components.iter().skip(1).all(|component| component.blocks == [1, 1]);
        tables_are_there && is_wide && chroma_is_single && matches!(self.components.len(), 1 | 3)
    }

    /// Units across and down.
    pub(super) fn units(&self) -> [usize; 2] {
        let units = |pixels: u32, blocks: usize| (pixels as usize).div_ceil(8 * blocks);
        [units(self.width, self.most_blocks[0]), units(self.height, self.most_blocks[1])]
    }
}

/// The marker at `position`, its segment without the length, and where the segment ends.
fn segment(bytes: &[u8], mut position: usize) -> Option<(u8, &[u8], usize)> {
    if *bytes.get(position)? != 0xFF {
        return None;
    }
    while *bytes.get(position)? == 0xFF {
        position += 1;
    }
    let marker = bytes[position];
    let length = usize::from(u16::from_be_bytes(*bytes.get(position + 1..)?.first_chunk()?));
    let end = position + 1 + length;
    Some((marker, bytes.get(position + 3..end)?, end))
}

fn read_quantizers(mut segment: &[u8], tables: &mut [Option<[i32; 64]>; 4]) -> Option<()> {
    while let Some((&kind, rest)) = segment.split_first() {
        // Tables of 16 bits belong to rarer files.
        let (values, rest) = rest.split_first_chunk::<64>()?;
        *tables.get_mut(usize::from(kind))? = Some(values.map(i32::from));
        segment = rest;
    }
    Some(())
}

fn read_codes(mut segment: &[u8], dc: &mut Tables, ac: &mut Tables) -> Option<()> {
    while let Some((&kind, rest)) = segment.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (values, rest) = rest.split_at_checked(total)?;
        let tables = if kind >> 4 == 0 { &mut *dc } else { &mut *ac };
        *tables.get_mut(usize::from(kind & 15))? = Some(Box::new(HuffmanTable::new(counts, values)?));
        segment = rest;
    }
    Some(())
}

fn read_sizes(segment: &[u8]) -> Option<(u32, u32, Vec<Declared>)> {
    let &[precision, high, height, left, width, count, ref components @ ..] = segment else { return None };
    let (height, width) = (u16::from_be_bytes([high, height]), u16::from_be_bytes([left, width]));
    if precision != 8 || height == 0 || width == 0 || components.len() != usize::from(count) * 3 {
        return None;
    }
    let mut declared = Vec::new();
    for &[id, blocks, table] in components.as_chunks().0 {
        let blocks = [usize::from(blocks >> 4), usize::from(blocks & 15)];
        // A single component is not interleaved, whatever it declares.
        let blocks = if count == 1 { [1, 1] } else { blocks };
        if blocks.iter().any(|&blocks| blocks != 1 && blocks != 2) {
            return None;
        }
        declared.push(Declared { id, blocks, table: usize::from(table) });
    }
    Some((u32::from(width), u32::from(height), declared))
}

fn read_scan_header(
    segment: &[u8],
    declared: &[Declared],
    tables: &[Option<[i32; 64]>; 4],
) -> Option<Vec<Component>> {
    let (&count, rest) = segment.split_first()?;
    if usize::from(count) != declared.len() || rest.len() != declared.len() * 2 + 3 {
        return None;
    }
    let component = |(declared, &[id, codes]): (&Declared, &[u8; 2])| {
        let (dc, ac) = (usize::from(codes >> 4), usize::from(codes & 15));
        let quantizers = (*tables.get(declared.table)?)?;
        (id == declared.id && dc < 4 && ac < 4).then_some(Component {
            blocks: declared.blocks,
            quantizers,
            dc,
            ac,
        })
    };
    declared.iter().zip(rest.as_chunks::<2>().0).map(component).collect()
}

const _: () = assert!(ZIGZAG[63] == 63 && ZIGZAG[1] == 1 && ZIGZAG[2] == 8 && ZIGZAG[64] == 64);
