//! Batches that are taken through the encoder part by part, so that only one part's maps are held at a time.

use std::ops::Range;

use crate::{Error, Result};

/// A batch in parts of at most `most` pictures, as equal as can be: no part is left with a single picture, whose batch
/// statistics would mean nothing, unless the batch itself is too small.
pub(crate) fn parts(batch: usize, most: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let count = batch.div_ceil(most.max(1)).max(1);
    (0..count).map(move |part| part * batch / count..(part + 1) * batch / count)
}

/// The most pictures that a part of a batch holds.
pub(crate) fn largest(batch: usize, most: Option<usize>) -> usize {
    most.map_or(batch, |most| batch.div_ceil(batch.div_ceil(most.max(1)).max(1)))
}

/// Checks the size of parts.
///
/// # Errors
/// [`Error::InvalidArgument`] for more pictures a part than the batch has, or fewer than two.
pub fn check_chunk_size(batch: usize, chunk_size: Option<usize>) -> Result<()> {
    let Some(most) = chunk_size else { return Ok(()) };
    if most > batch || most < 2 || parts(batch, most).any(|part| part.len() < 2) {
        let expected = format!(
            "null, or a number of at most {batch} by which a batch of {batch} falls into parts of 2 or more \
             pictures"
        );
        return Err(Error::argument("chunkSize", expected, most));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_cover_the_batch() {
        for (batch, most) in [(10, 4), (10, 10), (7, 3), (64, 16), (2, 2)] {
            let all: Vec<_> = parts(batch, most).collect();
            assert_eq!(all.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..batch).collect::<Vec<_>>());
            let sizes: Vec<usize> = all.iter().map(Range::len).collect();
            let (least, greatest) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(greatest - least <= 1 && *greatest <= most, "{sizes:?}");
            assert_eq!(largest(batch, Some(most)), *greatest);
            check_chunk_size(batch, Some(most)).unwrap();
        }
        for (batch, most) in [(3, 2), (4, 1), (4, 0), (10, 11)] {
            assert_eq!(check_chunk_size(batch, Some(most)).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        check_chunk_size(3, None).unwrap();
    }
}
