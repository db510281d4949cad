//! A generative adversarial network on given samples, whose generator may be kept from collapsing by MINE.

use std::sync::atomic::{AtomicBool, Ordering};

use amdim_core::critic::{Concatenated, Critic};
use amdim_core::estimator::mine::Mine;
use amdim_core::nn::Mlp;
use amdim_core::nn::activation::softplus;
use amdim_core::optim::{Adam, AdamConfig};
use amdim_core::{check_finite, parameters, tensors};
use amdim_eval::Features;
use amdim_network::Parameter;
use amdim_random::{Purpose, Stream};
use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::config::at_least_one;
use crate::estimate::Samples;
use crate::place::on_threads;
use crate::{Result, RunError};

/// Updates between reports.
const REPORT_EVERY: u64 = 100;
/// Negatives of a sample in the estimate of mutual information.
const OTHERS: usize = 4;
/// Samples that are made at once at the end.
const MADE_AT_ONCE: usize = 4096;
/// Share of a new batch in the moving average of MINE.
const AVERAGE_RATE: f64 = 0.01;

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GanRequest {
    /// Dimensions of the generator's noise, at least 1.
    pub noise: usize,
    /// Dimensions of the generator's code, at least 1: normal numbers too, which MINE looks for in what is made.
    pub code: usize,
    /// Units of the two hidden layers of generator and discriminator, and of the critic's; at least 1.
    pub units: usize,
    /// Weight of the mutual information between code and sample, 0 or more; 0: an ordinary network.
    pub information_weight: f64,
    /// Updates of all networks, at least 1.
    pub updates: u64,
    /// Samples an update, at least 2.
    pub batch_size: usize,
    /// Adam's learning rate, above 0.
    pub learning_rate: f64,
    /// Samples that are made at the end, at least 1.
    pub made: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Threads of the computation, at least 1.
    pub threads: usize,
}

impl GanRequest {
    fn validate(&self, samples: usize) -> Result<()> {
        for (name, value) in [
            ("noise", self.noise),
            ("code", self.code),
            ("units", self.units),
            ("updates", self.updates as usize),
            ("made", self.made),
            ("threads", self.threads),
        ] {
            at_least_one(name, value)?;
        }
        if !(self.information_weight.is_finite() && self.information_weight >= 0.0) {
            let expected = "0 or a positive number";
            return Err(RunError::argument("informationWeight", expected, self.information_weight));
        }
        if !(OTHERS + 1..=samples).contains(&self.batch_size) {
            let expected = format!("{} to {samples} (the samples)", OTHERS + 1);
            return Err(RunError::argument("batchSize", expected, self.batch_size));
        }
        Ok(self.optimizer().validate()?)
    }

    fn optimizer(&self) -> AdamConfig {
        AdamConfig {
            learning_rate: self.learning_rate,
            beta1: 0.5,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            gradient_clip: None,
        }
    }
}

/// What training came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GanResult {
    /// `[made, dimensions]`, what the generator makes.
    pub samples: Vec<f32>,
    /// The last report.
    pub last: GanPoint,
}

/// Means over the updates since the last report, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GanPoint {
    /// Updates made.
    pub update: u64,
    /// Cross-entropy of the discriminator: log 4 where it can't tell.
    pub discriminator: f64,
    /// Cross-entropy that the generator wants small.
    pub generator: f64,
    /// Mutual information of code and sample by MINE; 0 where it has no weight.
    pub information: f64,
}

/// Trains a generator of samples like the given ones.
///
/// ```text
/// discriminator: softplus(-D(x)) + softplus(D(G(noise, code)))
/// generator:     softplus(-D(G(noise, code))) - weight * I(code; G(noise, code))
/// ```
///
/// A generator that makes the same sample of many codes has lost what tells them apart; the second term forbids it. Its
/// gradient is cut to the norm of the first one's, so that it can't take over (the paper's adaptive clipping).
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range
/// - `AMDIM_SHAPE`: samples without dimensions
/// - `AMDIM_NON_FINITE`: samples with NaN or infinity; networks that diverged
/// - `AMDIM_CANCELLED` once `cancel` is set
///
/// # Source
/// Goodfellow et al. 2014, arXiv 1406.2661; Belghazi et al. 2018, arXiv 1801.04062, section 5.1.
pub fn train_gan(
    request: &GanRequest,
    samples: Samples<'_>,
    progress: &mut (dyn FnMut(&GanPoint) + Send),
    cancel: &AtomicBool,
) -> Result<GanResult> {
    let d = samples.dimensions;
    if d == 0 || !samples.values.len().is_multiple_of(d) {
        return Err(amdim_core::Error::shape("samples", &[0, d], &[samples.values.len()]).into());
    }
    request.validate(samples.values.len() / d)?;
    // Only for its check that all values are finite.
    Features::new("samples", samples.values, d)?;
    on_threads(request.threads, || Gan::new(request, samples)?.run(progress, cancel))
}

/// A network with its optimiser.
struct Learnt {
    parameters: Vec<Parameter>,
    values: Tensor,
    adam: Adam,
}

impl Learnt {
    fn new(parameters: &[Parameter], stream: &mut Stream) -> Result<Self> {
        let drawn = parameters::draw(parameters, stream);
        let values = tensors::from_vec(drawn, DType::F32, &Device::Cpu)?;
        let adam = Adam::new(&values)?;
        Ok(Self { parameters: parameters.to_vec(), values, adam })
    }

    /// Its parameters as leaves of a new tape.
    fn leaves(&self) -> Result<(Vec<Var>, Vec<Tensor>)> {
        let leaves = parameters::leaves(&self.values, &self.parameters)?;
        let taped = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        Ok((leaves, taped))
    }

    /// The same as constants.
    fn constants(&self) -> Result<Vec<Tensor>> {
        Ok(parameters::views(&self.values, &self.parameters)?)
    }

    fn gradient(&self, leaves: &[Var], loss: &Tensor) -> Result<Tensor> {
        let gradients = loss.backward().map_err(amdim_core::Error::from)?;
        Ok(parameters::flat_gradient(leaves, &self.parameters, &gradients)?)
    }

    fn apply(&mut self, gradient: &Tensor, config: &AdamConfig) -> Result<()> {
        Ok(self.adam.update(&mut self.values, gradient, None, config.learning_rate, config)?)
    }
}

struct Gan<'a> {
    request: &'a GanRequest,
    samples: Tensor,
    generator: (Mlp, Learnt),
    discriminator: (Mlp, Learnt),
    critic: (Concatenated, Learnt),
    mine: Mine,
    stream: Stream,
}

impl<'a> Gan<'a> {
    fn new(request: &'a GanRequest, samples: Samples<'_>) -> Result<Self> {
        let (d, units) = (samples.dimensions, request.units);
        let mut stream = Stream::new(request.seed, Purpose::InitMethod, 0);
        let generator = Mlp::new(&[request.noise + request.code, units, units, d], "generator");
        let discriminator = Mlp::new(&[d, units, units, 1], "discriminator");
        let critic = Concatenated::new(d, request.code, units)?;
        let rows = samples.values.len() / d;
        let [of_generator, of_discriminator, of_critic] =
            [generator.parameters(), discriminator.parameters(), critic.parameters()]
                .map(|parameters| Learnt::new(parameters, &mut stream));
        Ok(Self {
            request,
            samples: tensors::from_slice(samples.values, &[rows, d], DType::F32, &Device::Cpu)?,
            generator: (generator, of_generator?),
            discriminator: (discriminator, of_discriminator?),
            critic: (critic, of_critic?),
            mine: Mine::new(AVERAGE_RATE),
            stream: Stream::new(request.seed, Purpose::Prior, 0),
        })
    }

    fn run(mut self, progress: &mut (dyn FnMut(&GanPoint) + Send), cancel: &AtomicBool) -> Result<GanResult> {
        let (mut sums, mut count, mut last) = ([0.0; 3], 0, GanPoint::default());
        for update in 1..=self.request.updates {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            let values = self.update()?;
            for value in values {
                check_finite("a loss (a smaller learning rate may help)", value, update)?;
            }
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            count += 1;
            if update % REPORT_EVERY == 0 || update == self.request.updates {
                let [discriminator, generator, information] = sums.map(|sum| sum / f64::from(count));
                last = GanPoint { update, discriminator, generator, information };
                progress(&last);
                (sums, count) = ([0.0; 3], 0);
            }
        }
        Ok(GanResult { samples: self.make(cancel)?, last })
    }

    /// What the generator makes at the end, a part after another: their noise may be much larger than they are.
    fn make(&mut self, cancel: &AtomicBool) -> Result<Vec<f32>> {
        let constants = self.generator.1.constants()?;
        let mut samples = vec![];
        for start in (0..self.request.made).step_by(MADE_AT_ONCE) {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            let inputs = self.inputs(MADE_AT_ONCE.min(self.request.made - start))?;
            samples.extend(tensors::to_vec(&self.generator.0.forward(&constants, &inputs)?)?);
        }
        Ok(samples)
    }

    /// One update of each network; the losses of discriminator and generator and the mutual information.
    fn update(&mut self) -> Result<[f64; 3]> {
        let (batch, config) = (self.request.batch_size, self.request.optimizer());
        let error = amdim_core::Error::from;
        let inputs = self.inputs(batch)?;
        let codes = inputs.narrow(1, self.request.noise, self.request.code).map_err(error)?;

        let (leaves, taped) = self.generator.1.leaves()?;
        let made = self.generator.0.forward(&taped, &inputs)?;
        let judged = self.discriminator.0.forward(&self.discriminator.1.constants()?, &made)?;
        let fooled = generator_loss(&judged)?;
        let mut gradient = self.generator.1.gradient(&leaves, &fooled)?;
        let mut information = 0.0;
        if self.request.information_weight > 0.0 {
            let (critics, weights) = self.critic.1.leaves()?;
            let targets = codes.unsqueeze(1).and_then(|codes| codes.contiguous()).map_err(error)?;
            let scores = self.critic.0.scores(&weights, &made, &targets, OTHERS)?;
            let bound = self.mine.step(&scores)?;
            information = tensors::to_scalar(&bound)?;
            let loss = bound.neg().map_err(error)?;
            let gradients = loss.backward().map_err(error)?;
            let of_critic = parameters::flat_gradient(&critics, &self.critic.1.parameters, &gradients)?;
            let own = parameters::flat_gradient(&leaves, &self.generator.1.parameters, &gradients)?;
            let own = (own * self.request.information_weight).map_err(error)?;
            gradient = (&gradient + clipped_to(&own, &gradient)?).map_err(error)?;
            self.critic.1.apply(&of_critic, &config)?;
        }

        let among = self.samples.dims()[0] as u64;
        let rows: Vec<u32> = (0..batch).map(|_| self.stream.below(among) as u32).collect();
        let rows = Tensor::new(rows, &Device::Cpu).map_err(error)?;
        let real = self.samples.index_select(&rows, 0).map_err(error)?;
        let (own, taped) = self.discriminator.1.leaves()?;
        let judge = |rows: &Tensor| self.discriminator.0.forward(&taped, rows);
        let told = discriminator_loss(&judge(&real)?, &judge(&made.detach())?)?;
        let of_discriminator = self.discriminator.1.gradient(&own, &told)?;
        self.discriminator.1.apply(&of_discriminator, &config)?;
        self.generator.1.apply(&gradient, &config)?;
        Ok([tensors::to_scalar(&told)?, tensors::to_scalar(&fooled)?, information])
    }

    /// Standard normal noise and codes, `[count, noise + code]`.
    fn inputs(&mut self, count: usize) -> Result<Tensor> {
        let width = self.request.noise + self.request.code;
        let drawn: Vec<f32> = (0..count * width).map(|_| self.stream.normal() as f32).collect();
        Ok(tensors::from_slice(&drawn, &[count, width], DType::F32, &Device::Cpu)?)
    }
}

/// `mean of softplus(-D)` over scores of made samples, `[]`: small where they are taken for real.
fn generator_loss(made: &Tensor) -> amdim_core::Result<Tensor> {
    Ok(softplus(&made.neg()?)?.mean_all()?)
}

/// `mean of softplus(-D) over real samples + mean of softplus(D) over made ones`, `[]`, of their scores.
fn discriminator_loss(real: &Tensor, made: &Tensor) -> amdim_core::Result<Tensor> {
    Ok((softplus(&real.neg()?)?.mean_all()? + softplus(made)?.mean_all()?)?)
}

/// A gradient that is at most as long as another.
fn clipped_to(gradient: &Tensor, other: &Tensor) -> Result<Tensor> {
    let error = amdim_core::Error::from;
    let norm = |of: &Tensor| -> Result<f64> {
        Ok(tensors::to_scalar(&of.sqr().and_then(|squares| squares.sum_all()).map_err(error)?)?.sqrt())
    };
    let (own, most) = (norm(gradient)?, norm(other)?);
    Ok(if own > most { (gradient * (most / own)).map_err(error)? } else { gradient.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> GanRequest {
        GanRequest {
            noise: 2,
            code: 1,
            units: 16,
            information_weight: 1.0,
            updates: 1500,
            batch_size: 64,
            learning_rate: 2e-3,
            made: 500,
            seed: 3,
            threads: 2,
        }
    }

    /// Two lumps on a line, at -2 and 2.
    fn lumps() -> Vec<f32> {
        let mut stream = Stream::new(1, Purpose::Prior, 9);
        (0..1000).map(|i| if i % 2 == 0 { -2.0 } else { 2.0 } + 0.1 * stream.normal() as f32).collect()
    }

    fn train(request: &GanRequest) -> Result<GanResult> {
        let values = lumps();
        let samples = Samples { values: &values, dimensions: 1 };
        train_gan(request, samples, &mut |_| {}, &AtomicBool::new(false))
    }

    #[test]
    fn both_lumps_are_made_and_the_code_is_in_them() {
        let result = train(&request()).unwrap();
        assert_eq!(result.samples.len(), 500);
        for lump in [-2.0f32, 2.0] {
            let near = result.samples.iter().filter(|&&sample| (sample - lump).abs() < 0.6).count();
            assert!(near > 50, "{near} samples near {lump}");
        }
        assert!(result.last.information > 0.3, "{:?}", result.last);
        assert_eq!(result, train(&GanRequest { threads: 1, ..request() }).unwrap());
    }

    /// Both losses by the parameters of both networks, in f64.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut stream = Stream::new(5, Purpose::Prior, 8);
        let networks = [Mlp::new(&[3, 4, 4, 2], "generator"), Mlp::new(&[2, 4, 4, 1], "discriminator")];
        let sizes = networks.each_ref().map(|network| network.parameters().iter().map(Parameter::len).sum());
        let mut drawn = |count: usize| (0..count).map(|_| 0.5 * stream.normal()).collect::<Vec<f64>>();
        let flat = sizes.map(&mut drawn);
        let [inputs, real] = [3, 2].map(|width| Tensor::from_vec(drawn(5 * width), (5, width), &Device::Cpu));
        let (inputs, real) = (inputs.unwrap(), real.unwrap());
        let losses = |flat: &[Tensor; 2]| {
            let [generator, discriminator] =
                [0, 1].map(|at| parameters::views(&flat[at], networks[at].parameters()).unwrap());
            let judge = |rows: &Tensor| networks[1].forward(&discriminator, rows).unwrap();
            let made = judge(&networks[0].forward(&generator, &inputs).unwrap());
            [generator_loss(&made).unwrap(), discriminator_loss(&judge(&real), &made).unwrap()]
        };
        let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
        let leaves = flat.each_ref().map(|values| Var::from_tensor(&tensor(values)).unwrap());
        let taped = leaves.each_ref().map(|leaf| leaf.as_tensor().clone());
        for (which, loss) in losses(&taped).iter().enumerate() {
            let gradients = loss.backward().unwrap();
            for (of, leaf) in leaves.iter().enumerate() {
                let own = gradients.get(leaf).unwrap().to_vec1::<f64>().unwrap();
                for at in 0..own.len() {
                    let moved = |by: f64| {
                        let mut values = flat.clone();
                        values[of][at] += by;
                        let loss = &losses(&values.each_ref().map(|values| tensor(values)))[which];
                        loss.to_scalar::<f64>().unwrap()
                    };
                    let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    assert!((slope - own[at]).abs() < 1e-7, "{which} {of} {at}: {} not {slope}", own[at]);
                }
            }
        }
    }

    #[test]
    fn without_weight_there_is_no_information() {
        let result = train(&GanRequest { information_weight: 0.0, updates: 3, ..request() }).unwrap();
        assert_eq!((result.last.information, result.last.update), (0.0, 3));
    }

    #[test]
    fn a_gradient_is_cut_to_the_length_of_another() {
        let tensor = |values: [f32; 2]| Tensor::new(&values, &Device::Cpu).unwrap();
        let cut = |a, b| clipped_to(&tensor(a), &tensor(b)).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(cut([3.0, 4.0], [0.0, 10.0]), [3.0, 4.0]);
        assert_eq!(cut([3.0, 4.0], [0.0, 1.0]), [0.6, 0.8]);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for bad in [
            GanRequest { noise: 0, ..request() },
            GanRequest { information_weight: -1.0, ..request() },
            GanRequest { batch_size: 2, ..request() },
            GanRequest { batch_size: 2000, ..request() },
            GanRequest { learning_rate: 0.0, ..request() },
        ] {
            assert_eq!(train(&bad).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        let values = [1.0, f32::NAN, 0.0, 1.0, 2.0, 3.0];
        let samples = Samples { values: &values, dimensions: 1 };
        let small = GanRequest { batch_size: 6, ..request() };
        let error = train_gan(&small, samples, &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
        assert_eq!(error.code(), "AMDIM_NON_FINITE");
        let error = train_gan(
            &small,
            Samples { values: &[1.0; 6], dimensions: 1 },
            &mut |_| {},
            &AtomicBool::new(true),
        );
        assert_eq!(error.unwrap_err().code(), "AMDIM_CANCELLED");
    }
}
