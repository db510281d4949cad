//! Mixture features: several sources a picture that share its positives by a posterior.

use std::ops::Range;

use amdim_kernels::Real;

use crate::CpuError;

/// The most components of a mixture.
pub const MOST_COMPONENTS: usize = 256;

/// How the components of a picture share its positives.
///
/// With the log-softmax `s_j` of component j against its own negatives, at one location of the picture's other view:
///
/// ```text
/// q_j = exp(temperature * s_j) / sum over m of exp(temperature * s_m)
/// loss = - sum over j of q_j * s_j - entropyWeight * H(q)
/// ```
///
/// Source: Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910, equations 8 and 9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NceMixture {
    /// Index of the map whose locations are the components, at most [`MOST_COMPONENTS`].
    pub map: usize,
    /// Weight of the posterior's entropy (alpha); 0 or more.
    pub entropy_weight: f64,
    /// Temperature of the posterior (tau); positive.
    pub temperature: f64,
    /// Whether the posterior is taken as a constant by the gradient.
    pub stop_posterior: bool,
}

/// A source's negatives, in `f64`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Normalised {
    /// The largest.
    pub(super) largest: f64,
    /// What is subtracted from scores before `exp`.
    pub(super) shift: f64,
    /// Sum of `exp(score - shift)`.
    pub(super) sum: f64,
}

/// Sums over pictures and locations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MixtureSums {
    pub(super) loss: f64,
    /// Posterior of the components whose positive is above their negatives.
    pub(super) above: f64,
    pub(super) entropy: f64,
}

impl MixtureSums {
    pub(super) fn plus(self, other: &Self) -> Self {
        Self {
            loss: self.loss + other.loss,
            above: self.above + other.above,
            entropy: self.entropy + other.entropy,
        }
    }
}

/// A group's part of one mixture term.
#[derive(Debug, Default)]
pub(super) struct MixtureTask<'a, R> {
    pub(super) first_picture: usize,
    /// `[picture, slot, location]`: scores of the positives, then the derivatives of the losses by them.
    pub(super) positives: &'a mut [R],
    /// `[picture, component]`: derivatives of the losses by the negatives' scores, over `exp(score - shift)`.
    pub(super) weights: &'a mut [f64],
    pub(super) sums: MixtureSums,
}

impl NceMixture {
    pub(super) fn check(&self, locations: &[usize]) -> Result<(), CpuError> {
        let wrong = |problem| Err(CpuError::Objective { problem });
        match locations.get(self.map) {
            None => return wrong("the mixture names a map that is not there"),
            Some(components) if !(1..=MOST_COMPONENTS).contains(components) => {
                return wrong("a mixture has 1 to 256 components");
            }
            Some(_) => {}
        }
        if !(self.entropy_weight.is_finite() && self.entropy_weight >= 0.0) {
            return wrong("the entropy weight must be 0 or a positive number");
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return wrong("the temperature must be a positive number");
        }
        Ok(())
    }

    /// Losses of a group's pictures, and their derivatives times `factor`. `sources` has the negatives of every
    /// source, `[slot, picture]`.
    pub(super) fn combine<R: Real>(
        &self,
        sources: &[Normalised],
        [batch, locations, all_slots]: [usize; 3],
        slots: &Range<usize>,
        factor: f64,
        task: &mut MixtureTask<R>,
    ) {
        let mut components = [Component::default(); MOST_COMPONENTS];
        let components = &mut components[..slots.len()];
        let pictures = task.positives.chunks_exact_mut(all_slots * locations);
        for (index, (positives, weights)) in
            pictures.zip(task.weights.chunks_exact_mut(slots.len())).enumerate()
        {
            let picture = task.first_picture + index;
            let positives = &mut positives[slots.start * locations..slots.end * locations];
            weights.fill(0.0);
            for location in 0..locations {
                for (j, component) in components.iter_mut().enumerate() {
                    let negatives = &sources[(slots.start + j) * batch + picture];
                    *component = Component::new(positives[j * locations + location].to_f64(), negatives);
                }
                let sums = self.share(components);
                task.sums = task.sums.plus(&sums);
                for (j, component) in components.iter().enumerate() {
                    let derivative = component.weight * (component.share - 1.0);
                    positives[j * locations + location] = R::from_f64(factor * derivative);
                    weights[j] += factor * component.weight / component.denominator;
                }
            }
        }
    }

    /// The posterior of one location and what follows from it.
    fn share(&self, components: &mut [Component]) -> MixtureSums {
        let Self { entropy_weight, temperature, .. } = *self;
        let largest = components.iter().fold(f64::NEG_INFINITY, |largest, c| largest.max(c.log_softmax));
        let mut normaliser = 0.0;
        for component in &mut *components {
            component.weight = (temperature * (component.log_softmax - largest)).exp();
            normaliser += component.weight;
        }
        let (mut mean, mut above) = (0.0, 0.0);
        for component in &mut *components {
            component.weight /= normaliser;
            mean += component.weight * component.log_softmax;
            above += if component.is_above { component.weight } else { 0.0 };
        }
        let entropy = normaliser.ln() + temperature * (largest - mean);
        if !self.stop_posterior {
            // The posterior's own gradient; 0 at temperature = 1 / entropyWeight, where it is the best one there is.
            let slope = temperature * (1.0 - entropy_weight * temperature);
            for component in components {
                component.weight *= 1.0 + slope * (component.log_softmax - mean);
            }
        }
        MixtureSums { loss: -(mean + entropy_weight * entropy), above, entropy }
    }
}

/// One component at one location.
#[derive(Debug, Clone, Copy, Default)]
struct Component {
    /// `exp(score - shift)` and the sum over the negatives.
    denominator: f64,
    /// The positive's share of it.
    share: f64,
    log_softmax: f64,
    is_above: bool,
    /// The posterior, then the derivative of the objective by the log-softmax.
    weight: f64,
}

impl Component {
    fn new(score: f64, negatives: &Normalised) -> Self {
        let shifted = score - negatives.shift;
        let exponential = shifted.exp();
        let denominator = exponential + negatives.sum;
        Self {
            denominator,
            share: exponential / denominator,
            log_softmax: shifted - denominator.ln(),
            is_above: score > negatives.largest,
            weight: 0.0,
        }
    }
}
