//! Levels counted and replaced channel by channel, the arithmetic under auto-contrast and equalisation.

use crate::image::Image;

/// How often each level occurs, or what replaces it.
pub(crate) type Table<T> = [T; 256];

/// Replaces the levels of each channel by the table that `table_of` makes of their counts.
pub(crate) fn remap(image: &mut Image, table_of: impl Fn(&Table<u32>) -> Table<u8>) {
    if image.channels == 3 {
        remap_channels::<3>(&mut image.pixels, table_of);
    } else {
        remap_channels::<1>(&mut image.pixels, table_of);
    }
}

fn remap_channels<const CHANNELS: usize>(pixels: &mut [u8], table_of: impl Fn(&Table<u32>) -> Table<u8>) {
    let pixels = pixels.as_chunks_mut::<CHANNELS>().0;
    let mut counts = [[0_u32; 256]; CHANNELS];
    for pixel in &*pixels {
        for (counts, &level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(level)] += 1;
        }
    }
    let tables = counts.each_ref().map(table_of);
    for pixel in pixels {
        for (table, level) in tables.iter().zip(pixel) {
            *level = table[usize::from(*level)];
        }
    }
}

/// The table that changes nothing.
pub(crate) fn identity() -> Table<u8> {
    std::array::from_fn(|level| level as u8)
}
