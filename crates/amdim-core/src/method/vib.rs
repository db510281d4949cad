//! The deep variational information bottleneck: a stochastic code that tells the label and little else of the picture.

use amdim_random::{Purpose, Stream};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::bottleneck::{Code, check_beta, check_model};
use super::{Batch, Carried, Method, Outcome, Settings, Start, View};
use crate::encoder::Features;
use crate::model::Model;
use crate::nn::draw_mask;
use crate::train_step::{Part, PartReport, no_labels};
use crate::{Error, Result, tensors};

/// Settings of [`MethodConfig::Vib`](super::MethodConfig::Vib).
///
/// # Source
/// Alemi, Fischer, Dillon, Murphy 2017, arXiv 1612.00410, equation 17.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VibConfig {
    /// Weight of what the code holds of the picture, 0 or more. None: the code is the vector itself, without noise and
    /// without a price; the deterministic baseline.
    #[serde(deserialize_with = "Option::deserialize")]
    pub beta: Option<f64>,
    /// Probability of dropping a component of the code on its way to the decoder, `0..1` (1 excluded).
    pub dropout: f64,
}

impl Default for VibConfig {
    /// What files of the time before this method mean, and the defaults of the schema.
    fn default() -> Self {
        Self { beta: Some(1e-3), dropout: 0.0 }
    }
}

impl Settings for VibConfig {
    type Method = Vib;

    fn validate(&self, _batch: usize) -> Result<()> {
        check_beta("vib.beta", self.beta)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::argument("vib.dropout", "a probability in 0..1 (1 excluded)", self.dropout));
        }
        Ok(())
    }

    fn is_stochastic(&self) -> bool {
        self.beta.is_some()
    }

    fn build(&self, model: &Model) -> Result<Vib> {
        check_model("vib", model, self.is_stochastic())?;
        if model.classifiers.is_none() {
            let expected = "labels, and classifiers that can learn, beside method vib";
            return Err(Error::argument("classifiers", expected, "none"));
        }
        Ok(Vib { config: self.clone() })
    }
}

/// The method. It looks at the first view alone.
///
/// ```text
/// z ~ N(mean, spread^2), spread = softplus(head - 5)
/// loss = -log q(label | z) + beta KL(N(mean, spread^2) || N(0, 1))
/// ```
///
/// The mean is the encoder's vector, what [`Model::embed`] returns. The decoder q is the model's linear classifier, which
/// learns from codes by the same loss, as classifiers do; here that loss moves the encoder too. The KL divergence bounds
/// I(picture; z) from above, and H(label) less the first term bounds I(z; label) from below.
///
/// One code a picture is drawn at an update, as in the paper. The decoder's loss is the classifiers' own, with their soft
/// clip and penalty.
pub(super) struct Vib {
    config: VibConfig,
}

impl Method for Vib {
    fn start(&self, _model: &Model, _seed: u64) -> Result<Start> {
        Ok(Start::default())
    }

    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, _state: &Carried) -> Result<Outcome> {
        if batch.labels.iter().all(|&label| label < 0) {
            return Err(no_labels());
        }
        let view = View::open(model, batch.views[0], batch.chunk_size)?;
        let drawn = Code::draw(&view.taped, batch, self.config.beta)?;
        let mut code = drawn.values.clone();
        if self.config.dropout > 0.0 {
            code = (&code * self.mask(batch, &code)?)?;
        }
        let heads = model.classifiers.as_ref().ok_or_else(|| Error::internal("there is no decoder"))?;
        let decoded = heads.linear_loss(&code, batch.labels)?;
        let part = PartReport {
            part: Part::Method("decoder"),
            loss: tensors::to_scalar(&decoded.loss)?,
            top1: Some(decoded.correct as f64 / decoded.labelled as f64),
        };
        let (total, report) = drawn.priced(&decoded.loss, part)?;
        let gradients = total.backward()?;
        let features = vec![Features::new(vec![code.detach().unsqueeze(1)?])?];
        let gradient = view.backward(model, &gradients)?;
        Ok(Outcome { features, report, gradient, learnt_gradients: vec![], kept: vec![] })
    }
}

impl Vib {
    fn mask(&self, batch: &Batch<'_>, code: &Tensor) -> Result<Tensor> {
        let mut values = vec![0.0; code.elem_count()];
        let mut stream = Stream::new(batch.seed, Purpose::CodeDropout, batch.update);
        draw_mask(&mut stream, self.config.dropout, &mut values);
        tensors::from_slice(&values, code.dims(), code.dtype(), code.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::encoder::{Activation, AmdimEncoder, EncoderConfig, InfomaxEncoder, MlpEncoder};
    use crate::executor::ExecutorKind;
    use crate::model::{ModelConfig, Placement};
    use crate::nn::ClassifierConfig;

    const LABELS: [i64; 5] = [0, 2, -1, 1, 2];
    const CODE: usize = 4;

    fn mlp(activation: Activation) -> EncoderConfig {
        MlpEncoder {
            encoder_size: 28,
            input_channels: 1,
            hidden_units: 4,
            hidden_layers: 2,
            embedding_dim: CODE,
            activation,
        }
        .into()
    }

    fn model(encoder: EncoderConfig, bottleneck: bool, executor: ExecutorKind) -> Model {
        let classifiers =
            ClassifierConfig { hidden_units: 2, label_smoothing: 0.1, ..ClassifierConfig::default() };
        let config =
            ModelConfig { classifiers, classes: 3, bottleneck, ..ModelConfig::encoder_alone(encoder) };
        Model::new(config, 3, Placement::exact(executor, 1)).unwrap()
    }

    fn compute(config: &VibConfig, model: &mut Model) -> Outcome {
        let side = model.encoder().input.height;
        let mut stream = Stream::new(1, Purpose::Prior, 99);
        let values: Vec<f64> = (0..LABELS.len() * side * side).map(|_| stream.normal()).collect();
        let images = Tensor::from_vec(values, (LABELS.len(), 1, side, side), &Device::Cpu).unwrap();
        let views = [&images, &images];
        let batch = Batch { views, labels: &LABELS, seed: 1, update: 2, chunk_size: None };
        config.build(model).unwrap().compute(model, &batch, &Carried::new()).unwrap()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let amdim = AmdimEncoder {
            encoder_size: 32,
            input_channels: 1,
            base_width: 1,
            embedding_dim: CODE,
            block_depth: 1,
            batch_norm: false,
        };
        let dim = InfomaxEncoder { encoder_size: 28, input_channels: 1, base_width: 2, embedding_dim: CODE };
        for (encoder, executor) in [
            (mlp(Activation::Relu), ExecutorKind::Cpu),
            (mlp(Activation::Tanh), ExecutorKind::Cpu),
            (mlp(Activation::Tanh), ExecutorKind::Candle),
            (dim.into(), ExecutorKind::Cpu),
            (amdim.into(), ExecutorKind::Cpu),
        ] {
            for config in [
                VibConfig { beta: Some(0.3), dropout: 0.0 },
                VibConfig { beta: Some(0.3), dropout: 0.4 },
                VibConfig { beta: None, dropout: 0.0 },
            ] {
                let mut model = model(encoder.clone(), config.is_stochastic(), executor);
                let own: Vec<f64> = compute(&config, &mut model).gradient.to_vec1().unwrap();
                let values: Vec<f64> = model.parameters.to_vec1().unwrap();
                let largest = own.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                let last = values.len() - 1;
                for at in (0..values.len()).step_by(values.len() / 9).chain([last]) {
                    let mut loss = |by: f64| {
                        let mut values = values.clone();
                        values[at] += by;
                        model.parameters = Tensor::new(values, &Device::Cpu).unwrap();
                        compute(&config, &mut model).report.total
                    };
                    let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                    assert!((slope - own[at]).abs() < 2e-5 * largest, "{config:?} {at}: {} {slope}", own[at]);
                }
            }
        }
    }

    #[test]
    fn the_classifiers_see_the_code_and_the_loss_is_that_of_the_linear_one() {
        for config in [VibConfig { beta: Some(0.0), dropout: 0.2 }, VibConfig { beta: None, dropout: 0.0 }] {
            let mut model = model(mlp(Activation::Relu), config.is_stochastic(), ExecutorKind::Cpu);
            let outcome = compute(&config, &mut model);
            let code = outcome.features[0].global().unwrap();
            let mean = tensors::to_scalar(&code.sqr().unwrap().mean_all().unwrap()).unwrap();
            assert!(mean > 0.0);
            let heads = model.classifiers.as_ref().unwrap();
            let loss = tensors::to_scalar(&heads.linear_loss(&code, &LABELS).unwrap().loss).unwrap();
            assert!((outcome.report.total - loss).abs() < 1e-12);
            assert_eq!(outcome.report.parts.len(), if config.is_stochastic() { 2 } else { 1 });
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            VibConfig { beta: Some(-1.0), dropout: 0.0 },
            VibConfig { beta: Some(f64::NAN), dropout: 0.0 },
            VibConfig { beta: None, dropout: 1.0 },
        ] {
            assert_eq!(bad.validate(2).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        let config = VibConfig::default();
        let other = model(mlp(Activation::Relu), false, ExecutorKind::Cpu);
        assert!(config.build(&other).is_err());
        let mut unlabelled = model(mlp(Activation::Relu), true, ExecutorKind::Cpu);
        unlabelled.classifiers = None;
        assert!(config.build(&unlabelled).is_err());
    }
}
