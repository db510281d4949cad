//! Entropy-coded data: bits, Huffman codes, coefficients.

#![allow(clippy::inline_always, reason = "parts of a vectorised loop")]

/// Bits looked up at once; longer codes are rare.
const LOOKUP_BITS: u32 = 10;

/// Where each coefficient of the zigzag order lies in the 8x8 block. What follows the 64 takes runs that leave it.
pub(super) const ZIGZAG: [u8; 128] = {
    let mut order = [64_u8; 128];
    let (mut x, mut y, mut index) = (0_i32, 0_i32, 0);
    while index < 64 {
        order[index] = (y * 8 + x) as u8;
        // Up to the right on even diagonals, down to the left on odd ones.
        if (x + y) % 2 == 0 {
            if x == 7 {
                y += 1;
            } else if y == 0 {
                x += 1;
            } else {
                x += 1;
                y -= 1;
            }
        } else if y == 7 {
            x += 1;
        } else if x == 0 {
            y += 1;
        } else {
            x -= 1;
            y += 1;
        }
        index += 1;
    }
    order
};

/// 64 coefficients in natural order and one place for what leaves the block.
pub(super) type Block = [i16; 65];

/// A table of codes and what they mean.
pub(super) struct HuffmanTable {
    /// For the next bits: `length << 8 | symbol`, or 0 for a longer code or none.
    symbols: [u16; 1 << LOOKUP_BITS],
    /// For the next bits: `value << 16 | run << 8 | bits`, when they hold a whole coefficient or end of block; or 0.
    coefficients: [u32; 1 << LOOKUP_BITS],
    /// Of each length: the first code after its last, left-aligned to 16 bits.
    ends: [u32; 18],
    /// Of each length: what is added to a code to get its place in `values`.
    offsets: [i32; 17],
    values: [u8; 256],
}

/// A run that leads behind every block.
const END_OF_BLOCK_RUN: u32 = 64;

impl HuffmanTable {
    /// A table of `counts[i]` codes of `i + 1` bits for `values`; none when the counts are impossible.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        if total > 256 || values.len() != total {
            return None;
        }
        let mut table = Self {
            symbols: [0; 1 << LOOKUP_BITS],
            coefficients: [0; 1 << LOOKUP_BITS],
            ends: [0; 18],
            offsets: [0; 17],
            values: [0; 256],
        };
        table.values[..total].copy_from_slice(values);
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offsets[length as usize] = index as i32 - code as i32;
            if code + count as u32 > 1 << length {
                return None;
            }
            for &symbol in &values[index..index + count] {
                table.enter(code, length, symbol);
                code += 1;
            }
            index += count;
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.ends[17] = u32::MAX;
        Some(table)
    }

    /// Enters a code wherever the next bits begin with it.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        if length > LOOKUP_BITS {
            return;
        }
        let free = LOOKUP_BITS - length;
        for rest in 0..1_u32 << free {
            let index = (code << free | rest) as usize;
            self.symbols[index] = (length << 8) as u16 | u16::from(symbol);
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if symbol == 0 {
                self.coefficients[index] = END_OF_BLOCK_RUN << 8 | length;
            } else if size > 0 && size <= free {
                let value = signed(rest >> (free - size), size);
                self.coefficients[index] = (value as u32) << 16 | run << 8 | (length + size);
            }
        }
    }

    /// The next symbol; none for bits that are no code.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits) -> Option<u8> {
        let entry = self.symbols[bits.peek(LOOKUP_BITS) as usize];
        if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            return Some(entry as u8);
        }
        let (symbol, length) = self.long_symbol(bits.peek(16))?;
        bits.skip(length);
        Some(symbol)
    }

    /// The symbol that the `next` 16 bits begin with and the length of its code.
    #[cold]
    #[inline(never)]
    fn long_symbol(&self, next: u32) -> Option<(u8, u32)> {
        let length = (1..=17).find(|&length| next < self.ends[length])?;
        if length == 17 {
            return None;
        }
        let place = (next >> (16 - length)) as i32 + self.offsets[length];
        let symbol = *self.values.get(usize::try_from(place).ok()?)?;
        Some((symbol, length as u32))
    }
}

/// The value of `size` bits: their upper half is positive, their lower half stands for the negative numbers.
#[inline(always)]
fn signed(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}

/// Reads bits of data without stuffed bytes, with zeros after its end.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Next byte to be loaded.
    next: usize,
    /// Loaded bits, the next one uppermost.
    loaded: u64,
    /// How many of them count.
    count: u32,
}

/// Zeros that `Bits` needs behind its data.
pub(super) const PADDING: usize = 8;

impl<'a> Bits<'a> {
    /// Reads `data`, whose last [`PADDING`] bytes are zeros and not part of it.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, loaded: 0, count: 0 }
    }

    /// Whether more was read than there was.
    pub(super) fn is_beyond_end(&self) -> bool {
        let read = self.next * 8 - self.count as usize;
        read > (self.data.len() - PADDING) * 8
    }

    /// Loads until there are 56 to 63 bits: enough for a symbol and its value.
    #[inline(always)]
    fn refill(&mut self) {
        // Behind the data there are zeros, again and again.
        let from = self.next.min(self.data.len() - PADDING);
        let Some(bytes) = self.data[from..].first_chunk::<PADDING>() else { return };
        self.loaded |= u64::from_be_bytes(*bytes) >> self.count;
        self.next += ((63 - self.count) >> 3) as usize;
        self.count |= 0x38;
    }

    /// The next 1..=32 bits.
    #[inline(always)]
    fn peek(&self, bits: u32) -> u32 {
        (self.loaded >> (64 - bits)) as u32
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.loaded <<= bits;
        self.count -= bits;
    }

    /// Reads `size` bits as a signed value, 0 for none.
    #[inline(always)]
    fn value(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let value = signed(self.peek(size), size);
        self.skip(size);
        value
    }
}

/// Reads one block: adds to the component's `previous` DC value and writes the dequantised coefficients into `block`,
/// which is all zeros.
///
/// Returns the number of coefficients in zigzag order up to the last one, at least 1; none for data that is no block.
#[inline(always)]
pub(super) fn read_block(
    reader: &mut Bits,
    dc: &HuffmanTable,
    ac: &HuffmanTable,
    quantizers: &[i32; 64],
    previous: &mut i32,
    block: &mut Block,
) -> Option<usize> {
    // A copy stays in registers.
    let mut bits = *reader;
    bits.refill();
    let size = u32::from(dc.symbol(&mut bits)?);
    if size > 11 {
        return None;
    }
    *previous = previous.wrapping_add(bits.value(size));
    block[0] = previous.wrapping_mul(quantizers[0]) as i16;
    let mut used = 1;
    let mut index = 1;
    bits.refill();
    while index < 64 {
        // Enough bits are left for this, so that looking up and loading more need not wait for each other.
        let entry = ac.coefficients[bits.peek(LOOKUP_BITS) as usize];
        bits.refill();
        let value = if entry != 0 {
            bits.skip(entry & 0xFF);
            index += (entry >> 8 & 0xFF) as usize;
            entry as i32 >> 16
        } else {
            let symbol = ac.symbol(&mut bits)?;
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            match (run, size) {
                (0, 0) => break,
                // Sixteen zeros.
                (15, 0) => {
                    index += 16;
                    continue;
                }
                (_, 0) => return None,
                _ => {}
            }
            index += usize::from(run);
            bits.value(size)
        };
        // The end of the block leads to the spare place.
        let place = usize::from(ZIGZAG[index & 127]);
        block[place] = value.wrapping_mul(quantizers[index & 63]) as i16;
        index += 1;
        used = if index <= 64 { index } else { used };
    }
    *reader = bits;
    Some(used)
}
