//! Translation with a reflected border.

use super::config::TranslateConfig;
use crate::image::Image;
use amdim_random::Stream;

/// How far the content moves, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// To the right.
    pub right: i32,
    /// Down.
    pub down: i32,
}

/// Draws whether to move (`config.probability`) and by how much, each axis from `-max_pixels..=max_pixels`.
pub fn sample(config: &TranslateConfig, stream: &mut Stream) -> Params {
    if !stream.chance(config.probability) {
        return Params { right: 0, down: 0 };
    }
    let farthest = i64::from(config.max_pixels);
    let right = stream.integer(-farthest, farthest) as i32;
    Params { right, down: stream.integer(-farthest, farthest) as i32 }
}

/// Writes the moved `image` into `moved`; what was outside is mirrored at the edge without repeating it, as the
/// reference's `RandomTranslateWithReflect` (datasets.py). Any distance is allowed: the mirror image goes on.
pub fn apply(image: &Image, params: &Params, moved: &mut Image) {
    moved.reshape(image.width, image.height, image.channels);
    let (width, height) = (image.width as usize, image.height as usize);
    let channels = image.channels as usize;
    let row_values = image.row_values();
    // Columns left..right come from one unbroken run of the source row; the few others are mirrored one by one.
    let shift = i64::from(params.right);
    let left = shift.clamp(0, width as i64) as usize;
    let right = (width as i64 + shift).clamp(left as i64, width as i64) as usize;
    for (y, row) in moved.pixels.chunks_exact_mut(row_values).enumerate() {
        let source_y = reflect(y as i64 - i64::from(params.down), height);
        let source = &image.pixels[source_y * row_values..][..row_values];
        if left < right {
            let run = (right - left) * channels;
            let source_left = (left as i64 - shift) as usize * channels;
            row[left * channels..][..run].copy_from_slice(&source[source_left..][..run]);
        }
        for x in (0..left).chain(right..width) {
            let source_x = reflect(x as i64 - shift, width);
            row[x * channels..][..channels].copy_from_slice(&source[source_x * channels..][..channels]);
        }
    }
}

/// The position inside `0..len` that `position` mirrors to: ... 2 1 0 1 2 ... len-1 len-2 ...
fn reflect(position: i64, len: usize) -> usize {
    let last = len as i64 - 1;
    if last == 0 {
        return 0;
    }
    let within = position.rem_euclid(2 * last);
    within.min(2 * last - within) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_moves_right_and_down() {
        let image = Image::new(3, 3, 1, vec![0, 1, 2, 10, 11, 12, 20, 21, 22]).unwrap();
        let mut moved = Image::blank(0, 0, 1);
        apply(&image, &Params { right: 1, down: 0 }, &mut moved);
        assert_eq!(moved.pixels, [1, 0, 1, 11, 10, 11, 21, 20, 21]);
        apply(&image, &Params { right: -2, down: 1 }, &mut moved);
        assert_eq!(moved.pixels, [12, 11, 10, 2, 1, 0, 12, 11, 10]);
        apply(&image, &Params { right: 0, down: 0 }, &mut moved);
        assert_eq!(moved, image);
    }

    #[test]
    fn any_distance_equals_pixelwise_reflection() {
        let image = Image::new(4, 3, 3, (0..36).collect()).unwrap();
        let mut moved = Image::blank(0, 0, 3);
        for (right, down) in (-9..=9).flat_map(|right| (-7..=7).map(move |down| (right, down))) {
            apply(&image, &Params { right, down }, &mut moved);
            for (y, x) in (0..3).flat_map(|y| (0..4).map(move |x| (y, x))) {
                let source_y = reflect(y as i64 - i64::from(down), 3);
                let source_x = reflect(x as i64 - i64::from(right), 4);
                let pixel = |image: &Image, y: usize, x: usize| image.pixels[(y * 4 + x) * 3];
                assert_eq!(pixel(&moved, y, x), pixel(&image, source_y, source_x), "{right} {down}");
            }
        }
    }

    #[test]
    fn moves_follow_their_distribution() {
        let config = TranslateConfig { max_pixels: 4, probability: 0.8 };
        let mut stream = Stream::for_view(2, 0, 0, 0);
        let draws: Vec<Params> = (0..45_000).map(|_| sample(&config, &mut stream)).collect();
        // 36,000 moves of 81 equally likely ones, of which one is (0, 0); 0.2 * 45,000 more stay.
        let still = draws.iter().filter(|move_| move_.right == 0 && move_.down == 0).count();
        assert!(still.abs_diff(9_444) < 450, "{still}");
        for distance in (-4..=4).filter(|&distance| distance != 0) {
            let right = draws.iter().filter(|move_| move_.right == distance).count();
            let down = draws.iter().filter(|move_| move_.down == distance).count();
            // 4,000 expected, standard deviation 60.
            assert!(right.abs_diff(4_000) < 320 && down.abs_diff(4_000) < 320, "{distance} {right} {down}");
        }
    }
}
