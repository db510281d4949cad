//! Halves: two views that are the upper and the lower half of a picture.

use crate::image::Image;

/// Which half a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The rows above the middle.
    Upper,
    /// The others; one more where their number is odd.
    Lower,
}

/// Blackens the other half.
pub fn apply(view: &mut Image, half: Half) {
    let middle = (view.height / 2) as usize * view.width as usize * usize::from(view.channels);
    match half {
        Half::Upper => view.pixels[middle..].fill(0),
        Half::Lower => view.pixels[..middle].fill(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_shows_its_half_and_both_show_all() {
        let whole = Image::new(2, 5, 1, (1..=10).collect()).unwrap();
        let [mut upper, mut lower] = [whole.clone(), whole.clone()];
        apply(&mut upper, Half::Upper);
        apply(&mut lower, Half::Lower);
        assert_eq!(upper.pixels, [1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(lower.pixels, [0, 0, 0, 0, 5, 6, 7, 8, 9, 10]);
    }
}
