//! The training step on processors: flat vectors from the pictures to the moved parameters.
//!
//! The same step as the candle form in `train_step`, from other parts: the hand-written encoder, the fused loss, the
//! classifiers and Adam of `amdim-cpu`. After the first step of a batch size it allocates nothing.

use std::array;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

use amdim_cpu::CpuNetwork;
use amdim_cpu::adam::{adam_update, gradient_norm};
use amdim_cpu::classifiers::{ClassifierSettings, HeadReport, LabelledRows, OnlineClassifiers};
use amdim_cpu::nce::{Nce, NceConfig, NceMixture, NceReport, NceTerm};
use amdim_kernels::{Bf16, Kernel, Pool, Stored, WideBf16};
use amdim_network::{MapShape, Network};
use amdim_random::{Purpose, Stream};
use candle_core::{DType, Device, Tensor};

use crate::chunks::{largest, parts};
use crate::encoder::Scale;
use crate::executor::Precision;
use crate::loss::{ObjectiveConfig, SourcePositions, Term};
use crate::model::Model;
use crate::nn::{Classifiers, draw_mask};
use crate::optim::{Adam, AdamConfig, clip_factor};
use crate::parameters::ranges_behind;
use crate::step_memory::StepMemory;
use crate::train_state::TrainState;
use crate::train_step::{
    CLASSIFIERS, ClassifierReport, ENCODER, Learns, ObjectiveReport, Part, PartReport, StepConfig,
    StepReport, mean, no_labels,
};
use crate::{Error, Result, check_finite, tensors};

/// Views of a picture.
const VIEWS: usize = 2;
/// Place of the global map among those of any encoder.
pub(crate) const GLOBAL: usize = 0;
/// The most maps that an encoder may have: one more than the stages of a residual network, and mixture features.
const MOST_MAPS: usize = 6;
/// Value of the maps of a rehearsed loss. Any that is not 0 takes as long.
const REHEARSED: f32 = 0.1;

/// A fast training step of some precision. It holds what it trains; [`FastStep::load`] and [`FastStep::store`] exchange
/// it with the model and the optimisers' state.
pub(crate) trait FastStep: Send {
    /// Takes everything over from the model and the state.
    fn load(&mut self, model: &Model, state: &TrainState) -> Result<()>;

    /// Hands everything to the model and the state.
    fn store(&self, model: &mut Model, state: &mut TrainState) -> Result<()>;

    /// Losses, diagnostics and gradients; running statistics move, or stay as they were if it fails.
    ///
    /// # Shapes
    /// - views: `[batch, channels, height, width]` each; labels: `[2 * batch]` (view 1, then view 2), -1 for none; key: the run's seed and
    ///   the number of the update
    fn compute(
        &mut self,
        views: [&[f32]; VIEWS],
        labels: &[i64],
        positions: &SourcePositions,
        key: (u64, u64),
    ) -> Result<StepReport>;

    /// Moves the parameters along the gradients of the last `compute`.
    fn apply(&mut self, rate: f64, config: &AdamConfig, gradient_norm: f64);

    /// The gradients of the last `compute`: the encoder's and, if there were labels, the classifiers'.
    fn gradients(&self) -> (&[f32], Option<&[f32]>);

    /// The maps of both views of the last `compute`.
    fn maps(&self, batch: usize) -> Result<[Vec<Tensor>; VIEWS]>;

    /// Bytes that steps of this batch size hold; nothing is allocated for them.
    fn memory(&self, batch: usize) -> StepMemory;

    /// The loss and its gradients alone, over and over until `lap`, called after each time, says false.
    fn rehearse_loss(&mut self, batch: usize, lap: &mut dyn FnMut() -> bool) -> Result<()>;
}

/// A fast step for a model, or none where its placement or type has none.
///
/// `read` are the places of the maps that the loss reads.
pub(crate) fn build(model: &Model, config: &StepConfig, read: &[usize]) -> Result<Option<Box<dyn FastStep>>> {
    let learns = config.learns;
    let placement = model.placement();
    // The fused loss multiplies maps of one width; others are left to the form for any tensors.
    if !model.has_equal_widths() {
        return Ok(None);
    }
    if learns == Learns::ClassifiersAlone || !placement.is_fast() || placement.dtype != DType::F32 {
        return Ok(None);
    }
    Ok(Some(match placement.precision {
        Precision::Bf16 if Kernel::selected()?.has_fast_bf16() => {
            Box::new(CpuStep::<Bf16>::new(model, config, read)?)
        }
        Precision::Bf16 => Box::new(CpuStep::<WideBf16>::new(model, config, read)?),
        Precision::Auto | Precision::F32 => Box::new(CpuStep::<f32>::new(model, config, read)?),
    }))
}

/// A flat vector that Adam moves.
#[derive(Debug, Default)]
struct Learnt {
    values: Vec<f32>,
    gradient: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: u64,
    used: Vec<Range<usize>>,
}

impl Learnt {
    /// So many numbers, of which Adam moves those in `used`.
    fn new(length: usize, used: Vec<Range<usize>>) -> Self {
        let zeros = || vec![0.0; length];
        Self { values: zeros(), gradient: zeros(), mean: zeros(), square: zeros(), steps: 0, used }
    }

    fn load(&mut self, values: &Tensor, adam: &Adam) -> Result<()> {
        self.values = tensors::to_vec(values)?;
        self.mean = tensors::to_vec(&adam.mean)?;
        self.square = tensors::to_vec(&adam.square)?;
        self.steps = adam.steps;
        Ok(())
    }

    /// Bytes that it holds: values, gradient and the two moments.
    fn bytes(&self) -> usize {
        4 * self.values.len() * size_of::<f32>()
    }

    fn store(&self) -> Result<(Tensor, Adam)> {
        let tensor = |values: &[f32]| -> Result<Tensor> { Ok(Tensor::new(values, &Device::Cpu)?) };
        let adam = Adam { mean: tensor(&self.mean)?, square: tensor(&self.square)?, steps: self.steps };
        Ok((tensor(&self.values)?, adam))
    }

    fn update(&mut self, pool: &Pool, kernel: Kernel, rate: f64, config: &AdamConfig, gradient_factor: f64) {
        self.steps += 1;
        let step = config.step(rate, gradient_factor, self.steps);
        let state = [&mut self.values[..], &mut self.mean[..], &mut self.square[..]];
        adam_update(pool, kernel, &step, state, &self.gradient, &self.used);
    }
}

/// The online classifiers of a run.
#[derive(Debug)]
struct Heads {
    classifiers: OnlineClassifiers<f32>,
    learnt: Learnt,
    /// `[2, hidden]`, and as it was before the step.
    running: [Vec<f32>; 2],
    passes: u64,
    dropout: f64,
    /// Their learning rate over the encoder's.
    rate_factor: f64,
    embedding: usize,
    hidden: usize,
    /// `[2 * batch, embedding]`
    features: Vec<f32>,
    /// Of a supervised run, `[2 * batch, embedding]`.
    feature_gradient: Vec<f32>,
    masks: [Vec<f32>; 2],
    /// Whether the last step had labels.
    learns: bool,
}

impl Heads {
    fn new(classifiers: &Classifiers, embedding: usize, kernel: Kernel) -> Result<Self> {
        let config = classifiers.config();
        let settings = ClassifierSettings {
            embedding,
            hidden: config.hidden_units,
            classes: classifiers.classes(),
            logit_clip: config.logit_clip,
            logit_penalty: config.logit_penalty,
            label_smoothing: config.label_smoothing,
            confidence_penalty: config.confidence_penalty,
        };
        let length = classifiers.values.elem_count();
        Ok(Self {
            classifiers: OnlineClassifiers::new(settings, kernel)?,
            learnt: Learnt::new(length, iter::once(0..length).collect()),
            running: [vec![], vec![]],
            passes: 0,
            dropout: config.dropout,
            rate_factor: config.learning_rate_factor,
            embedding,
            hidden: config.hidden_units,
            features: vec![],
            feature_gradient: vec![],
            masks: [vec![], vec![]],
            learns: false,
        })
    }

    /// Bytes beside [`Learnt`] that a step of this batch size holds.
    fn bytes(&self, batch: usize, threads: usize, learns: Learns) -> usize {
        let rows = VIEWS * batch;
        let masks = if self.dropout > 0.0 { self.embedding + self.hidden } else { 0 };
        let features = if learns == Learns::FromLabels { 2 * self.embedding } else { self.embedding };
        let values = rows * (features + masks) + 2 * VIEWS * self.hidden;
        values * size_of::<f32>() + self.classifiers.bytes(rows, threads)
    }

    /// Losses and gradients; with `learns` from labels that of the features too.
    fn compute(
        &mut self,
        pool: &Pool,
        labels: &[i64],
        (seed, update): (u64, u64),
        learns: Learns,
    ) -> Result<ClassifierReport> {
        let masks = if self.dropout > 0.0 {
            let mut stream = Stream::new(seed, Purpose::Dropout, update);
            for (mask, width) in self.masks.iter_mut().zip([self.embedding, self.hidden]) {
                mask.resize(labels.len() * width, 0.0);
                draw_mask(&mut stream, self.dropout, mask);
            }
            Some([&self.masks[0][..], &self.masks[1]])
        } else {
            None
        };
        let Learnt { values, gradient, .. } = &mut self.learnt;
        let (features, running) = (&self.features[..], &mut self.running[0]);
        let feature_gradient = (learns == Learns::FromLabels).then(|| {
            self.feature_gradient.resize(features.len(), 0.0);
            &mut self.feature_gradient[..]
        });
        let batch = LabelledRows { features, labels, masks };
        let report = self.classifiers.train(pool, values, running, batch, gradient, feature_gradient)?;
        self.passes += 1;
        self.learns = true;
        let top1 = |head: HeadReport| head.correct as f64 / head.labelled.max(1) as f64;
        Ok(ClassifierReport {
            linear_loss: report.linear.loss,
            linear_top1: top1(report.linear),
            mlp_loss: report.mlp.loss,
            mlp_top1: top1(report.mlp),
        })
    }
}

/// A fast step with maps kept as `S`.
struct CpuStep<S: Stored<Real = f32>> {
    kernel: Kernel,
    pool: Arc<Pool>,
    network: Arc<Network>,
    engine: CpuNetwork<S>,
    /// The objective, where the encoder learns from it.
    nce: Option<Nce<S>>,
    /// Those of the network's outputs, mixture features aside.
    scales: Vec<Scale>,
    objective: ObjectiveConfig,
    learns: Learns,
    /// Whether the loss reads each of the network's outputs.
    reads: Vec<bool>,
    encoder: Learnt,
    /// Running statistics, and as they were before the step.
    running: [Vec<f32>; 2],
    /// Gradients of the maps of both views.
    map_gradients: [Vec<Vec<f32>>; VIEWS],
    heads: Option<Heads>,
    partials: Vec<f64>,
    /// Where a batch takes part after part through the encoder.
    chunked: Option<Chunked<S>>,
}

/// What a step in parts holds of the whole batch. (Gao, Zhang, Han, Callan 2021, arXiv 2101.06983.)
struct Chunked<S> {
    /// Most pictures of a part.
    most: usize,
    /// The maps of both views.
    maps: [Vec<Vec<S>>; VIEWS],
    /// Running statistics that the second passes move, and nobody reads.
    running: Vec<f32>,
}

impl<S: Stored<Real = f32>> CpuStep<S> {
    fn new(model: &Model, config: &StepConfig, read: &[usize]) -> Result<Self> {
        let StepConfig { objective, learns, chunk_size, statistics_frozen, .. } = config;
        let learns = *learns;
        let (kernel, network) = (Kernel::selected()?, Arc::clone(model.network()));
        let pool = Arc::new(Pool::new(model.placement().threads)?);
        let embedding = model.config().encoder.embedding_dim();
        let scales = model.scales();
        if network.outputs.len() > MOST_MAPS {
            return Err(Error::argument(
                "encoder",
                format!("at most {MOST_MAPS} maps"),
                network.outputs.len(),
            ));
        }
        let term = |&term: &Term| -> Result<NceTerm> {
            let [source, target] = objective.places(term, scales)?;
            Ok(NceTerm { source, target })
        };
        let locations: Vec<usize> = network.output_shapes().iter().map(MapShape::locations).collect();
        let nce = || -> Result<Nce<S>> {
            let config = NceConfig {
                score_clip: objective.score_clip,
                logit_penalty: objective.logit_penalty,
                terms: objective.terms.iter().map(term).collect::<Result<_>>()?,
                mixture: objective.mixture.as_ref().map(|mixture| NceMixture {
                    map: scales.len(),
                    entropy_weight: mixture.entropy_weight,
                    temperature: mixture.posterior_temperature(),
                    stop_posterior: mixture.stop_posterior,
                }),
            };
            Ok(Nce::new(config, &locations, embedding, kernel)?)
        };
        // Labels need no terms, which may be those of another encoder's maps.
        let nce = (learns == Learns::FromViews).then(nce).transpose()?;
        let heads = model.classifiers.as_ref();
        let passes = if chunk_size.is_some() { 1 } else { VIEWS };
        let mut engine = CpuNetwork::new(Arc::clone(&network), kernel, Arc::clone(&pool), passes)?;
        engine.freeze_statistics(*statistics_frozen);
        Ok(Self {
            engine,
            chunked: chunk_size.map(|most| Chunked { most, maps: [vec![], vec![]], running: vec![] }),
            nce,
            scales: scales.to_vec(),
            objective: objective.clone(),
            learns,
            reads: (0..network.outputs.len()).map(|map| read.contains(&map)).collect(),
            encoder: Learnt::new(network.parameter_len(), ranges_behind(&network, read)),
            running: [vec![], vec![]],
            map_gradients: [vec![], vec![]],
            heads: heads.map(|heads| Heads::new(heads, embedding, kernel)).transpose()?,
            partials: vec![],
            kernel,
            pool,
            network,
        })
    }

    fn compute_unguarded(
        &mut self,
        views: [&[f32]; VIEWS],
        labels: &[i64],
        positions: &SourcePositions,
        key: (u64, u64),
    ) -> Result<StepReport> {
        let batch = views[0].len() / self.network.input.len();
        self.forward(views, batch)?;
        self.resize_map_gradients(batch);
        self.keep_features(batch);
        let mut report = StepReport { objective: None, classifier: None, gradient_norm: 0.0 };
        if self.learns == Learns::FromLabels {
            report.classifier = self.classify(labels, key)?;
            self.spread_feature_gradient(batch)?;
        } else {
            let objective = self.objective(batch, positions)?;
            check_finite("the loss", objective.total, key.1)?;
            report.objective = Some(objective);
        }
        self.backward(views, batch)?;
        report.gradient_norm =
            gradient_norm(&self.pool, self.kernel, &self.encoder.gradient, &mut self.partials);
        check_finite("the gradient", report.gradient_norm, key.1)?;
        if self.learns == Learns::FromViews {
            report.classifier = self.classify(labels, key)?;
        }
        Ok(report)
    }

    /// Takes both views through the encoder; running statistics move.
    fn forward(&mut self, views: [&[f32]; VIEWS], batch: usize) -> Result<()> {
        let Self { engine, running: [running, _], network, chunked, .. } = self;
        let Some(Chunked { most, maps, .. }) = chunked else {
            for (slot, view) in views.into_iter().enumerate() {
                engine.forward(slot, running, view, batch)?;
            }
            return Ok(());
        };
        let picture = network.input.len();
        for (view, maps) in views.into_iter().zip(maps) {
            maps.resize_with(network.outputs.len(), Vec::new);
            for (map, &node) in maps.iter_mut().zip(&network.outputs) {
                map.resize(batch * network.nodes[node].shape.len(), S::from_real(0.0));
            }
            for part in parts(batch, *most) {
                engine.forward(0, running, &view[part.start * picture..part.end * picture], part.len())?;
                for (place, map) in maps.iter_mut().enumerate() {
                    let values = map.len() / batch;
                    map[part.start * values..part.end * values].copy_from_slice(engine.output(0, place));
                }
            }
        }
        Ok(())
    }

    /// The gradient of the encoder from those of the maps.
    fn backward(&mut self, views: [&[f32]; VIEWS], batch: usize) -> Result<()> {
        let Self { engine, running: [running, _], network, chunked, map_gradients, reads, encoder, .. } =
            self;
        let count = network.outputs.len();
        encoder.gradient.fill(0.0);
        let Some(chunked) = chunked else {
            for (slot, gradients) in map_gradients.iter().enumerate() {
                let gradients = gradients_read(gradients, reads, batch, 0..batch);
                engine.backward(slot, &gradients[..count], &mut encoder.gradient)?;
            }
            return Ok(());
        };
        let picture = network.input.len();
        chunked.running.resize(running.len(), 0.0);
        for (view, gradients) in views.into_iter().zip(map_gradients) {
            for part in parts(batch, chunked.most) {
                // The statistics have moved by these pictures already.
                chunked.running.copy_from_slice(running);
                let images = &view[part.start * picture..part.end * picture];
                engine.forward(0, &mut chunked.running, images, part.len())?;
                let gradients = gradients_read(gradients, reads, batch, part);
                engine.backward(0, &gradients[..count], &mut encoder.gradient)?;
            }
        }
        Ok(())
    }

    /// A map of the last forward pass of a view.
    fn map(&self, view: usize, map: usize) -> &[S] {
        match &self.chunked {
            Some(chunked) => chunked.maps[view].get(map).map_or(&[], Vec::as_slice),
            None => self.engine.output(view, map),
        }
    }

    /// The objective on the maps of both views; their gradients go to `map_gradients`.
    fn objective(&mut self, batch: usize, positions: &SourcePositions) -> Result<ObjectiveReport> {
        let (engine, chunked, count) = (&self.engine, &self.chunked, self.network.outputs.len());
        let maps = [0, 1].map(|view| {
            each_map(count, |map| match chunked {
                Some(chunked) => &chunked.maps[view][map][..],
                None => engine.output(view, map),
            })
        });
        let positions = positions_of(&self.scales, positions);
        let [first, second] = &mut self.map_gradients;
        let nce = self.nce.as_mut().ok_or_else(|| Error::internal("there is no objective"))?;
        let report = nce.run(
            &self.pool,
            batch,
            [&maps[0][..count], &maps[1][..count]],
            [&positions[0][..count], &positions[1][..count]],
            [first, second],
        )?;
        Ok(objective_report(&self.objective, report))
    }

    /// The classifiers on the features kept, where there are labels.
    fn classify(&mut self, labels: &[i64], key: (u64, u64)) -> Result<Option<ClassifierReport>> {
        let Some(heads) = &mut self.heads else { return Ok(None) };
        heads.learns = false;
        if labels.iter().all(|&label| label < 0) {
            return Ok(None);
        }
        let report = heads.compute(&self.pool, labels, key, self.learns)?;
        check_finite("the classifiers' loss", report.linear_loss + report.mlp_loss, key.1)?;
        Ok(Some(report))
    }

    /// The classifiers' gradient of the features as that of the global maps, the only ones that the loss reads.
    fn spread_feature_gradient(&mut self, batch: usize) -> Result<()> {
        let heads = self.heads.as_ref().filter(|heads| heads.learns).ok_or_else(no_labels)?;
        let views = heads.feature_gradient.chunks_exact(batch * heads.embedding);
        for (maps, gradient) in self.map_gradients.iter_mut().zip(views) {
            maps[GLOBAL].copy_from_slice(gradient);
        }
        Ok(())
    }

    /// Bytes of the objective's own memory.
    fn loss_bytes(&self, batch: usize) -> usize {
        self.nce.as_ref().map_or(0, |nce| nce.bytes(batch))
    }

    fn resize_map_gradients(&mut self, batch: usize) {
        let outputs = self.network.outputs.len();
        for view in &mut self.map_gradients {
            view.resize_with(outputs, Vec::new);
            for (map, &node) in view.iter_mut().zip(&self.network.outputs) {
                map.resize(batch * self.network.nodes[node].shape.len(), 0.0);
            }
        }
    }

    /// Copies the global features of both views for the classifiers.
    fn keep_features(&mut self, batch: usize) {
        let Some(mut heads) = self.heads.take() else { return };
        let length = batch * heads.embedding;
        heads.features.resize(VIEWS * length, 0.0);
        for (view, features) in heads.features.chunks_exact_mut(length).enumerate() {
            for (to, value) in features.iter_mut().zip(self.map(view, GLOBAL)) {
                *to = value.to_real();
            }
        }
        self.heads = Some(heads);
    }
}

impl<S: Stored<Real = f32>> FastStep for CpuStep<S> {
    fn load(&mut self, model: &Model, state: &TrainState) -> Result<()> {
        let adam = |group| {
            state
                .optimizers
                .get(group)
                .ok_or_else(|| Error::internal("a group of parameters has no optimiser"))
        };
        self.encoder.load(&model.parameters, adam(ENCODER)?)?;
        self.running = [tensors::to_vec(&model.running)?, tensors::to_vec(&model.running)?];
        if let (Some(heads), Some(classifiers)) = (&mut self.heads, &model.classifiers) {
            heads.learnt.load(&classifiers.values, adam(CLASSIFIERS)?)?;
            heads.running = [tensors::to_vec(&classifiers.running)?, tensors::to_vec(&classifiers.running)?];
            heads.passes = classifiers.passes;
        }
        Ok(self.engine.set_parameters(&self.encoder.values)?)
    }

    fn store(&self, model: &mut Model, state: &mut TrainState) -> Result<()> {
        let (parameters, adam) = self.encoder.store()?;
        model.parameters = parameters;
        state.optimizers.insert(ENCODER, adam);
        model.running = Tensor::new(&self.running[0][..], &Device::Cpu)?;
        if let (Some(heads), Some(classifiers)) = (&self.heads, &mut model.classifiers) {
            let (values, adam) = heads.learnt.store()?;
            classifiers.values = values;
            classifiers.running = Tensor::from_slice(&heads.running[0], (2, heads.hidden), &Device::Cpu)?;
            classifiers.passes = heads.passes;
            state.optimizers.insert(CLASSIFIERS, adam);
        }
        Ok(())
    }

    fn compute(
        &mut self,
        views: [&[f32]; VIEWS],
        labels: &[i64],
        positions: &SourcePositions,
        key: (u64, u64),
    ) -> Result<StepReport> {
        let [running, before] = &mut self.running;
        before.copy_from_slice(running);
        let passes = self.heads.as_mut().map(|heads| {
            let [running, before] = &mut heads.running;
            before.copy_from_slice(running);
            heads.passes
        });
        let result = self.compute_unguarded(views, labels, positions, key);
        if result.is_err() {
            let [running, before] = &mut self.running;
            running.copy_from_slice(before);
            if let (Some(heads), Some(passes)) = (&mut self.heads, passes) {
                let [running, before] = &mut heads.running;
                running.copy_from_slice(before);
                heads.passes = passes;
            }
        }
        result
    }

    fn apply(&mut self, rate: f64, config: &AdamConfig, gradient_norm: f64) {
        let factor = clip_factor(gradient_norm, config.gradient_clip);
        self.encoder.update(&self.pool, self.kernel, rate, config, factor);
        if let Err(error) = self.engine.set_parameters(&self.encoder.values) {
            unreachable!("the vector is the network's own: {error}");
        }
        if let Some(heads) = self.heads.as_mut().filter(|heads| heads.learns) {
            heads.learnt.update(&self.pool, self.kernel, rate * heads.rate_factor, config, 1.0);
        }
    }

    fn gradients(&self) -> (&[f32], Option<&[f32]>) {
        let heads = self.heads.as_ref().filter(|heads| heads.learns);
        (&self.encoder.gradient, heads.map(|heads| &heads.learnt.gradient[..]))
    }

    fn maps(&self, batch: usize) -> Result<[Vec<Tensor>; VIEWS]> {
        let maps = |slot| {
            let shapes = self.network.output_shapes();
            let maps = shapes.iter().enumerate().map(|(place, shape)| -> Result<Tensor> {
                let map = self.map(slot, place);
                let values: Vec<f32> = map.iter().map(|value| value.to_real()).collect();
                Ok(Tensor::from_vec(values, (batch, shape.locations(), shape.channels), &Device::Cpu)?)
            });
            maps.collect::<Result<Vec<_>>>()
        };
        Ok([maps(0)?, maps(1)?])
    }

    fn memory(&self, batch: usize) -> StepMemory {
        let most = self.chunked.as_ref().map(|chunked| chunked.most);
        let network = self.engine.memory(largest(batch, most));
        let threads = self.pool.threads();
        let outputs: usize = self.network.output_shapes().iter().map(MapShape::len).sum();
        let running = self.running.len() * self.network.buffer_len();
        let chunk_running = most.map_or(0, |_| self.network.buffer_len());
        let heads = self.heads.as_ref();
        let learnt = || [&self.encoder].into_iter().chain(heads.map(|heads| &heads.learnt));
        StepMemory {
            parameters: network.parameters
                + learnt().map(Learnt::bytes).sum::<usize>()
                + (running + chunk_running) * size_of::<f32>(),
            maps: network.maps
                + VIEWS * batch * outputs * size_of::<f32>()
                + most.map_or(0, |_| VIEWS * batch * outputs * size_of::<S>()),
            loss: self.loss_bytes(batch) + heads.map_or(0, |heads| heads.bytes(batch, threads, self.learns)),
            scratch: network.scratch,
            // Parameters and two moments, in two forms.
            checkpoint: learnt().map(|learnt| 6 * learnt.values.len() * size_of::<f32>()).sum(),
        }
    }

    fn rehearse_loss(&mut self, batch: usize, lap: &mut dyn FnMut() -> bool) -> Result<()> {
        self.resize_map_gradients(batch);
        let map = |shape: &MapShape| vec![S::from_real(REHEARSED); batch * shape.len()];
        let maps: Vec<Vec<S>> = self.network.output_shapes().iter().map(map).collect();
        let count = maps.len();
        let maps: [&[S]; MOST_MAPS] = each_map(count, |map| &maps[map][..]);
        let maps = &maps[..count];
        let drawn = SourcePositions::draw(&self.scales, batch, 0, 0);
        let positions = positions_of(&self.scales, &drawn);
        let positions = [&positions[0][..count], &positions[1][..count]];
        loop {
            if let Some(nce) = &mut self.nce {
                let [first, second] = &mut self.map_gradients;
                nce.run(&self.pool, batch, [maps, maps], positions, [first, second])?;
            }
            if !lap() {
                return Ok(());
            }
        }
    }
}

/// `value` of each of the first `count` maps, beside a step's memory: nothing is allocated.
fn each_map<T: Default>(count: usize, mut value: impl FnMut(usize) -> T) -> [T; MOST_MAPS] {
    array::from_fn(|map| if map < count { value(map) } else { T::default() })
}

/// The gradients of some pictures' maps; those of maps that the loss does not read are empty.
fn gradients_read<'a>(
    gradients: &'a [Vec<f32>],
    reads: &[bool],
    batch: usize,
    pictures: Range<usize>,
) -> [&'a [f32]; MOST_MAPS] {
    each_map(gradients.len(), |map| {
        let values = if reads[map] { gradients[map].len() / batch } else { 0 };
        &gradients[map][pictures.start * values..pictures.end * values]
    })
}

/// The source positions of both views, a map at a time.
fn positions_of<'a>(
    scales: &[Scale],
    positions: &'a SourcePositions,
) -> [[Option<&'a [u32]>; MOST_MAPS]; VIEWS] {
    [0, 1].map(|view| each_map(scales.len(), |map| positions.of(scales[map], view)))
}

fn objective_report(objective: &ObjectiveConfig, report: &NceReport) -> ObjectiveReport {
    ObjectiveReport {
        total: report.total,
        parts: objective
            .terms
            .iter()
            .zip(&report.terms)
            .map(|(&term, report)| PartReport {
                part: Part::Term(term),
                loss: report.loss,
                top1: Some(report.top1),
            })
            .collect(),
        penalty: report.penalty,
        score_mean: report.score_mean,
        score_std: report.score_std,
        score_max: report.score_max,
        posterior_entropy: mean(
            objective
                .terms
                .iter()
                .zip(&report.terms)
                .filter(|(term, _)| objective.mixture_of(**term).is_some())
                .map(|(_, report)| report.entropy),
        ),
    }
}
