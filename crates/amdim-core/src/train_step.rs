//! One update: two views in, losses and diagnostics out. No loop, no clock, no printing.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, FORMAT_VERSION, Header, Progress};
use crate::chunks::parts;
use crate::cpu_step::{self, FastStep, GLOBAL};
use crate::encoder::Features;
use crate::executor::with_slice;
use crate::loss::{ObjectiveConfig, SourcePositions, Term, multiscale_loss};
use crate::method::{self, Method, MethodConfig, View};
use crate::model::Model;
use crate::nn::{ClassifierPass, Mode};
use crate::optim::{Adam, AdamConfig, clip_factor, norm};
use crate::parameters::{Used, ranges_behind};
use crate::step_memory::StepMemory;
use crate::train_state::TrainState;
use crate::{Error, Result, check_finite, tensors};

/// Name of the encoder's group of parameters in the optimiser.
pub(crate) const ENCODER: &str = "encoder";
/// Name of the classifiers' group of parameters in the optimiser.
pub(crate) const CLASSIFIERS: &str = "classifiers";

/// What moves the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Learns {
    /// The objective, from two views; classifiers watch.
    FromViews,
    /// The classifiers' losses, from labels (the paper's rows "sup"); the objective is not computed.
    FromLabels,
    /// Nothing: the classifiers learn alone, and the encoder runs with its running statistics.
    ClassifiersAlone,
}

/// What an update does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepConfig {
    /// How it learns from views.
    pub method: MethodConfig,
    /// The multiscale objective, where that is the method.
    pub objective: ObjectiveConfig,
    /// The optimiser.
    pub optimizer: AdamConfig,
    /// What moves the encoder.
    pub learns: Learns,
    /// Most pictures that go through the encoder at once, at least 2: a larger batch takes part after part, twice, and
    /// all of it is in the loss. None: the whole batch at once.
    pub chunk_size: Option<usize>,
    /// Whether batch norms take their running statistics in training too, which then stay.
    pub statistics_frozen: bool,
    /// Seed of source positions and dropout.
    pub seed: u64,
}

/// A model that learns: the model, its optimiser's state, the number of updates.
///
/// On the `cpu` executor in f32 and bf16 a step runs on flat vectors of its own (`cpu_step`); elsewhere on candle's
/// tensors. The two agree up to rounding.
pub struct Learner {
    model: Model,
    config: StepConfig,
    /// How it learns from views; none for AMDIM's objective.
    method: Option<Box<dyn Method>>,
    state: TrainState,
    /// Which parameters the loss depends on; needed without a fast step.
    used: Option<Used>,
    fast: Option<Box<dyn FastStep>>,
    newest: Newest,
    update: u64,
}

/// Who holds the newest parameters and running statistics, where there is a fast step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    Model,
    FastStep,
}

/// Averages and diagnostics of one update.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The objective, if the encoder learns from views.
    pub objective: Option<ObjectiveReport>,
    /// The online classifiers, if there are labels.
    pub classifier: Option<ClassifierReport>,
    /// Norm of the encoder's gradient before clipping; 0 if the encoder is frozen.
    pub gradient_norm: f64,
}

/// A part of a loss by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A term of AMDIM's objective, `SOURCE->TARGET`.
    Term(Term),
    /// A part of another method's loss.
    Method(&'static str),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => term.fmt(f),
            Self::Method(name) => f.write_str(name),
        }
    }
}

/// What a part of a loss came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartReport {
    /// Which.
    pub part: Part,
    /// Its loss before it is weighted, in nats.
    pub loss: f64,
    /// Share of positive pairs above all their negatives, or of right answers, where it has such.
    pub top1: Option<f64>,
}

/// The objective's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveReport {
    /// Sum of the parts, weighted, and the penalty, in nats.
    pub total: f64,
    /// Each part alone.
    pub parts: Vec<PartReport>,
    /// The penalty on the scores of AMDIM's objective; 0 of another method.
    pub penalty: f64,
    /// Mean of the scores before clipping; 0 of another method.
    pub score_mean: f64,
    /// Their standard deviation.
    pub score_std: f64,
    /// The largest in absolute value.
    pub score_max: f64,
    /// Mean entropy of the posteriors over mixture features in nats, 0..log(components); none without a mixture.
    pub posterior_entropy: Option<f64>,
}

impl ObjectiveReport {
    /// The report of a method that does not clip or penalise scores.
    pub(crate) fn of(total: f64, parts: Vec<PartReport>) -> Self {
        Self {
            total,
            parts,
            penalty: 0.0,
            score_mean: 0.0,
            score_std: 0.0,
            score_max: 0.0,
            posterior_entropy: None,
        }
    }
}

/// The online classifiers' numbers, on the views they were trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifierReport {
    /// Loss of the linear classifier in nats.
    pub linear_loss: f64,
    /// Share of labelled views that the linear classifier gets right.
    pub linear_top1: f64,
    /// Loss of the MLP in nats.
    pub mlp_loss: f64,
    /// Share of labelled views that the MLP gets right.
    pub mlp_top1: f64,
}

/// Losses and gradients of a batch, before the optimiser.
pub struct Computed {
    /// Losses and diagnostics.
    pub report: StepReport,
    /// Gradient of the flat encoder parameters, `[parameter_len]`; none if the encoder is frozen.
    pub encoder_gradient: Option<Tensor>,
    /// Gradient of the flat classifier parameters; none without classifiers or labels.
    pub classifier_gradient: Option<Tensor>,
    /// Features of the views that the encoder saw, without a tape: both, or the first.
    pub features: Vec<Features>,
    /// Gradients of a method's own parameters, by name.
    learnt_gradients: Vec<(&'static str, Tensor)>,
    /// New values of what a method keeps, by name.
    kept: Vec<(&'static str, Tensor)>,
}

impl Learner {
    /// Starts to train a model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for settings out of range, or no classifiers where only they, or from them, is learnt.
    pub fn new(mut model: Model, config: StepConfig) -> Result<Self> {
        model.freeze_statistics(config.statistics_frozen);
        let learns_from_views = config.learns == Learns::FromViews;
        let is_amdim = learns_from_views && config.method == MethodConfig::Amdim;
        if is_amdim {
            config.objective.validate(model.scales())?;
        }
        config.optimizer.validate()?;
        let components = [
            model.config().mixture.map_or(0, |mixture| mixture.components),
            config.objective.mixture.as_ref().map_or(0, |mixture| mixture.components),
        ];
        if components[0] != components[1] && is_amdim {
            let expected = format!("{} (the model's)", components[0]);
            return Err(Error::argument("objective.mixture.components", expected, components[1]));
        }
        if !learns_from_views && model.classifiers.is_none() {
            let name = if config.learns == Learns::FromLabels { "supervised" } else { "encoderFrozen" };
            return Err(Error::argument(name, "false, or labels and classifiers that can learn", true));
        }
        let mut state = TrainState::default();
        state.optimizers.insert(ENCODER, Adam::new(&model.parameters)?);
        if let Some(heads) = &model.classifiers {
            state.optimizers.insert(CLASSIFIERS, Adam::new(&heads.values)?);
        }
        let method = if learns_from_views { config.method.build(&model)? } else { None };
        if let Some(method) = &method {
            let method::Start { learnt, kept } = method.start(&model, config.seed)?;
            for (name, values) in &learnt {
                state.optimizers.insert(name, Adam::new(values)?);
            }
            state.carried.extend(learnt.into_iter().chain(kept));
        }
        let read = maps_read(&model, &config, method.as_deref())?;
        let fast = if method.is_some() { None } else { cpu_step::build(&model, &config, &read)? };
        let (placement, network) = (model.placement(), model.network());
        let used = || {
            let ranges = ranges_behind(network, &read);
            Used::new(ranges, network.parameter_len(), placement.dtype, &placement.device)
        };
        let used = if fast.is_some() { None } else { Some(used()?) };
        Ok(Self { model, config, method, state, used, fast, newest: Newest::Model, update: 0 })
    }

    /// The model as it stands, to use or to change.
    pub fn model(&mut self) -> Result<&mut Model> {
        self.hand_over()?;
        self.newest = Newest::Model;
        Ok(&mut self.model)
    }

    /// A batch of pictures as [`Learner::step`] takes it; see [`Model::images`].
    pub fn images(&self, values: &[f32], batch: usize) -> Result<Tensor> {
        self.model.images(values, batch)
    }

    /// Brings the model and the state up to date with the fast step.
    fn hand_over(&mut self) -> Result<()> {
        match &self.fast {
            Some(fast) if self.newest == Newest::FastStep => fast.store(&mut self.model, &mut self.state),
            _ => Ok(()),
        }
    }

    /// Lets the fast step take over, which holds the only copy from then on.
    fn take_over(&mut self) -> Result<()> {
        let Some(fast) = &mut self.fast else { return Err(Error::internal("there is no fast step")) };
        fast.load(&self.model, &self.state)?;
        self.newest = Newest::FastStep;
        let nothing = Tensor::zeros(0, DType::F32, &Device::Cpu)?;
        self.model.parameters = nothing.clone();
        for adam in self.state.optimizers.values_mut() {
            (adam.mean, adam.square) = (nothing.clone(), nothing.clone());
        }
        Ok(())
    }

    /// Updates done.
    pub fn update(&self) -> u64 {
        self.update
    }

    /// The settings.
    pub fn config(&self) -> &StepConfig {
        &self.config
    }

    /// Bytes that updates on `batch` pictures (at least 2) hold beside the pictures, exactly; nothing is allocated for
    /// them. None on candle, whose tensors come and go.
    pub fn memory(&self, batch: usize) -> Option<StepMemory> {
        self.fast.as_ref().map(|fast| fast.memory(batch))
    }

    /// The loss and its gradients alone, for `batch` pictures (at least 2) and on maps of no meaning: the part of an
    /// update that grows with the square of the batch, for those who time it. It is repeated until `lap`, called after
    /// each time, returns false. Nothing is learnt.
    ///
    /// Returns false, and does nothing, on candle, where the loss has no form of its own.
    pub fn rehearse_loss(&mut self, batch: usize, lap: &mut dyn FnMut() -> bool) -> Result<bool> {
        let Some(fast) = &mut self.fast else { return Ok(false) };
        fast.rehearse_loss(batch, lap)?;
        Ok(true)
    }

    /// One update at learning rate `rate`: [`compute`](Self::compute), then [`apply`](Self::apply).
    ///
    /// # Shapes
    /// - views: two `[batch, channels, height, width]`; row i of both shows picture i
    /// - labels: `[batch]`, -1 for none
    ///
    /// # Errors
    /// [`Error::NonFinite`] if a loss or the gradient is not finite; the model is left as it was before the update.
    pub fn step(&mut self, views: [&Tensor; 2], labels: &[i64], rate: f64) -> Result<StepReport> {
        let batch = views[0].dims()[0];
        let positions = SourcePositions::draw(self.model.scales(), batch, self.config.seed, self.update);
        let twice = [labels, labels].concat();
        if self.fast.is_some() {
            let report = self.compute_fast(views, &twice, &positions)?;
            self.apply_fast(&report, rate)?;
            return Ok(report);
        }
        let computed = self.compute(views, &twice, &positions)?;
        let report = computed.report.clone();
        self.apply(&computed, rate)?;
        Ok(report)
    }

    /// Losses, diagnostics and gradients of a batch. Running statistics move; parameters do not.
    ///
    /// # Shapes
    /// - views: two `[batch, channels, height, width]`
    /// - labels: `[2 * batch]` (view 1, then view 2), -1 for none
    ///
    /// # Errors
    /// [`Error::NonFinite`]; the running statistics are then as they were.
    pub fn compute(
        &mut self,
        views: [&Tensor; 2],
        labels: &[i64],
        positions: &SourcePositions,
    ) -> Result<Computed> {
        if self.fast.is_some() {
            let report = self.compute_fast(views, labels, positions)?;
            return self.computed_fast(report, views[0].dims()[0]);
        }
        let (running, passes) = (self.model.running.clone(), self.model.passes.clone());
        let heads = self.model.classifiers.clone();
        let result = self.compute_unguarded(views, labels, positions);
        if result.is_err() {
            self.model.running = running;
            self.model.passes = passes;
            self.model.classifiers = heads;
        }
        result
    }

    fn compute_unguarded(
        &mut self,
        views: [&Tensor; 2],
        labels: &[i64],
        positions: &SourcePositions,
    ) -> Result<Computed> {
        let computed = match self.config.learns {
            Learns::FromViews if self.method.is_some() => self.by_method(views, labels)?,
            Learns::FromViews => {
                let (features, objective, gradient) = self.objective(views, positions)?;
                let classifier = self.classify(&features, labels)?;
                computed(features, Some(objective), classifier, Some(gradient))?
            }
            Learns::FromLabels => self.supervised(views, labels)?,
            Learns::ClassifiersAlone => {
                let features = vec![self.model.embed(views[0])?, self.model.embed(views[1])?];
                let classifier = self.classify(&features, labels)?;
                computed(features, None, classifier, None)?
            }
        };
        let StepReport { objective, classifier, gradient_norm } = &computed.report;
        self.check_finite("the loss", objective.as_ref().map_or(0.0, |report| report.total))?;
        self.check_finite("the gradient", *gradient_norm)?;
        if let Some(report) = classifier {
            self.check_finite("the classifiers' loss", report.linear_loss + report.mlp_loss)?;
        }
        Ok(computed)
    }

    /// Opens a pass on both views.
    fn open(&mut self, views: [&Tensor; 2]) -> Result<[View; 2]> {
        let chunk_size = self.config.chunk_size;
        Ok([
            View::open(&mut self.model, views[0], chunk_size)?,
            View::open(&mut self.model, views[1], chunk_size)?,
        ])
    }

    /// The classifiers' losses, and their gradient back through the global maps of both views.
    fn supervised(&mut self, views: [&Tensor; 2], labels: &[i64]) -> Result<Computed> {
        let passes = self.open(views)?;
        let features = vec![passes[0].features(&self.model)?, passes[1].features(&self.model)?];
        let (rows, mode) = (globals(&features)?, self.classifier_mode());
        let heads = self.model.classifiers.as_mut().filter(|_| labels.iter().any(|&label| label >= 0));
        let (classifier, feature_gradient) =
            heads.ok_or_else(no_labels)?.pass_to_features(&rows, labels, mode)?;
        let batch = views[0].dims()[0];
        let mut gradient: Option<Tensor> = None;
        for (view, pass) in passes.into_iter().enumerate() {
            let mut maps = pass.zeros()?;
            let global = feature_gradient.narrow(0, view * batch, batch)?;
            maps[0] = global.reshape(maps[0].shape())?;
            let own = pass.backward_from(&mut self.model, &maps)?;
            gradient = Some(gradient.map_or(Ok(own.clone()), |sum| sum + own)?);
        }
        computed(features, None, Some(classifier), gradient)
    }

    fn compute_fast(
        &mut self,
        views: [&Tensor; 2],
        labels: &[i64],
        positions: &SourcePositions,
    ) -> Result<StepReport> {
        if self.newest == Newest::Model {
            self.take_over()?;
        }
        let Some(fast) = &mut self.fast else { return Err(Error::internal("there is no fast step")) };
        let input = self.model.network().input;
        let batch = views[0].dims().first().copied().unwrap_or(0);
        for view in views {
            tensors::expect_shape("images", view, &[batch, input.channels, input.height, input.width])?;
        }
        let key = (self.config.seed, self.update);
        let report = with_slice(views[0], |first| {
            with_slice(views[1], |second| fast.compute([first, second], labels, positions, key))
        })?;
        let passes = self.config.chunk_size.map_or(1, |most| parts(batch, most).count());
        self.model.count_passes(2 * passes as u64);
        Ok(report)
    }

    fn apply_fast(&mut self, report: &StepReport, rate: f64) -> Result<()> {
        if self.newest == Newest::Model {
            self.take_over()?;
        }
        let Some(fast) = &mut self.fast else { return Err(Error::internal("there is no fast step")) };
        fast.apply(rate, &self.config.optimizer, report.gradient_norm);
        self.update += 1;
        Ok(())
    }

    /// What the fast step holds, as tensors.
    fn computed_fast(&self, report: StepReport, batch: usize) -> Result<Computed> {
        let Some(fast) = &self.fast else { return Err(Error::internal("there is no fast step")) };
        let (encoder, classifiers) = fast.gradients();
        let tensor = |values: &[f32]| -> Result<Tensor> { Ok(Tensor::new(values, &Device::Cpu)?) };
        Ok(Computed {
            report,
            encoder_gradient: Some(tensor(encoder)?),
            classifier_gradient: classifiers.map(tensor).transpose()?,
            features: {
                let [first, second] = fast.maps(batch)?;
                vec![self.model.features(first)?, self.model.features(second)?]
            },
            learnt_gradients: vec![],
            kept: vec![],
        })
    }

    /// Moves the parameters along the gradients of the last [`compute`](Self::compute), which `computed` must be.
    pub fn apply(&mut self, computed: &Computed, rate: f64) -> Result<()> {
        if self.fast.is_some() {
            return self.apply_fast(&computed.report, rate);
        }
        let optimizer = &self.config.optimizer;
        let adams = &mut self.state.optimizers;
        if let (Some(gradient), Some(adam)) = (&computed.encoder_gradient, adams.get_mut(ENCODER)) {
            let factor = clip_factor(computed.report.gradient_norm, optimizer.gradient_clip);
            let gradient = if factor < 1.0 { (gradient * factor)? } else { gradient.clone() };
            adam.update(&mut self.model.parameters, &gradient, self.used.as_ref(), rate, optimizer)?;
        }
        if let (Some(gradient), Some(heads), Some(adam)) =
            (&computed.classifier_gradient, &mut self.model.classifiers, adams.get_mut(CLASSIFIERS))
        {
            let rate = rate * heads.config().learning_rate_factor;
            adam.update(&mut heads.values, gradient, None, rate, optimizer)?;
        }
        if let Some(method) = &self.method {
            let TrainState { optimizers, carried } = &mut self.state;
            for (name, gradient) in &computed.learnt_gradients {
                let adam = optimizers.get_mut(name).ok_or_else(|| Error::internal("no such optimiser"))?;
                adam.update(method::carried_mut(carried, name)?, gradient, None, rate, optimizer)?;
            }
            carried.extend(computed.kept.iter().cloned());
            method.after_update(&self.model, carried)?;
        }
        self.update += 1;
        Ok(())
    }

    /// Everything that exact resume needs, beside `progress` and the owner's `run`.
    pub fn checkpoint(
        &mut self,
        classes: &[String],
        progress: Progress,
        run: serde_json::Value,
    ) -> Result<Checkpoint> {
        let mut file = self.model_file(classes, progress, run)?;
        self.state.save(&mut file)?;
        Ok(file)
    }

    /// Weights and configuration alone.
    pub fn model_file(
        &mut self,
        classes: &[String],
        progress: Progress,
        run: serde_json::Value,
    ) -> Result<Checkpoint> {
        self.hand_over()?;
        self.newest = Newest::Model;
        let header = Header {
            format_version: FORMAT_VERSION,
            model: self.model.config().clone(),
            classes: classes.to_vec(),
            progress,
            optimizer_steps: BTreeMap::new(),
            run,
        };
        Ok(Checkpoint { header, tensors: self.model.state()? })
    }

    /// Goes on from a checkpoint of the same model and settings.
    ///
    /// # Errors
    /// [`Error::Shape`] if a tensor is missing or of another shape; [`Error::InvalidArgument`] if the file holds no
    /// optimiser's state (a model file).
    pub fn resume(&mut self, file: &Checkpoint) -> Result<()> {
        self.hand_over()?;
        self.newest = Newest::Model;
        let state = self.state.restored(file)?;
        self.model.load_encoder(&file.tensors)?;
        self.model.load_classifiers(&file.tensors)?;
        self.state = state;
        self.newest = Newest::Model;
        self.update = file.header.progress.update;
        Ok(())
    }

    /// What the method computes, and the classifiers on the views that it looked at.
    fn by_method(&mut self, views: [&Tensor; 2], labels: &[i64]) -> Result<Computed> {
        let Some(method) = &mut self.method else { return Err(Error::internal("there is no method")) };
        let StepConfig { seed, chunk_size, .. } = self.config;
        let pictures = views[0].dim(0)?;
        let batch =
            method::Batch { views, labels: &labels[..pictures], seed, update: self.update, chunk_size };
        let outcome = method.compute(&mut self.model, &batch, &self.state.carried)?;
        let seen = outcome.features.iter().map(Features::batch).sum();
        let classifier = self.classify(&outcome.features, &labels[..seen])?;
        let mut computed =
            computed(outcome.features, Some(outcome.report), classifier, Some(outcome.gradient))?;
        for (name, gradient) in &outcome.learnt_gradients {
            self.check_finite(&format!("the gradient of {name}"), norm(gradient)?)?;
        }
        computed.learnt_gradients = outcome.learnt_gradients;
        computed.kept = outcome.kept;
        Ok(computed)
    }

    fn objective(
        &mut self,
        views: [&Tensor; 2],
        positions: &SourcePositions,
    ) -> Result<(Vec<Features>, ObjectiveReport, Tensor)> {
        let [first, second] = self.open(views)?;
        let loss = multiscale_loss([&first.taped, &second.taped], positions, &self.config.objective)?;
        let gradients = loss.total.backward()?;
        let detached = vec![first.features(&self.model)?, second.features(&self.model)?];
        let gradient =
            (first.backward(&mut self.model, &gradients)? + second.backward(&mut self.model, &gradients)?)?;
        let scalar = tensors::to_scalar;
        let report = ObjectiveReport {
            total: scalar(&loss.total)?,
            parts: loss
                .terms
                .iter()
                .map(|term| {
                    let (loss, top1) = (scalar(&term.loss)?, Some(scalar(&term.top1)?));
                    Ok(PartReport { part: Part::Term(term.term), loss, top1 })
                })
                .collect::<Result<_>>()?,
            penalty: scalar(&loss.penalty)?,
            score_mean: scalar(&loss.score_mean)?,
            score_std: scalar(&loss.score_std)?,
            score_max: scalar(&loss.score_max)?,
            posterior_entropy: mean(
                loss.terms
                    .iter()
                    .filter_map(|term| term.entropy.as_ref())
                    .map(scalar)
                    .collect::<Result<Vec<_>>>()?
                    .into_iter(),
            ),
        };
        Ok((detached, report, gradient))
    }

    fn classify(&mut self, features: &[Features], labels: &[i64]) -> Result<Option<ClassifierPass>> {
        let mode = self.classifier_mode();
        let Some(heads) = &mut self.model.classifiers else { return Ok(None) };
        if labels.iter().all(|&label| label < 0) {
            return Ok(None);
        }
        Ok(Some(heads.pass(&globals(features)?, labels, mode)?))
    }

    fn classifier_mode(&self) -> Mode {
        Mode::Train { seed: self.config.seed, update: self.update }
    }

    fn check_finite(&self, what: &str, value: f64) -> Result<()> {
        check_finite(what, value, self.update)
    }
}

/// Places of the network's outputs that the loss reads. What leads to none of them gets no gradient, and the optimiser
/// leaves it as it is, as `PyTorch`'s does: weight decay alone would drive it towards 0.
fn maps_read(model: &Model, config: &StepConfig, method: Option<&dyn Method>) -> Result<Vec<usize>> {
    let scales = model.scales();
    Ok(match (config.learns, method) {
        (Learns::ClassifiersAlone, _) => vec![],
        (Learns::FromLabels, _) => vec![GLOBAL],
        (Learns::FromViews, None) => {
            let places = config.objective.terms.iter().map(|&term| config.objective.places(term, scales));
            places.collect::<Result<Vec<_>>>()?.concat()
        }
        (Learns::FromViews, Some(method)) => {
            let is_local = |place: &usize| (1..scales.len()).contains(place);
            let outputs = 0..model.network().outputs.len();
            outputs.filter(|place| method.reads_local_maps() || !is_local(place)).collect()
        }
    })
}

/// The global features of all views, `[views * batch, embedding]`.
fn globals(features: &[Features]) -> Result<Tensor> {
    let views = features.iter().map(Features::global).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&views, 0)?)
}

fn computed(
    features: Vec<Features>,
    objective: Option<ObjectiveReport>,
    classifier: Option<ClassifierPass>,
    encoder_gradient: Option<Tensor>,
) -> Result<Computed> {
    let gradient_norm = encoder_gradient.as_ref().map_or(Ok(0.0), norm)?;
    let report =
        StepReport { objective, classifier: classifier.as_ref().map(report_classifiers), gradient_norm };
    let classifier_gradient = classifier.map(|pass| pass.gradient);
    Ok(Computed {
        report,
        encoder_gradient,
        classifier_gradient,
        features,
        learnt_gradients: vec![],
        kept: vec![],
    })
}

/// The error for a supervised batch in which nothing has a label.
pub(crate) fn no_labels() -> Error {
    Error::argument("labels", "at least one label in a batch of a supervised run", "none")
}

/// Mean of the values; none of none.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn report_classifiers(pass: &ClassifierPass) -> ClassifierReport {
    let share = |correct: usize, labelled: usize| correct as f64 / labelled.max(1) as f64;
    ClassifierReport {
        linear_loss: pass.linear.loss,
        linear_top1: share(pass.linear.correct, pass.linear.labelled),
        mlp_loss: pass.mlp.loss,
        mlp_top1: share(pass.mlp.correct, pass.mlp.labelled),
    }
}
