//! Bounds on mutual information and other divergences between a joint distribution and the product of its marginals,
//! from scores of pairs. One file a bound, which says what it bounds, its bias, variance and constant, and defines it
//! ([`Definition`]); `bounds!` below lists them.

pub mod dv;
pub mod gan;
pub mod h2;
pub mod info_nce;
pub mod jsd;
pub mod mine;
pub mod nwj;
pub mod rkl;
mod scores;
pub mod w1;
pub mod x2;

use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use info_nce::{InfoNce, info_nce};
pub use scores::Scores;

/// A bound, as its file defines it.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Whether it bounds mutual information from below; its value is in nats then.
    pub bounds_mutual_information: bool,
    /// How scores become a value.
    pub form: Form,
}

/// How scores become a value.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// The mean of one function of the joint distribution's scores less that of another of the product's, both element by
    /// element.
    Means {
        /// What a score of the joint distribution gives.
        positive: fn(&Tensor, Compat) -> Result<Tensor>,
        /// What a score of the product of the marginals takes away.
        negative: fn(&Tensor, Compat) -> Result<Tensor>,
    },
    /// A function of all scores.
    Whole(fn(&Scores, Compat) -> Result<Tensor>),
}

/// Whose peculiarities a value has; other than `None` for comparisons with reference values alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compat {
    /// The formulas of the literature.
    #[default]
    None,
    /// The public code of Deep InfoMax (rdevon/DIM): `jsd` is shifted by 2 log 2, `info-nce` has the pairs of a picture
    /// itself among its negatives with a score of -10, `x2` is no bound.
    RdevonDim,
}

/// Makes [`Bound`] of lines `Variant = "name" of file`.
macro_rules! bounds {
    ($($variant:ident = $name:literal of $file:ident,)*) => {
        /// A bound by its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Bound {
            $(
                #[doc = concat!("[`", stringify!($file), "`](mod@", stringify!($file), ").")]
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl Bound {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As configurations have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What its file says.
            pub fn definition(self) -> Definition {
                match self {
                    $(Self::$variant => $file::DEFINITION,)*
                }
            }
        }
    };
}

bounds! {
    Dv = "dv" of dv,
    Nwj = "nwj" of nwj,
    InfoNce = "info-nce" of info_nce,
    Jsd = "jsd" of jsd,
    Rkl = "rkl" of rkl,
    H2 = "h2" of h2,
    X2 = "x2" of x2,
    Gan = "gan" of gan,
    W1 = "w1" of w1,
}

impl Bound {
    /// Whether it bounds mutual information from below.
    pub fn bounds_mutual_information(self) -> bool {
        self.definition().bounds_mutual_information
    }

    /// The bound's value, `[]`, with gradient, in nats where it bounds mutual information; what is maximised.
    ///
    /// # Errors
    /// Those of tensor operations.
    pub fn value(self, scores: &Scores, compat: Compat) -> Result<Tensor> {
        match self.definition().form {
            Form::Means { positive, negative } => {
                let joint = positive(&scores.positives, compat)?.mean_all()?;
                let product = negative(&scores.negatives, compat)?.mean_all()?;
                Ok((joint - product)?)
            }
            Form::Whole(value) => value(scores, compat),
        }
    }

    /// What scores of the joint distribution give, element by element, where the bound is a difference of two means.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where it is none (`dv`, `info-nce`).
    pub fn positive(self, scores: &Tensor, compat: Compat) -> Result<Tensor> {
        match self.definition().form {
            Form::Means { positive, .. } => positive(scores, compat),
            Form::Whole(_) => Err(self.no_means()),
        }
    }

    /// What scores of the product of the marginals take away, element by element; as [`positive`](Self::positive).
    ///
    /// # Errors
    /// As [`positive`](Self::positive).
    pub fn negative(self, scores: &Tensor, compat: Compat) -> Result<Tensor> {
        match self.definition().form {
            Form::Means { negative, .. } => negative(scores, compat),
            Form::Whole(_) => Err(self.no_means()),
        }
    }

    fn no_means(self) -> Error {
        Error::argument("bound", "a difference of two means", self)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is maximised: a bound, by its own gradient or by that of MINE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Maximised {
    /// By its own.
    Bound(Bound),
    /// Donsker-Varadhan by MINE's.
    Corrected(Corrected),
}

/// The name of [`Maximised::Corrected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corrected {
    /// [`mine`].
    Mine,
}

impl Maximised {
    /// Donsker-Varadhan by the gradient of MINE.
    pub const MINE: Self = Self::Corrected(Corrected::Mine);

    /// Which bound.
    pub fn bound(self) -> Bound {
        match self {
            Self::Bound(bound) => bound,
            Self::Corrected(Corrected::Mine) => Bound::Dv,
        }
    }

    /// The bound's value, `[]`, with the gradient that raises it; `mine` is moved where it is MINE's.
    ///
    /// # Errors
    /// Those of tensor operations.
    pub fn step(self, scores: &Scores, mine: &mut mine::Mine) -> Result<Tensor> {
        match self {
            Self::Bound(bound) => bound.value(scores, Compat::None),
            Self::Corrected(Corrected::Mine) => mine.step(scores),
        }
    }
}

impl From<Bound> for Maximised {
    fn from(bound: Bound) -> Self {
        Self::Bound(bound)
    }
}

#[cfg(test)]
mod tests {
    use amdim_random::{Purpose, Stream};
    use candle_core::{Device, Var};

    use super::*;

    const N: usize = 5;
    const LOCATIONS: usize = 3;

    fn matrix(seed: u64, scale: f64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::HeadOrder, 1);
        (0..N * N * LOCATIONS).map(|_| stream.normal() * scale).collect()
    }

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (N, N, LOCATIONS), &Device::Cpu).unwrap()
    }

    fn value(bound: Bound, values: &[f64], others: usize, compat: Compat) -> f64 {
        let scores = Scores::of_pairs(&tensor(values), others).unwrap();
        bound.value(&scores, compat).unwrap().to_scalar().unwrap()
    }

    /// The formulas, one pair at a time.
    fn slow(bound: Bound, values: &[f64], others: usize, compat: Compat) -> f64 {
        let at = |i: usize, j: usize, l: usize| values[(i * N + j) * LOCATIONS + l];
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let (mut joint, mut product) = (vec![], vec![]);
        let mut contrast = vec![];
        for i in 0..N {
            let own: Vec<f64> = (0..LOCATIONS).map(|l| at(i, i, l)).collect();
            let rest: Vec<f64> =
                (1..=others).flat_map(|k| (0..LOCATIONS).map(move |l| at(i, (i + k) % N, l))).collect();
            let masked = if compat == Compat::RdevonDim { LOCATIONS as f64 * (-10f64).exp() } else { 0.0 };
            let sum: f64 = rest.iter().map(|s| s.exp()).sum::<f64>() + masked;
            contrast.extend(own.iter().map(|s| (s.exp() / (s.exp() + sum)).ln()));
            joint.extend(own);
            product.extend(rest);
        }
        let mean = |values: &[f64], f: &dyn Fn(f64) -> f64| {
            values.iter().map(|&s| f(s)).sum::<f64>() / values.len() as f64
        };
        let shift = if compat == Compat::RdevonDim { std::f64::consts::LN_2 } else { 0.0 };
        match bound {
            Bound::Dv => mean(&joint, &|s| s) - mean(&product, &f64::exp).ln(),
            Bound::Nwj => mean(&joint, &|s| s) - mean(&product, &|s| (s - 1.0).exp()),
            Bound::InfoNce => {
                let most =
                    if compat == Compat::None { (1.0 + (others * LOCATIONS) as f64).ln() } else { 0.0 };
                most + mean(&contrast, &|s| s)
            }
            Bound::Jsd => mean(&joint, &|s| shift - softplus(-s)) - mean(&product, &|s| softplus(s) - shift),
            Bound::Gan => mean(&joint, &|s| -softplus(-s)) - mean(&product, &softplus),
            Bound::Rkl => mean(&joint, &|s| -(-s).exp()) - mean(&product, &|s| s - 1.0),
            Bound::H2 => mean(&joint, &|s| 1.0 - (-s).exp()) - mean(&product, &|s| s.exp() - 1.0),
            Bound::X2 if compat == Compat::None => {
                mean(&joint, &|s| s) - mean(&product, &|s| s * s / 4.0 + s)
            }
            Bound::X2 => mean(&joint, &|s| s * s) + mean(&product, &|s| 0.5 * (s.abs() + 1.0).powi(2)),
            Bound::W1 => mean(&joint, &|s| s) - mean(&product, &|s| s),
        }
    }

    #[test]
    fn values_are_those_of_the_formulas() {
        for &bound in Bound::ALL {
            for (others, compat) in
                [(4, Compat::None), (2, Compat::None), (1, Compat::None), (4, Compat::RdevonDim)]
            {
                let values = matrix(others as u64, 1.5);
                let (found, expected) =
                    (value(bound, &values, others, compat), slow(bound, &values, others, compat));
                assert!(
                    (found - expected).abs() < 1e-10 * expected.abs().max(1.0),
                    "{bound} {others}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for &bound in Bound::ALL {
            for compat in [Compat::None, Compat::RdevonDim] {
                let values = matrix(7, 1.0);
                let leaf = Var::from_tensor(&tensor(&values)).unwrap();
                let scores = Scores::of_pairs(&leaf, 3).unwrap();
                let gradients = bound.value(&scores, compat).unwrap().backward().unwrap();
                let gradient: Vec<f64> =
                    gradients.get(&leaf).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                for (at, &own) in gradient.iter().enumerate() {
                    let moved = |by: f64| {
                        let mut values = values.clone();
                        values[at] += by;
                        value(bound, &values, 3, compat)
                    };
                    let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    assert!(
                        (slope - own).abs() < 1e-7 * (1.0 + own.abs()),
                        "{bound} {at}: {own} instead of {slope}"
                    );
                }
            }
        }
    }

    /// A score as a function of the sample.
    type BestScore = Box<dyn Fn(f64) -> f64>;

    /// Joint and product are normal with means m and 0 and variance 1: `log dP/dQ = m x - m^2 / 2`, so every divergence
    /// and the score that reaches it are known.
    #[test]
    fn the_best_score_reaches_the_divergence() {
        let m = 0.8f64;
        let count = 200_000;
        let mut stream = Stream::new(1, Purpose::HeadOrder, 3);
        let mut samples = |shift: f64| (0..count).map(|_| stream.normal() + shift).collect::<Vec<f64>>();
        let (joint, product) = (samples(m), samples(0.0));
        let ratio = move |x: f64| m * x - m * m / 2.0;
        let squared = (m * m).exp();
        let hellinger = 2.0 - 2.0 * (-m * m / 8.0).exp();
        // JSD(P, Q), a sum over a fine grid: the entropy of the mixture less that of a normal variable.
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let of_mixture = |step: i32| {
            let x = f64::from(step) / 1000.0;
            let p = 0.5 * (density(x - m) + density(x));
            if p > 0.0 { -p * p.ln() / 1000.0 } else { 0.0 }
        };
        let of_normal = 0.5 * (1.0 + std::f64::consts::TAU.ln());
        let shannon = (-12_000..12_000).map(of_mixture).sum::<f64>() - of_normal;
        let game = 2.0 * shannon - 2.0 * std::f64::consts::LN_2;
        let cases: [(Bound, BestScore, f64); 8] = [
            (Bound::Dv, Box::new(move |x| ratio(x) + 3.0), m * m / 2.0),
            (Bound::Nwj, Box::new(move |x| ratio(x) + 1.0), m * m / 2.0),
            (Bound::Rkl, Box::new(ratio), m * m / 2.0),
            (Bound::H2, Box::new(move |x| ratio(x) / 2.0), hellinger),
            (Bound::X2, Box::new(move |x| 2.0 * (ratio(x).exp() - 1.0)), squared - 1.0),
            (Bound::Gan, Box::new(ratio), game),
            (Bound::Jsd, Box::new(ratio), game),
            // Samples moved by m; the identity changes as fast as its argument.
            (Bound::W1, Box::new(|x| x), m),
        ];
        for (bound, best, expected) in cases {
            let of = |samples: &[f64]| -> Tensor {
                let scores: Vec<f64> = samples.iter().map(|&x| best(x)).collect();
                Tensor::new(scores, &Device::Cpu).unwrap()
            };
            let negatives = of(&product).unsqueeze(1).unwrap();
            let scores = Scores::of_samples(&of(&joint), &negatives).unwrap();
            let found: f64 = bound.value(&scores, Compat::None).unwrap().to_scalar().unwrap();
            assert!((found - expected).abs() < 0.03, "{bound}: {found}, {expected} expected");
        }
    }

    #[test]
    fn info_nce_is_never_above_its_limit() {
        for scale in [0.0, 1.0, 30.0, 1e3] {
            let most = (1.0f64 + (4 * LOCATIONS) as f64).ln();
            assert!(value(Bound::InfoNce, &matrix(3, scale), 4, Compat::None) <= most + 1e-12);
        }
        let mut perfect = vec![-1e3; N * N * LOCATIONS];
        (0..N).for_each(|i| (0..LOCATIONS).for_each(|l| perfect[(i * N + i) * LOCATIONS + l] = 1e3));
        let found = value(Bound::InfoNce, &perfect, 4, Compat::None);
        assert!((found - 13f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_shift_of_all_scores_changes_nothing_where_the_constant_is_free() {
        let values = matrix(9, 1.0);
        let shifted: Vec<f64> = values.iter().map(|value| value + 400.0).collect();
        for bound in [Bound::Dv, Bound::InfoNce, Bound::W1] {
            let [one, other] = [&values, &shifted].map(|values| value(bound, values, 4, Compat::None));
            assert!((one - other).abs() < 1e-9, "{bound}");
        }
    }

    #[test]
    fn only_three_bound_mutual_information() {
        let names: Vec<String> = Bound::ALL
            .iter()
            .filter(|bound| bound.bounds_mutual_information())
            .map(Bound::to_string)
            .collect();
        assert_eq!(names, ["dv", "nwj", "info-nce"]);
    }

    #[test]
    fn sizes_without_a_meaning_are_refused() {
        let scores = tensor(&matrix(1, 1.0));
        for others in [0, N] {
            assert_eq!(Scores::of_pairs(&scores, others).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        let one = scores.narrow(0, 0, 1).unwrap().narrow(1, 0, 1).unwrap();
        assert_eq!(Scores::of_pairs(&one, 1).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        let uneven = scores.narrow(0, 0, 2).unwrap();
        assert_eq!(Scores::of_pairs(&uneven, 1).unwrap_err().code(), "AMDIM_SHAPE");
    }

    #[test]
    fn mine_at_rate_one_has_the_gradient_of_donsker_varadhan() {
        let leaf = Var::from_tensor(&tensor(&matrix(4, 1.0))).unwrap();
        let gradient = |loss: Tensor| -> Vec<f64> {
            loss.backward().unwrap().get(&leaf).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        let scores = Scores::of_pairs(&leaf, 4).unwrap();
        let found = mine::Mine::new(1.0).step(&scores).unwrap();
        let exact = dv::value(&scores).unwrap();
        assert!((found.to_scalar::<f64>().unwrap() - exact.to_scalar::<f64>().unwrap()).abs() < 1e-12);
        for (own, expected) in gradient(found).iter().zip(gradient(exact)) {
            assert!((own - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn mine_divides_by_the_moving_average() {
        let mut mine = mine::Mine::new(0.25);
        let leaves = [1, 2].map(|seed| Var::from_tensor(&tensor(&matrix(seed, 1.0))).unwrap());
        let scores = leaves.each_ref().map(|leaf| Scores::of_pairs(leaf, 4).unwrap());
        mine.step(&scores[0]).unwrap();
        let moves = mine.step(&scores[1]).unwrap();
        let exact = dv::value(&scores[1]).unwrap().to_scalar::<f64>().unwrap();
        assert!((moves.to_scalar::<f64>().unwrap() - exact).abs() < 1e-12);
        let means = scores
            .each_ref()
            .map(|s| s.negatives.exp().unwrap().mean_all().unwrap().to_scalar::<f64>().unwrap());
        let average = 0.75 * means[0] + 0.25 * means[1];
        let gradients = moves.backward().unwrap();
        let own: Vec<f64> = gradients.get(&leaves[1]).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let count = (N * 4 * LOCATIONS) as f64;
        let score: f64 = matrix(2, 1.0)[LOCATIONS]; // source 0, sample 1, location 0
        assert!((own[LOCATIONS] + score.exp() / average / count).abs() < 1e-12);
    }
}
