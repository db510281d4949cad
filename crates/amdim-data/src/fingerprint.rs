//! What two copies of a picture have in common.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::augment::grayscale::luma;
use crate::image::Image;

/// Cells of a thumbnail along a side.
const CELLS: usize = 16;

/// Numbers by which copies of a picture are found, also re-encoded, resized, brighter or of other contrast.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// Equal for equal pixels: a hash of size and RGB levels, the same within one version of the library.
    pub pixels: u64,
    /// What [`Fingerprint::edges`] is made of: mean luma of 16 x 16 equal cells, row by row, 0..=255.
    thumbnail: Vec<f32>,
}

impl Fingerprint {
    /// Values of [`Fingerprint::edges`].
    pub const EDGES: usize = 2 * CELLS * (CELLS - 1);

    /// Of a picture of any size.
    pub fn new(image: &Image) -> Self {
        let rgb = image.clone().into_channels(3);
        let mut hasher = DefaultHasher::new();
        (rgb.width, rgb.height, &rgb.pixels).hash(&mut hasher);
        Self { pixels: hasher.finish(), thumbnail: thumbnail(&rgb) }
    }

    /// Differences between neighbouring cells of the thumbnail, along its rows and then along its columns;
    /// [`Fingerprint::EDGES`] of them, all 0 for a picture of one level.
    ///
    /// Their cosine tells copies from pictures that merely have the same layout (ships under a sky), which levels
    /// themselves do not: it is 1 for copies of other brightness and contrast, above about 0.9 for the same photograph
    /// re-encoded, retouched or a little shifted, and rarely above 0.7 for others.
    pub fn edges(&self) -> Vec<f32> {
        edges(|row, column| self.thumbnail[row * CELLS + column])
    }

    /// [`Fingerprint::edges`] of the mirrored picture.
    pub fn mirrored_edges(&self) -> Vec<f32> {
        edges(|row, column| self.thumbnail[row * CELLS + CELLS - 1 - column])
    }
}

fn edges(cell: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let along = |of: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        (0..CELLS)
            .flat_map(|i| (1..CELLS).map(move |j| (i, j)))
            .map(|(i, j)| of(i, j) - of(i, j - 1))
            .collect()
    };
    [along(&|row, column| cell(row, column)), along(&|column, row| cell(row, column))].concat()
}

/// Mean luma of each cell; pixels on the border of two cells count in both by their shares.
fn thumbnail(rgb: &Image) -> Vec<f32> {
    let (width, height) = (rgb.width as usize, rgb.height as usize);
    let (columns, rows) = (shares(width), shares(height));
    let mut cells = vec![0.0_f64; CELLS * CELLS];
    let lines = rgb.pixels.chunks_exact(3 * width);
    let mut across = [0.0_f64; CELLS];
    for (line, row_shares) in lines.zip(&rows) {
        across.fill(0.0);
        for (&pixel, shares) in line.as_chunks::<3>().0.iter().zip(&columns) {
            let level = f64::from(luma(pixel));
            for &(cell, share) in shares {
                across[cell] += level * share;
            }
        }
        for &(row, share) in row_shares {
            let cells = cells[row * CELLS..][..CELLS].iter_mut();
            cells.zip(across).for_each(|(cell, level)| *cell += level * share);
        }
    }
    cells.into_iter().map(|cell| cell as f32).collect()
}

/// For each of `pixels` in a line, the cells that it lies in and its share of each.
fn shares(pixels: usize) -> Vec<Vec<(usize, f64)>> {
    // In units of a pixel's 16th, of which a cell has as many as the line has pixels.
    let of = |pixel: usize| {
        let (start, end) = (pixel * CELLS, (pixel + 1) * CELLS);
        let share = move |cell: usize| {
            let (from, to) = (start.max(cell * pixels), end.min((cell + 1) * pixels));
            (cell, (to - from) as f64 / pixels as f64)
        };
        (start / pixels..end.div_ceil(pixels)).map(share).collect()
    };
    (0..pixels).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with structure at several scales.
    fn picture(width: u32, height: u32, level: impl Fn(f64) -> f64) -> Image {
        let at = |x: u32, y: u32| {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let value = 0.5 + 0.2 * (9.0 * x + 2.0 * y).sin() + 0.2 * (17.0 * y * x + x).cos();
            level(value).clamp(0.0, 255.0) as u8
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Image::new(width, height, 3, pixels.flat_map(|(x, y)| [at(x, y); 3]).collect()).unwrap()
    }

    fn mirrored(image: &Image) -> Image {
        let rows = image.pixels.chunks_exact(3 * image.width as usize);
        let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten()).copied().collect();
        Image { pixels, ..image.clone() }
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn equal_pixels_alone_have_equal_hashes() {
        let image = picture(20, 30, |x| 255.0 * x);
        let mut other = image.clone();
        assert_eq!(Fingerprint::new(&image).pixels, Fingerprint::new(&other).pixels);
        other.pixels[17] ^= 1;
        assert_ne!(Fingerprint::new(&image).pixels, Fingerprint::new(&other).pixels);
        let turned = Image { width: 30, height: 20, ..image.clone() };
        assert_ne!(Fingerprint::new(&image).pixels, Fingerprint::new(&turned).pixels);
    }

    #[test]
    fn brightness_contrast_and_size_do_not_matter_to_edges() {
        let edges = Fingerprint::new(&picture(32, 32, |x| 255.0 * x)).edges();
        assert_eq!(edges.len(), Fingerprint::EDGES);
        for other in [picture(32, 32, |x| 120.0 * x + 90.0), picture(75, 41, |x| 255.0 * x)] {
            let similarity = cosine(&edges, &Fingerprint::new(&other).edges());
            assert!(similarity > 0.98, "{similarity}");
        }
        // Its negative is another picture.
        let negative = Fingerprint::new(&picture(32, 32, |x| 255.0 * (1.0 - x))).edges();
        assert!(cosine(&edges, &negative) < -0.9);
    }

    #[test]
    fn a_mirrored_picture_has_mirrored_edges() {
        let image = picture(40, 24, |x| 255.0 * x);
        let found = Fingerprint::new(&mirrored(&image)).mirrored_edges();
        let edges = Fingerprint::new(&image).edges();
        assert!(cosine(&edges, &found) > 0.9999);
        assert!(cosine(&edges, &Fingerprint::new(&image).mirrored_edges()) < 0.9);
    }

    #[test]
    fn cells_are_means_for_every_size() {
        for (width, height) in [(1, 1), (7, 16), (16, 3), (33, 100)] {
            let flat = Image::new(width, height, 1, vec![77; (width * height) as usize]).unwrap();
            let found = Fingerprint::new(&flat);
            assert!(found.thumbnail.iter().all(|level| (level - 77.0).abs() < 1e-4), "{width}x{height}");
            assert!(found.edges().iter().all(|edge| edge.abs() < 1e-4));
        }
        // Two pixels a cell.
        let pixels = (0..32 * 32).map(|i| (i % 32 * 5 + i / 32) as u8).collect();
        let found = Fingerprint::new(&Image::new(32, 32, 1, pixels).unwrap());
        let wanted = |row: usize, column: usize| (10 * column + 2 * row) as f32 + 3.0;
        for (i, level) in found.thumbnail.iter().enumerate() {
            assert!((level - wanted(i / CELLS, i % CELLS)).abs() < 1e-3, "{i}: {level}");
        }
    }
}
