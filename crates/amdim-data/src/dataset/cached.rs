//! Small pictures kept decoded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::Dataset;
use crate::decode::{ChoosePart, Part, Wanted};
use crate::error::Result;
use crate::image::Image;

/// Pictures with a longer side are decoded each time, pixels.
const LARGEST_SIDE: u32 = 64;

/// A data set whose small pictures (64 pixels a side at most) are decoded once and kept, up to a number of bytes.
///
/// Worth its memory where pictures are encoded: decoding a 32-pixel JPEG costs about as much as its two views.
pub struct CachedDataset {
    inner: Arc<dyn Dataset>,
    pictures: Vec<OnceLock<Image>>,
    bytes_left: AtomicU64,
}

impl CachedDataset {
    /// Keeps at most `max_bytes` bytes of the pixels of `inner`'s pictures.
    pub fn new(inner: Arc<dyn Dataset>, max_bytes: u64) -> Self {
        let pictures = std::iter::repeat_with(OnceLock::new).take(inner.len()).collect();
        Self { inner, pictures, bytes_left: AtomicU64::new(max_bytes) }
    }

    /// Keeps a copy when it is small enough and there is room.
    fn keep(&self, index: usize, image: &Image) {
        let bytes = image.pixels.len() as u64;
        let room = |left: u64| left.checked_sub(bytes);
        if !is_small(image.width, image.height)
            || self.bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err()
        {
            return;
        }
        if self.pictures[index].set(image.clone()).is_err() {
            // Another thread decoded it meanwhile.
            self.bytes_left.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

fn is_small(width: u32, height: u32) -> bool {
    width.max(height) <= LARGEST_SIDE
}

impl Dataset for CachedDataset {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.inner.label(index)
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.part(index, &mut Wanted::all).map(|part| part.image)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        if let Some(image) = self.pictures.get(index).and_then(OnceLock::get) {
            return Ok(Part::whole(image.clone()));
        }
        // What may be kept is decoded whole.
        let part = self.inner.part(index, &mut |width, height| {
            if is_small(width, height) { Wanted::all(width, height) } else { choose(width, height) }
        })?;
        if is_small(part.whole[0], part.whole[1]) {
            self.keep(index, &part.image);
        }
        Ok(part)
    }

    fn ignored_files(&self) -> usize {
        self.inner.ignored_files()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Three pictures of 2, 2 and 65 pixels a side; counts how often it is asked.
    struct Counting(AtomicUsize);

    impl Dataset for Counting {
        fn len(&self) -> usize {
            3
        }

        fn label(&self, _: usize) -> Option<u32> {
            None
        }

        fn classes(&self) -> &[String] {
            &[]
        }

        fn name(&self, index: usize) -> String {
            index.to_string()
        }

        fn image(&self, index: usize) -> Result<Image> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let side = [2, 2, 65][index];
            Image::new(side, side, 1, vec![index as u8; (side * side) as usize])
        }
    }

    fn reads(max_bytes: u64, index: usize) -> usize {
        let inner = Arc::new(Counting(AtomicUsize::new(0)));
        let cached = CachedDataset::new(inner.clone(), max_bytes);
        let first = cached.image(index).unwrap();
        assert_eq!(cached.image(index).unwrap(), first);
        inner.0.load(Ordering::Relaxed)
    }

    #[test]
    fn small_pictures_are_read_once_within_the_bound() {
        assert_eq!(reads(4, 1), 1);
        assert_eq!(reads(3, 1), 2);
        assert_eq!(reads(1 << 20, 2), 2);
    }

    #[test]
    fn the_bound_is_shared() {
        let inner = Arc::new(Counting(AtomicUsize::new(0)));
        let cached = CachedDataset::new(inner.clone(), 7);
        for index in [0, 1, 0, 1] {
            cached.image(index).unwrap();
        }
        assert_eq!(inner.0.load(Ordering::Relaxed), 3);
    }
}
