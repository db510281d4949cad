//! The classifiers that watch the encoder while it learns: one linear, one with a hidden layer.
//!
//! They see the global features without a gradient into the encoder (reference `model.py`, `Evaluator`,
//! `MLPClassifier`).

use amdim_network::{Init, Parameter};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::activation::log_softmax;
use super::batch_norm::{batch_statistics, moved, normalise};
use crate::loss::{ClippedCrossEntropy, CrossEntropy, clipped_cross_entropy, soft_clip};
use crate::{Error, Result, parameters, tensors};
use amdim_random::{Purpose, Stream};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

// Places of the tensors in the list of parameters, which has the reference's order.
const MLP_HIDDEN: usize = 0;
const NORM_WEIGHT: usize = 1;
const NORM_BIAS: usize = 2;
const MLP_WEIGHT: usize = 3;
const MLP_BIAS: usize = 4;
const LINEAR_WEIGHT: usize = 5;
const LINEAR_BIAS: usize = 6;

/// Settings of the online classifiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// Width of the MLP's hidden layer; 1024 in the reference.
    pub hidden_units: usize,
    /// Probability of dropping an input or hidden unit of the MLP, `0..1`; 0.2 in the reference.
    pub dropout: f64,
    /// Soft clip of the logits; 10 in the reference.
    pub logit_clip: f64,
    /// Weight of the mean squared logit; 1e-3 in the reference.
    pub logit_penalty: f64,
    /// Share of a label's weight that all classes get alike, `0..1`; 0 in the reference. Files from before this option
    /// mean 0.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of the predictions' entropy, which is subtracted from the loss; 0 in the reference. Files from before this
    /// option mean 0.
    #[serde(default)]
    pub confidence_penalty: f64,
    /// Their learning rate over the run's, above 0; 1 in the reference. Files from before this option mean 1.
    #[serde(default = "one")]
    pub learning_rate_factor: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for ClassifierConfig {
    /// The reference's.
    fn default() -> Self {
        Self {
            enabled: true,
            hidden_units: 1024,
            dropout: 0.2,
            logit_clip: 10.0,
            logit_penalty: 1e-3,
            label_smoothing: 0.0,
            confidence_penalty: 0.0,
            learning_rate_factor: one(),
        }
    }
}

impl ClassifierConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn validate(&self) -> Result<()> {
        if self.hidden_units == 0 {
            return Err(Error::argument("classifiers.hiddenUnits", "at least 1", 0));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::argument(
                "classifiers.dropout",
                "a probability in 0..1 (1 excluded)",
                self.dropout,
            ));
        }
        if !(self.logit_clip.is_finite() && self.logit_clip > 0.0) {
            return Err(Error::argument("classifiers.logitClip", "a positive number", self.logit_clip));
        }
        if !(self.logit_penalty.is_finite() && self.logit_penalty >= 0.0) {
            return Err(Error::argument(
                "classifiers.logitPenalty",
                "0 or a positive number",
                self.logit_penalty,
            ));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let expected = "a share in 0..1 (1 excluded)";
            return Err(Error::argument("classifiers.labelSmoothing", expected, self.label_smoothing));
        }
        if !(self.confidence_penalty.is_finite() && self.confidence_penalty >= 0.0) {
            let expected = "0 or a positive number";
            return Err(Error::argument("classifiers.confidencePenalty", expected, self.confidence_penalty));
        }
        let factor = self.learning_rate_factor;
        if !(factor.is_finite() && factor > 0.0) {
            return Err(Error::argument("classifiers.learningRateFactor", "a positive number", factor));
        }
        Ok(())
    }

    /// The loss of either classifier.
    fn loss(&self) -> CrossEntropy {
        CrossEntropy {
            clip: self.logit_clip,
            penalty: self.logit_penalty,
            label_smoothing: self.label_smoothing,
            confidence_penalty: self.confidence_penalty,
        }
    }
}

/// How a pass treats batch norm and dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Running statistics, nothing dropped.
    Eval,
    /// Statistics of the batch, nothing dropped; the running ones move.
    TrainWithoutDropout,
    /// Statistics of the batch; units are dropped by a mask that (seed, update) fixes.
    Train {
        /// Seed of the run.
        seed: u64,
        /// Number of the update.
        update: u64,
    },
}

/// Both classifiers: their parameters in one flat vector, and the running statistics of the hidden batch norm.
#[derive(Debug, Clone)]
pub struct Classifiers {
    config: ClassifierConfig,
    classes: usize,
    /// Description of `values`.
    pub parameters: Vec<Parameter>,
    /// Flat parameters.
    pub values: Tensor,
    /// Running mean and variance of the hidden layer, `[2, hidden_units]`.
    pub running: Tensor,
    /// Training passes so far (`num_batches_tracked`).
    pub passes: u64,
}

/// One classifier's part of a pass.
#[derive(Debug, Clone)]
pub struct HeadResult {
    /// `[rows, classes]`, without gradient.
    pub logits: Tensor,
    /// Loss in nats.
    pub loss: f64,
    /// Rows classified rightly, of `labelled`.
    pub correct: usize,
    /// Rows with a label.
    pub labelled: usize,
}

/// Result of [`Classifiers::pass`].
#[derive(Debug, Clone)]
pub struct ClassifierPass {
    /// The MLP.
    pub mlp: HeadResult,
    /// The linear classifier.
    pub linear: HeadResult,
    /// Gradient of the sum of both losses by the flat parameters.
    pub gradient: Tensor,
}

impl Classifiers {
    /// Draws new classifiers for `classes` classes on `embedding` features.
    ///
    /// Linear layers are uniform with bound `1 / sqrt(fan_in)` as in PyTorch; batch norm is 1 and 0.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a bad configuration or fewer than two classes.
    pub fn new(
        config: ClassifierConfig,
        embedding: usize,
        classes: usize,
        seed: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        if classes < 2 {
            return Err(Error::argument("classes", "at least 2", classes));
        }
        let parameters = describe(embedding, config.hidden_units, classes);
        let drawn = parameters::draw(&parameters, &mut Stream::new(seed, Purpose::InitClassifiers, 0));
        let values = tensors::from_vec(drawn, dtype, device)?;
        let hidden = config.hidden_units;
        let running: Vec<f32> = [vec![0.0; hidden], vec![1.0; hidden]].concat();
        let running = tensors::from_slice(&running, &[2, hidden], dtype, device)?;
        Ok(Self { config, classes, parameters, values, running, passes: 0 })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The settings.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// Logits of the MLP and the linear classifier in eval mode, `[rows, classes]` each, for features
    /// `[rows, embedding]`.
    pub fn logits(&self, features: &Tensor) -> Result<(Tensor, Tensor)> {
        let views = parameters::views(&self.values, &self.parameters)?;
        let (mlp, linear, _) = self.forward(&views, &features.detach(), Mode::Eval)?;
        Ok((mlp, linear))
    }

    /// Losses, hits and the gradient for one batch; in training modes the running statistics move.
    ///
    /// # Shapes
    /// - features: `[rows, embedding]`; labels: `[rows]`, -1 for none
    pub fn pass(&mut self, features: &Tensor, labels: &[i64], mode: Mode) -> Result<ClassifierPass> {
        Ok(self.pass_with_tape(&features.detach(), labels, mode)?.0)
    }

    /// The linear classifier's loss on `[rows, embedding]` features that may be on a tape; its parameters are constants.
    pub(crate) fn linear_loss(&self, features: &Tensor, labels: &[i64]) -> Result<ClippedCrossEntropy> {
        let views = parameters::views(&self.values, &self.parameters)?;
        clipped_cross_entropy(&linear(&views, features)?, labels, &self.config.loss())
    }

    /// Cross-entropy of the uniform distribution and the linear classifier's answer to `[rows, embedding]` features that may
    /// be on a tape, in nats, mean over rows: log of the number of classes, and more where it can tell classes apart. Its
    /// parameters are constants.
    pub(crate) fn linear_confusion(&self, features: &Tensor) -> Result<Tensor> {
        let views = parameters::views(&self.values, &self.parameters)?;
        let logits = soft_clip(&linear(&views, features)?, self.config.logit_clip)?;
        Ok(log_softmax(&logits)?.mean_all()?.neg()?)
    }

    /// As [`pass`](Self::pass), with the gradient of the sum of both losses by the features, `[rows, embedding]`: for
    /// an encoder that learns from it.
    pub fn pass_to_features(
        &mut self,
        features: &Tensor,
        labels: &[i64],
        mode: Mode,
    ) -> Result<(ClassifierPass, Tensor)> {
        let features = Var::from_tensor(&features.detach())?;
        let (pass, gradients) = self.pass_with_tape(features.as_tensor(), labels, mode)?;
        let gradient = gradients.get(&features).cloned();
        Ok((pass, gradient.map_or_else(|| features.zeros_like(), Ok)?))
    }

    fn pass_with_tape(
        &mut self,
        features: &Tensor,
        labels: &[i64],
        mode: Mode,
    ) -> Result<(ClassifierPass, GradStore)> {
        let leaves = parameters::leaves(&self.values, &self.parameters)?;
        let views: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        let (mlp_logits, linear_logits, running) = self.forward(&views, features, mode)?;
        let mlp = clipped_cross_entropy(&mlp_logits, labels, &self.config.loss())?;
        let linear = clipped_cross_entropy(&linear_logits, labels, &self.config.loss())?;
        let gradients = (&mlp.loss + &linear.loss)?.backward()?;
        let gradient = parameters::flat_gradient(&leaves, &self.parameters, &gradients)?;
        if let Some(running) = running {
            self.running = running;
            self.passes += 1;
        }
        let pass = ClassifierPass {
            mlp: head(&mlp_logits, &mlp)?,
            linear: head(&linear_logits, &linear)?,
            gradient,
        };
        Ok((pass, gradients))
    }

    /// Logits of both, and the moved running statistics in training modes.
    fn forward(
        &self,
        p: &[Tensor],
        features: &Tensor,
        mode: Mode,
    ) -> Result<(Tensor, Tensor, Option<Tensor>)> {
        let (rows, width) = features.dims2()?;
        let linear = linear(p, features)?;
        let masks = match mode {
            Mode::Train { seed, update } if self.config.dropout > 0.0 => {
                let mut stream = Stream::new(seed, Purpose::Dropout, update);
                Some((
                    self.mask(&mut stream, rows, width)?,
                    self.mask(&mut stream, rows, self.config.hidden_units)?,
                ))
            }
            _ => None,
        };
        let input = masks.as_ref().map_or(Ok(features.clone()), |(mask, _)| features * mask)?;
        let hidden = input.matmul(&p[MLP_HIDDEN].t()?)?;
        let (old_mean, old_variance) = (self.running.get(0)?, self.running.get(1)?);
        let (mean, variance, running) = if mode == Mode::Eval {
            (old_mean, old_variance, None)
        } else {
            let statistics = batch_statistics(&hidden)?;
            let running = Tensor::stack(
                &[
                    moved(&old_mean, &statistics.mean, MOMENTUM)?,
                    moved(&old_variance, &statistics.unbiased_variance, MOMENTUM)?,
                ],
                0,
            )?;
            (statistics.mean, statistics.variance, Some(running))
        };
        let mut hidden =
            normalise(&hidden, &mean, &variance, &p[NORM_WEIGHT], &p[NORM_BIAS], EPSILON)?.relu()?;
        if let Some((_, mask)) = &masks {
            hidden = (hidden * mask)?;
        }
        let mlp = hidden.matmul(&p[MLP_WEIGHT].t()?)?.broadcast_add(&p[MLP_BIAS])?;
        Ok((mlp, linear, running))
    }

    /// `[rows, width]`; see [`draw_mask`].
    fn mask(&self, stream: &mut Stream, rows: usize, width: usize) -> Result<Tensor> {
        let mut values = vec![0.0; rows * width];
        draw_mask(stream, self.config.dropout, &mut values);
        tensors::from_slice(&values, &[rows, width], self.values.dtype(), self.values.device())
    }
}

/// Logits of the linear classifier.
fn linear(p: &[Tensor], features: &Tensor) -> Result<Tensor> {
    Ok(features.matmul(&p[LINEAR_WEIGHT].t()?)?.broadcast_add(&p[LINEAR_BIAS])?)
}

/// Fills a dropout mask: 0 with probability `dropout`, else `1 / (1 - dropout)`.
pub(crate) fn draw_mask(stream: &mut Stream, dropout: f64, values: &mut [f32]) {
    let kept = (1.0 / (1.0 - dropout)) as f32;
    for value in values {
        *value = if stream.unit() < dropout { 0.0 } else { kept };
    }
}

fn head(logits: &Tensor, result: &ClippedCrossEntropy) -> Result<HeadResult> {
    Ok(HeadResult {
        logits: logits.detach(),
        loss: tensors::to_scalar(&result.loss)?,
        correct: result.correct,
        labelled: result.labelled,
    })
}

fn describe(embedding: usize, hidden: usize, classes: usize) -> Vec<Parameter> {
    let fan_in = |width: usize| Init::Uniform { bound: 1.0 / (width as f32).sqrt() };
    let mut offset = 0;
    [
        ("block_glb_mlp.block_forward.2.weight", vec![hidden, embedding], fan_in(embedding)),
        ("block_glb_mlp.block_forward.3.weight", vec![hidden], Init::Constant(1.0)),
        ("block_glb_mlp.block_forward.3.bias", vec![hidden], Init::Constant(0.0)),
        ("block_glb_mlp.block_forward.6.weight", vec![classes, hidden], fan_in(hidden)),
        ("block_glb_mlp.block_forward.6.bias", vec![classes], fan_in(hidden)),
        ("block_glb_lin.block_forward.2.weight", vec![classes, embedding], fan_in(embedding)),
        ("block_glb_lin.block_forward.2.bias", vec![classes], fan_in(embedding)),
    ]
    .into_iter()
    .map(|(name, shape, init)| {
        let parameter = Parameter { name: name.into(), shape, offset, init, used: true };
        offset += parameter.len();
        parameter
    })
    .collect()
}
