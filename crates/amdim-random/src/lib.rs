//! Random streams that are a function of their key alone.
//!
//! There is no global generator and no generator's state to save: a stream is made from a seed, a purpose and indexes
//! (an epoch, a sample, a view, an update). So no stream depends on which thread drew before it, the same pixels come
//! from 1 thread or 16, and a resumed run draws what the uninterrupted one would have drawn. Generator and hash are
//! SplitMix64 (Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators").
//!
//! ```
//! use amdim_random::{Purpose, Stream};
//!
//! let draw = |update| Stream::new(1, Purpose::Dropout, update).unit();
//! assert_eq!(draw(7), draw(7));
//! assert_ne!(draw(7), draw(8));
//! ```

/// What a stream is for; streams of different purposes never share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of an epoch.
    EpochOrder = 1,
    /// What is drawn once a sample.
    Sample = 2,
    /// What is drawn once a view.
    View = 3,
    /// Initial values of the encoder.
    InitEncoder = 4,
    /// Initial values of the classifiers.
    InitClassifiers = 5,
    /// Source positions of the local-to-local terms.
    SourcePositions = 6,
    /// Dropout masks of the classifiers.
    Dropout = 7,
    /// Order of the samples when heads are trained on stored features.
    HeadOrder = 8,
    /// Which pictures keep their labels; a stream a class.
    LabelFraction = 12,
    /// The sub-policy of a view and what its operations draw.
    Policy = 13,
    /// Resampling of test pictures.
    Bootstrap = 14,
    /// Which pictures are measured, where not all are.
    Measured = 15,
    /// First centres of clusters.
    Clusters = 16,
    /// First keys of a queue of negatives, and the order in which keys are encoded.
    Queue = 17,
    /// Initial values of a method's own networks.
    InitMethod = 18,
    /// Samples of a prior.
    Prior = 19,
    /// Which pictures are another's negatives.
    Negatives = 20,
    /// Which patches of a sample are its views.
    Patches = 21,
    /// Noise of stochastic codes.
    Code = 22,
    /// Dropout masks of codes.
    CodeDropout = 23,
}

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    /// The stream number `index` of a purpose, for one seed.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        Self::keyed([purpose as u64, seed, index, 0, 0])
    }

    /// The stream that shuffles an epoch.
    pub fn for_order(seed: u64, epoch: u64) -> Self {
        Self::new(seed, Purpose::EpochOrder, epoch)
    }

    /// The stream for what is drawn once a sample (the flip). `sample` is the picture's index in the data set.
    pub fn for_sample(seed: u64, epoch: u64, sample: u64) -> Self {
        Self::keyed([Purpose::Sample as u64, seed, epoch, sample, 0])
    }

    /// The stream for what is drawn once a view; `view` is 0 or 1.
    pub fn for_view(seed: u64, epoch: u64, sample: u64, view: u64) -> Self {
        Self::keyed([Purpose::View as u64, seed, epoch, sample, view])
    }

    /// The stream for the policy of a view: one of its own, so that a policy leaves the other draws of the view alone.
    pub fn for_policy(seed: u64, epoch: u64, sample: u64, view: u64) -> Self {
        Self::keyed([Purpose::Policy as u64, seed, epoch, sample, view])
    }

    /// The stream for the places of a sample's patches.
    pub fn for_patches(seed: u64, epoch: u64, sample: u64) -> Self {
        Self::keyed([Purpose::Patches as u64, seed, epoch, sample, 0])
    }

    fn keyed(key: [u64; 5]) -> Self {
        let state =
            key.into_iter().fold(0, |hash: u64, word| mix(hash.wrapping_add(GAMMA) ^ mix(word ^ GAMMA)));
        Self { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number in `0.0..1.0`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number in `low..high` (`low` itself when they are equal).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A normal number with mean 0 and deviation 1 (Box and Muller 1958, one of the pair).
    pub fn normal(&mut self) -> f64 {
        // 1 - unit() is never 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// True with `probability` (0..=1).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// An integer in `0..bound`, each equally likely; 0 when `bound` is 0.
    ///
    /// Lemire 2019, "Fast Random Integer Generation in an Interval": the few products that would favour some
    /// integers are drawn again.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= reject_below {
                return (product >> 64) as u64;
            }
        }
    }

    /// An integer in `low..=high`, each equally likely.
    pub fn integer(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// Shuffles `items`, every order equally likely (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// A random order of `0..len`.
    pub fn permutation(&mut self, len: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len as u32).collect();
        self.shuffle(&mut order);
        order
    }
}

/// The finaliser of `SplitMix64`.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn published_sequence_of_splitmix64() {
        // First outputs for state 0, from the authors' reference program.
        let mut stream = Stream { state: 0 };
        assert_eq!(stream.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(stream.next_u64(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn every_coordinate_changes_the_stream() {
        let mut starts = HashSet::new();
        for (seed, epoch, sample, view) in (0..4).flat_map(|a| {
            (0..4).flat_map(move |b| (0..4).flat_map(move |c| (0..2).map(move |d| (a, b, c, d))))
        }) {
            starts.insert(Stream::for_view(seed, epoch, sample, view).next_u64());
        }
        assert_eq!(starts.len(), 4 * 4 * 4 * 2);
        let same = |stream: &mut Stream| stream.next_u64();
        assert_ne!(same(&mut Stream::for_sample(0, 0, 0)), same(&mut Stream::for_view(0, 0, 0, 0)));
        assert_ne!(same(&mut Stream::for_order(0, 0)), same(&mut Stream::for_sample(0, 0, 0)));
        assert_eq!(same(&mut Stream::for_view(7, 1, 2, 1)), same(&mut Stream::for_view(7, 1, 2, 1)));
    }

    #[test]
    fn first_draws_of_neighbouring_samples_are_uniform() {
        // The first number of 20,000 streams that differ in the sample only: mean 1/2, variance 1/12.
        let draws: Vec<f64> = (0..20_000).map(|sample| Stream::for_view(3, 0, sample, 0).unit()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "{variance}");
        let pairs = draws.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
        let correlation = pairs / (draws.len() - 1) as f64 / variance;
        assert!(correlation.abs() < 0.03, "{correlation}");
    }

    #[test]
    fn normal_numbers_have_the_moments_of_their_distribution() {
        let mut stream = Stream::for_order(5, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();
        let moment =
            |power| draws.iter().map(|draw: &f64| draw.powi(power)).sum::<f64>() / draws.len() as f64;
        // Expected 0, 1, 0, 3 with deviations 0.003, 0.004, 0.012, 0.03.
        let expected = [(1, 0.0, 0.02), (2, 1.0, 0.02), (3, 0.0, 0.06), (4, 3.0, 0.15)];
        for (power, value, within) in expected {
            assert!((moment(power) - value).abs() < within, "moment {power}: {}", moment(power));
        }
    }

    #[test]
    fn integers_are_equally_likely() {
        let mut stream = Stream::for_order(1, 1);
        let mut counts = [0_u32; 9];
        for _ in 0..90_000 {
            counts[(stream.integer(-4, 4) + 4) as usize] += 1;
        }
        // 10,000 expected each, standard deviation 94.
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn shuffles_are_permutations_and_differ() {
        let mut stream = Stream::for_order(1, 1);
        let mut orders = HashSet::new();
        for _ in 0..200 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 24);
    }
}
