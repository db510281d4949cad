//! RGB pixels changed one by one, many at a time.

/// Pixels taken at a time: enough for the widest registers.
const BLOCK: usize = 32;

/// A change of single pixels.
///
/// A trait and not a closure, because its method can be marked `#[inline(always)]`.
pub(crate) trait Change {
    /// The new red, green and blue, 0..=255 before and after.
    fn change(&self, levels: [i32; 3]) -> [i32; 3];
}

/// Changes every pixel.
///
/// The channels are taken apart first, so that the compiler can put one channel of many pixels into a register; for
/// that, the change has no branches and the caller is a vectorised function.
#[allow(clippy::inline_always, reason = "part of vectorised loops")]
#[inline(always)]
pub(crate) fn map_pixels(pixels: &mut [[u8; 3]], change: &impl Change) {
    for block in pixels.chunks_mut(BLOCK) {
        let mut planes = [[0_u8; BLOCK]; 3];
        for (index, &[red, green, blue]) in block.iter().enumerate() {
            [planes[0][index], planes[1][index], planes[2][index]] = [red, green, blue];
        }
        let [reds, greens, blues] = &mut planes;
        for index in 0..BLOCK {
            let changed = change.change([reds[index], greens[index], blues[index]].map(i32::from));
            [reds[index], greens[index], blues[index]] = changed.map(|level| level as u8);
        }
        for (index, pixel) in block.iter_mut().enumerate() {
            *pixel = [planes[0][index], planes[1][index], planes[2][index]];
        }
    }
}
