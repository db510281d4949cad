//! Copies of a few values.

/// Copies a few values, which a call of the library's function would take longer for. `to` is as long as `from`.
#[inline(always)]
pub fn copy_short<T: Copy>(from: &[T], to: &mut [T]) {
    /// The first and the last `N` of at most twice as many.
    #[inline(always)]
    fn copy_ends<T: Copy, const N: usize>(from: &[T], to: &mut [T]) {
        if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
            *to = *from;
        }
        if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
            *to = *from;
        }
    }
    match from.len() {
        2..=3 => copy_ends::<T, 2>(from, to),
        4..=8 => copy_ends::<T, 4>(from, to),
        9..=16 => copy_ends::<T, 8>(from, to),
        17..=32 => copy_ends::<T, 16>(from, to),
        _ => to.copy_from_slice(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied() {
        let from: Vec<u16> = (1..100).collect();
        for length in 0..from.len() {
            let mut to = vec![0; length];
            copy_short(&from[..length], &mut to);
            assert_eq!(to, from[..length]);
        }
    }
}
