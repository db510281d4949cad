//! The order in which an epoch visits the samples.

use amdim_random::Stream;

/// A shuffled permutation of `0..len`, a function of `seed` and `epoch` alone.
///
/// The reference shuffles with `PyTorch`'s `DataLoader(shuffle=True)` (datasets.py `build_dataset`); the permutation
/// here is another one of the same distribution.
pub fn epoch_order(len: usize, seed: u64, epoch: u64) -> Vec<u32> {
    Stream::for_order(seed, epoch).permutation(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_is_its_own_permutation() {
        let first = epoch_order(100, 5, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
        assert_ne!(first, sorted);
        assert_ne!(first, epoch_order(100, 5, 1));
        assert_ne!(first, epoch_order(100, 6, 0));
        assert_eq!(first, epoch_order(100, 5, 0));
    }
}
