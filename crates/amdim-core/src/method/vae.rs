//! Autoencoders: a code from which the picture is made again.

use amdim_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use super::bottleneck::{Code, check_beta, check_model};
use super::own::{self, Own};
use super::{Batch, Carried, Method, Outcome, Settings, Start, View};
use crate::model::Model;
use crate::nn::Mlp;
use crate::train_step::{Part, PartReport};
use crate::{Error, Result, tensors};

/// Parameters of the decoder.
const DECODER: &str = "decoder";

/// Settings of [`MethodConfig::Vae`](super::MethodConfig::Vae).
///
/// # Source
/// Kingma, Welling 2014, arXiv 1312.6114; beta: Higgins et al. 2017, "beta-VAE". Rows of Hjelm et al. 2019's Table 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaeConfig {
    /// Weight of what the code holds of the picture, 0 or more; 1 is the variational bound. None: a code without noise and
    /// without a price, the plain autoencoder.
    #[serde(deserialize_with = "Option::deserialize")]
    pub beta: Option<f64>,
    /// Units of each of the decoder's two hidden layers, at least 1.
    pub units: usize,
}

impl Default for VaeConfig {
    /// What files of the time before this method mean, and the defaults of the schema.
    fn default() -> Self {
        Self { beta: Some(1.0), units: 512 }
    }
}

impl Settings for VaeConfig {
    type Method = Vae;

    fn validate(&self, _batch: usize) -> Result<()> {
        check_beta("vae.beta", self.beta)?;
        if !(1..=1 << 16).contains(&self.units) {
            return Err(Error::argument("vae.units", format!("1 to {}", 1 << 16), self.units));
        }
        Ok(())
    }

    fn is_stochastic(&self) -> bool {
        self.beta.is_some()
    }

    fn build(&self, model: &Model) -> Result<Vae> {
        check_model("vae", model, self.is_stochastic())?;
        let (dimensions, pixels) = (model.config().encoder.embedding_dim(), model.encoder().input.len());
        let decoder = Mlp::new(&[dimensions, self.units, self.units, pixels], DECODER);
        Ok(Vae { config: self.clone(), decoder })
    }
}

/// The method. It looks at the first view alone.
///
/// ```text
/// loss = sum over pixels (x - decoder(z))^2 / 2 + beta KL(N(mean, spread^2) || N(0, 1))
/// ```
///
/// x are the normalised pixels and the first part is, up to a constant, the negative log-likelihood of pixels with normal
/// noise of variance 1. z is drawn as in the information bottleneck, or is the encoder's vector where there is no beta.
/// The decoder has two hidden layers and ReLU, in place of the transposed convolutions of the studies.
pub(super) struct Vae {
    config: VaeConfig,
    decoder: Mlp,
}

impl Method for Vae {
    fn start(&self, model: &Model, seed: u64) -> Result<Start> {
        let mut stream = Stream::new(seed, Purpose::InitMethod, 0);
        let decoder = own::drawn(model, self.decoder.parameters(), &mut stream)?;
        Ok(Start { learnt: vec![(DECODER, decoder)], kept: vec![] })
    }

    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, state: &Carried) -> Result<Outcome> {
        let view = View::open(model, batch.views[0], batch.chunk_size)?;
        let own = Own::open(DECODER, self.decoder.parameters(), state)?;
        let code = Code::draw(&view.taped, batch, self.config.beta)?;
        let made = self.decoder.forward(&own.taped(), &code.values)?;
        let pixels = batch.views[0].flatten_from(1)?;
        let error = ((made - pixels)?.sqr()?.sum(1)?.mean_all()? * 0.5)?;
        let loss = tensors::to_scalar(&error)?;
        let part = PartReport { part: Part::Method("reconstruction"), loss, top1: None };
        let (total, report) = code.priced(&error, part)?;
        let gradients = total.backward()?;
        let learnt_gradients = vec![own.gradient(&gradients)?];
        let features = vec![view.features(model)?];
        let gradient = view.backward(model, &gradients)?;
        Ok(Outcome { features, report, gradient, learnt_gradients, kept: vec![] })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::encoder::InfomaxEncoder;
    use crate::executor::ExecutorKind;
    use crate::model::{ModelConfig, Placement};

    const BATCH: usize = 4;

    fn model(bottleneck: bool, executor: ExecutorKind) -> Model {
        let encoder =
            InfomaxEncoder { encoder_size: 28, input_channels: 1, base_width: 2, embedding_dim: 3 }.into();
        let config = ModelConfig { bottleneck, ..ModelConfig::encoder_alone(encoder) };
        Model::new(config, 3, Placement::exact(executor, 1)).unwrap()
    }

    fn images() -> Tensor {
        let mut stream = Stream::new(1, Purpose::Prior, 99);
        let values: Vec<f64> = (0..BATCH * 28 * 28).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (BATCH, 1, 28, 28), &Device::Cpu).unwrap()
    }

    fn compute(config: &VaeConfig, model: &mut Model, state: &Carried) -> Outcome {
        let images = images();
        let views = [&images, &images];
        let batch = Batch { views, labels: &[], seed: 1, update: 2, chunk_size: None };
        config.build(model).unwrap().compute(model, &batch, state).unwrap()
    }

    fn start(config: &VaeConfig, model: &Model) -> Carried {
        config.build(model).unwrap().start(model, 4).unwrap().learnt.into_iter().collect()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (beta, executor) in
            [(Some(0.7), ExecutorKind::Cpu), (Some(0.7), ExecutorKind::Candle), (None, ExecutorKind::Cpu)]
        {
            let config = VaeConfig { beta, units: 5 };
            let mut model = model(config.is_stochastic(), executor);
            let state = start(&config, &model);
            let outcome = compute(&config, &mut model, &state);
            let values: Vec<f64> = model.parameters.to_vec1().unwrap();
            let decoder: Vec<f64> = state[DECODER].to_vec1().unwrap();
            let (name, of_decoder) = &outcome.learnt_gradients[0];
            assert_eq!(*name, DECODER);
            for is_decoder in [false, true] {
                let gradient = if is_decoder { of_decoder } else { &outcome.gradient };
                let own: Vec<f64> = gradient.to_vec1().unwrap();
                let largest = own.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                for at in (0..own.len()).step_by(own.len() / 9).chain([own.len() - 1]) {
                    let mut loss = |by: f64| {
                        let (mut values, mut decoder) = (values.clone(), decoder.clone());
                        *(if is_decoder { &mut decoder[at] } else { &mut values[at] }) += by;
                        model.parameters = Tensor::new(values, &Device::Cpu).unwrap();
                        let state = Carried::from([(DECODER, Tensor::new(decoder, &Device::Cpu).unwrap())]);
                        compute(&config, &mut model, &state).report.total
                    };
                    let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                    assert!((slope - own[at]).abs() < 2e-5 * largest, "{beta:?} {at}: {} {slope}", own[at]);
                }
            }
        }
    }

    /// With a decoder of zeros nothing is made, and the error is half the squares of the pixels.
    #[test]
    fn the_error_of_no_picture_is_half_its_squares() {
        let config = VaeConfig { beta: None, units: 5 };
        let mut model = model(false, ExecutorKind::Cpu);
        let zeros = start(&config, &model)[DECODER].zeros_like().unwrap();
        let outcome = compute(&config, &mut model, &Carried::from([(DECODER, zeros)]));
        let squares: f64 =
            images().flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().map(|x| x * x).sum();
        assert!((outcome.report.total - squares / 2.0 / BATCH as f64).abs() < 1e-9);
        assert_eq!(outcome.report.parts.len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [VaeConfig { beta: Some(-1.0), units: 5 }, VaeConfig { beta: None, units: 0 }] {
            assert_eq!(bad.validate(2).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        assert!(VaeConfig::default().build(&model(false, ExecutorKind::Cpu)).is_err());
    }
}
