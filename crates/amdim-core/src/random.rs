//! Random numbers that depend on a key alone.
//!
//! There is no global generator: every draw belongs to a [`Stream`], and a stream is made from a list of numbers
//! (seed, purpose, update, ...). So a resumed run needs no saved generator state, and the order in which threads
//! run changes nothing.

/// What a stream is for; part of its key, so that two uses of one seed never share numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Purpose {
    /// Initial values of the encoder.
    InitEncoder = 1,
    /// Initial values of the classifiers.
    InitClassifiers = 2,
    /// Source positions of the local-to-local terms.
    SourcePositions = 3,
    /// Dropout masks of the online classifiers.
    Dropout = 4,
    /// Order of the samples when heads are trained on stored features.
    HeadOrder = 5,
}

/// A sequence of numbers fixed by its key (SplitMix64; Steele, Lea, Flood 2014, "Fast splittable pseudorandom
/// number generators").
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of this key.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let state = [seed, purpose as u64, index]
            .iter()
            .fold(0x9E37_79B9_7F4A_7C15, |state, &part| mix(state ^ mix(part)));
        Self { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// Uniform in `[0, 1)`, 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..n` without bias (Lemire 2019). `n` must be positive.
    pub fn below(&mut self, n: u32) -> u32 {
        let n = u64::from(n);
        let threshold = (1u64 << 32) % n;
        loop {
            let product = (self.bits() >> 32) * n;
            if product & 0xFFFF_FFFF >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// A random order of `0..len` (Fisher-Yates).
    pub fn permutation(&mut self, len: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len as u32).collect();
        for last in (1..len).rev() {
            order.swap(last, self.below(last as u32 + 1) as usize);
        }
        order
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_by_their_key_and_differ_between_keys() {
        let draw = |seed, purpose, index| Stream::new(seed, purpose, index).bits();
        assert_eq!(draw(1, Purpose::Dropout, 2), draw(1, Purpose::Dropout, 2));
        assert_ne!(draw(1, Purpose::Dropout, 2), draw(2, Purpose::Dropout, 1));
        assert_ne!(draw(1, Purpose::Dropout, 2), draw(1, Purpose::InitEncoder, 2));
    }

    #[test]
    fn draws_are_uniform() {
        let mut stream = Stream::new(7, Purpose::SourcePositions, 0);
        let mut counts = [0u32; 25];
        let mut mean = 0.0;
        for _ in 0..25_000 {
            counts[stream.below(25) as usize] += 1;
            mean += stream.uniform() / 25_000.0;
        }
        // Five standard deviations of a binomial with n = 25,000, p = 1/25.
        assert!(counts.iter().all(|&count| (845..=1155).contains(&count)), "{counts:?}");
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / 25_000.0).sqrt());
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Stream::new(3, Purpose::HeadOrder, 9).permutation(101);
        assert_ne!(order[..10], (0..10).collect::<Vec<u32>>());
        order.sort_unstable();
        assert_eq!(order, (0..101).collect::<Vec<u32>>());
    }
}
