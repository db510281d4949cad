//! A whole model: features, losses, gradients, classifiers, three optimiser steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use amdim_core::checkpoint::Stored;
use amdim_core::encoder::{AmdimEncoder, Features, Scale};
use amdim_core::executor::Precision;
use amdim_core::loss::{ObjectiveConfig, SourcePositions, Term};
use amdim_core::method::MethodConfig;
use amdim_core::model::{CLASSIFIER_PREFIX, ENCODER_PREFIX, Model, ModelConfig, Placement};
use amdim_core::nn::{ClassifierConfig, ClassifierPass, Mode};
use amdim_core::optim::AdamConfig;
use amdim_core::tensors;
use amdim_core::train_step::{Computed, Learner, Learns, StepConfig};
use candle_core::Tensor;

use crate::Setup;
use crate::compare::Comparison;
use crate::manifest::{Data, Entry, ParityError, TensorFile};

/// Penalty of the authors' code.
pub const LOGIT_PENALTY: f64 = 5e-2;
/// The terms of the authors' code, with their names in the files.
pub const TERMS: [(Term, &str); 3] =
    [(Term::new(1, 5), "1t5"), (Term::new(1, 7), "1t7"), (Term::new(5, 5), "5t5")];
/// The scales, with their names in the files.
pub const SCALES: [(Scale, &str); 3] = [(Scale::GLOBAL, "r1"), (Scale::new(5), "r5"), (Scale::new(7), "r7")];

const MASKS: &str = "init.g2l_loss.masks_r5";

pub fn run(entry: &Entry, file: &TensorFile, setup: &Setup, out: &mut Comparison) -> Result<(), ParityError> {
    let (model, rate) = model(entry, file, setup)?;
    let mut case = Case::new(entry, file, model)?;
    case.eval_features(out)?;
    case.classifiers(out)?;
    case.steps(rate, out)
}

struct Case {
    learner: Learner,
    views: [Tensor; 2],
    labels: Vec<i64>,
    positions: SourcePositions,
}

impl Case {
    fn new(entry: &Entry, file: &TensorFile, model: Model) -> Result<Self, ParityError> {
        let adam = entry.adam.as_ref().ok_or_else(|| missing(entry, "adam"))?;
        let settings = entry.config.as_ref().ok_or_else(|| missing(entry, "config"))?;
        let (shape, x1) = file.floats("in.x1")?;
        let batch = shape[0];
        let views = [model.images(x1, batch)?, model.images(file.floats("in.x2")?.1, batch)?];
        let config = StepConfig {
            method: MethodConfig::Amdim,
            chunk_size: None,
            statistics_frozen: false,
            objective: ObjectiveConfig {
                score_clip: Some(settings.tclip),
                logit_penalty: LOGIT_PENALTY,
                terms: TERMS.iter().map(|&(term, _)| term).collect(),
                mixture: None,
            },
            optimizer: AdamConfig {
                learning_rate: adam.lr,
                beta1: adam.betas[0],
                beta2: adam.betas[1],
                epsilon: adam.eps,
                weight_decay: adam.weight_decay,
                gradient_clip: None,
            },
            learns: Learns::FromViews,
            seed: 0,
        };
        let learner = Learner::new(model, config)?;
        Ok(Self { learner, views, labels: file.integers("in.labels")?.to_vec(), positions: positions(file)? })
    }

    fn eval_features(&mut self, out: &mut Comparison) -> Result<(), ParityError> {
        for (view, suffix) in [(0, "x1"), (1, "x2")] {
            let features = self.learner.model()?.embed(&self.views[view])?;
            compare_features("eval", suffix, &features, out)?;
        }
        Ok(())
    }

    fn classifiers(&mut self, out: &mut Comparison) -> Result<(), ParityError> {
        let first = self.learner.model()?.embed(&self.views[0])?.global()?;
        let second = self.learner.model()?.embed(&self.views[1])?.global()?;
        let rows = Tensor::cat(&[first, second], 0)?;
        for (group, mode) in [("cls_eval", Mode::Eval), ("cls_train_nodrop", Mode::TrainWithoutDropout)] {
            // A copy, so that the steps below start from the file's running statistics.
            let Some(mut heads) = self.learner.model()?.classifiers.clone() else { return Ok(()) };
            let pass = heads.pass(&rows, &self.labels, mode)?;
            compare_classifiers(group, &pass, out)?;
            let gradient = tensors::to_vec(&pass.gradient)?;
            for parameter in &heads.parameters {
                let name = format!("{group}.grad.{CLASSIFIER_PREFIX}{}", parameter.name);
                out.floats(&name, &gradient[parameter.range()]);
            }
        }
        Ok(())
    }

    fn steps(&mut self, rate: f64, out: &mut Comparison) -> Result<(), ParityError> {
        let mut losses = Vec::new();
        for step in 0..3 {
            let computed = self.compute()?;
            losses.extend(loss_row(&computed)?);
            if step == 0 {
                self.compare_first(&computed, out)?;
            }
            self.learner.apply(&computed, rate)?;
            if step != 1 {
                self.compare_state(step + 1, rate, out)?;
            }
        }
        // The reference took the last losses first, in train mode: its running statistics moved once more.
        losses.extend(loss_row(&self.compute()?)?);
        out.floats("loss.before_step_1_2_3_and_after_3", &losses);
        let features = self.learner.model()?.embed(&self.views[0])?;
        compare_features("eval_after3", "x1", &features, out)
    }

    fn compute(&mut self) -> Result<Computed, ParityError> {
        Ok(self.learner.compute([&self.views[0], &self.views[1]], &self.labels, &self.positions)?)
    }

    fn compare_first(&mut self, computed: &Computed, out: &mut Comparison) -> Result<(), ParityError> {
        for (features, suffix) in computed.features.iter().zip(["x1", "x2"]) {
            compare_features("out", suffix, features, out)?;
        }
        for (name, value) in ["1t5", "1t7", "5t5", "lgt_reg", "total"].iter().zip(loss_row(computed)?) {
            out.floats(&format!("loss.{name}"), &[value]);
        }
        let gradient =
            computed.encoder_gradient.as_ref().map(tensors::to_vec).transpose()?.unwrap_or_default();
        for parameter in
            self.learner.model()?.network().clone().parameters.iter().filter(|parameter| parameter.used)
        {
            let name = format!("grad.{ENCODER_PREFIX}{}", parameter.name);
            if !out.expects(&name) {
                out.fail(&name, &format!("{name}: computed, but not expected"));
            }
            out.floats(&name, &gradient[parameter.range()]);
        }
        Ok(())
    }

    fn compare_state(&mut self, steps: u32, rate: f64, out: &mut Comparison) -> Result<(), ParityError> {
        let network = Arc::clone(self.learner.model()?.network());
        let parameters = &network.parameters;
        let is_parameter =
            |name: &str| parameters.iter().any(|p| name.strip_prefix(ENCODER_PREFIX) == Some(&p.name));
        for (name, stored) in self.learner.model()?.state()? {
            if !name.starts_with(ENCODER_PREFIX) {
                continue;
            }
            let expected = format!("step{steps}.{name}");
            match stored {
                Stored::Integer { values, .. } => out.counter(&expected, values[0]),
                Stored::Float { values, .. } if is_parameter(&name) => {
                    out.stepped(&expected, &values, steps, rate);
                }
                Stored::Float { values, .. } => out.floats(&expected, &values),
            }
        }
        Ok(())
    }
}

/// The model of a file with the file's weights, and the learning rate.
fn model(entry: &Entry, file: &TensorFile, setup: &Setup) -> Result<(Model, f64), ParityError> {
    let settings = entry.config.as_ref().ok_or_else(|| missing(entry, "config"))?;
    let adam = entry.adam.as_ref().ok_or_else(|| missing(entry, "adam"))?;
    let (input, _) = file.floats("in.x1")?;
    let hidden = file.get("init.evaluator.block_glb_mlp.block_forward.2.weight")?.shape[0];
    let classes = file.get("init.evaluator.block_glb_lin.block_forward.2.weight")?.shape[0];
    let config = ModelConfig {
        encoder: AmdimEncoder {
            encoder_size: settings.encoder_size,
            input_channels: input[1],
            base_width: settings.ndf,
            embedding_dim: settings.n_rkhs,
            block_depth: settings.n_depth,
            batch_norm: settings.use_bn,
        }
        .into(),
        classifiers: ClassifierConfig {
            enabled: true,
            hidden_units: hidden,
            dropout: 0.2,
            logit_clip: 10.0,
            logit_penalty: 1e-3,
            ..ClassifierConfig::default()
        },
        classes,
        mixture: None,
        infomax: None,
        bottleneck: false,
    };
    let placement = Placement {
        device: setup.device.clone(),
        dtype: setup.dtype,
        executor: setup.executor,
        precision: Precision::F32,
        threads: setup.threads,
    };
    let mut model = Model::new(config, 0, placement)?;
    let known = model.state()?;
    let mut state = BTreeMap::new();
    for (name, values) in file.tensors.iter().filter(|(name, _)| name.starts_with("init.") && *name != MASKS)
    {
        let name = name.trim_start_matches("init.").to_string();
        if !known.contains_key(&name) {
            return Err(ParityError::Manifest(format!("init.{name}: the model has no such tensor")));
        }
        let stored = match &values.data {
            Data::Float(floats) => Stored::float(values.shape.clone(), floats.clone()),
            Data::Integer(integers) => {
                Stored::Integer { shape: values.shape.clone(), values: integers.clone() }
            }
            Data::Bytes(_) => return Err(ParityError::Manifest(format!("init.{name}: F32 or I64 expected"))),
        };
        state.insert(name, stored);
    }
    model.load_encoder(&state)?;
    model.load_classifiers(&state)?;
    Ok((model, adam.lr))
}

/// Injected source positions; the 7x7 map has no source among the authors' terms.
pub fn positions(file: &TensorFile) -> Result<SourcePositions, ParityError> {
    let read = |name: &str| -> Result<Vec<u32>, ParityError> {
        file.integers(name)?
            .iter()
            .map(|&k| u32::try_from(k).map_err(|_| ParityError::Manifest(format!("{name}: position {k}"))))
            .collect()
    };
    let [_, (local5, _), (local7, _)] = SCALES;
    let drawn = [read("in.pos1")?, read("in.pos2")?];
    let unused = [vec![0; drawn[0].len()], vec![0; drawn[1].len()]];
    Ok(SourcePositions::new(vec![(local5, drawn), (local7, unused)]))
}

fn compare_features(
    group: &str,
    suffix: &str,
    features: &Features,
    out: &mut Comparison,
) -> Result<(), ParityError> {
    for (scale, name) in SCALES {
        let map = tensors::to_vec(&features.channels_first(scale)?)?;
        out.floats(&format!("{group}.{name}_{suffix}"), &map);
    }
    Ok(())
}

fn compare_classifiers(group: &str, pass: &ClassifierPass, out: &mut Comparison) -> Result<(), ParityError> {
    for (head, name) in [(&pass.mlp, "mlp"), (&pass.linear, "lin")] {
        out.floats(&format!("{group}.logits_{name}"), &tensors::to_vec(&head.logits)?);
        out.scalar(&format!("{group}.loss_{name}"), head.loss);
    }
    Ok(())
}

/// The three terms, the penalty, the total.
fn loss_row(computed: &Computed) -> Result<[f32; 5], ParityError> {
    let report = computed
        .report
        .objective
        .as_ref()
        .ok_or_else(|| ParityError::Manifest("the step gave no objective".into()))?;
    let term = |index: usize| report.parts[index].loss as f32;
    Ok([term(0), term(1), term(2), report.penalty as f32, report.total as f32])
}

fn missing(entry: &Entry, field: &str) -> ParityError {
    ParityError::Manifest(format!("{}: no `{field}` in the manifest", entry.file))
}
