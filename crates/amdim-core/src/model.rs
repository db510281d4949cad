//! One network: encoder, running statistics, classifiers, and the executor that runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use amdim_network::{Builder, Network, Parameter};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Stored;
use crate::encoder::{EncoderConfig, Features, InnerLayer, Scale};
use crate::executor::{self, Executor, ExecutorKind, Pass, Precision};
use crate::loss::{MOST_COMPONENTS, MOST_HIDDEN_UNITS};
use crate::method::{self, InfomaxHeads};
use crate::nn::{ClassifierConfig, Classifiers};
use crate::{Error, Result, parameters, tensors};
use amdim_random::{Purpose, Stream};

/// Prefix of the encoder's tensors in the reference's `state_dict`.
pub const ENCODER_PREFIX: &str = "encoder.module.";
/// Prefix of the tensors of mixture features, behind [`ENCODER_PREFIX`]. (The reference has none.)
pub const MIXTURE_PREFIX: &str = "mixture";
/// Prefix of the classifiers' tensors in the reference's `state_dict`.
pub const CLASSIFIER_PREFIX: &str = "evaluator.";

/// What a model's shape depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The online classifiers.
    pub classifiers: ClassifierConfig,
    /// Number of classes of the classifiers; 0 where there are none.
    pub classes: usize,
    /// Mixture features of the global vector, where there are any. Files that were written before there were mixtures
    /// have no such field, and none.
    #[serde(default)]
    pub mixture: Option<MixtureShape>,
    /// What Deep InfoMax adds to the encoder, where it is the method. Missing in files from before there were methods.
    #[serde(default)]
    pub infomax: Option<InfomaxHeads>,
    /// Whether a head gives the spread of a stochastic code beside the vector, its mean (Deep VIB). Missing in files from
    /// before there was that method.
    #[serde(default)]
    pub bottleneck: bool,
}

/// Size of the network that makes mixture features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MixtureShape {
    /// Number of mixture features.
    pub components: usize,
    /// Units of its hidden layer.
    pub hidden_units: usize,
}

impl ModelConfig {
    /// The encoder, with no classifiers and nothing added.
    pub fn encoder_alone(encoder: EncoderConfig) -> Self {
        Self {
            encoder,
            classifiers: ClassifierConfig { enabled: false, ..ClassifierConfig::default() },
            classes: 0,
            mixture: None,
            infomax: None,
            bottleneck: false,
        }
    }

    /// The whole network: the encoder, then what is added to it, whose outputs and parameters come behind the
    /// encoder's. So those of the encoder are drawn alike with and without additions.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a configuration that makes no network.
    pub fn describe(&self) -> Result<Network> {
        let encoder = self.encoder.describe()?;
        if self.is_encoder_alone() {
            return Ok(encoder);
        }
        let maps = encoder.outputs.clone();
        let mut outputs = maps.clone();
        let mut builder = Builder::extend(encoder);
        if let Some(MixtureShape { components, hidden_units }) = self.mixture {
            for (name, most, value) in [
                ("components", MOST_COMPONENTS, components),
                ("hiddenUnits", MOST_HIDDEN_UNITS, hidden_units),
            ] {
                if !(1..=most).contains(&value) {
                    return Err(Error::argument(&format!("mixture.{name}"), format!("1 to {most}"), value));
                }
            }
            outputs.push(builder.mixture(MIXTURE_PREFIX, maps[0], components, hidden_units)?);
        }
        if let Some(heads) = &self.infomax {
            if maps.len() < 2 {
                let expected = "a kind with a local map beside method dim";
                return Err(Error::argument("encoder.kind", expected, "one without"));
            }
            outputs.extend(heads.extend(&mut builder, &maps)?);
        }
        if self.bottleneck {
            outputs.push(method::bottleneck::extend(&mut builder, maps[0])?);
        }
        Ok(builder.finish(outputs))
    }

    /// Whether nothing is added to the encoder.
    fn is_encoder_alone(&self) -> bool {
        self.mixture.is_none() && self.infomax.is_none() && !self.bottleneck
    }
}

/// Where and how a model runs; none of it changes what the weights mean.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Device of all tensors.
    pub device: Device,
    /// f32, or f64 for checks.
    pub dtype: DType,
    /// Which executor runs the encoder.
    pub executor: ExecutorKind,
    /// How it keeps its maps; `Auto` is settled when a model is made.
    pub precision: Precision,
    /// Threads of the `cpu` executor.
    pub threads: usize,
}

impl Placement {
    /// f32 on the processor with the fast executor.
    pub fn cpu(threads: usize) -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            executor: ExecutorKind::Auto,
            precision: Precision::F32,
            threads,
        }
    }

    /// f64 on the processor, for checks.
    pub fn exact(executor: ExecutorKind, threads: usize) -> Self {
        Self { dtype: DType::F64, executor, ..Self::cpu(threads) }
    }

    /// Whether the encoder runs on the `cpu` executor.
    pub fn is_fast(&self) -> bool {
        self.device.is_cpu() && self.executor != ExecutorKind::Candle
    }
}

/// Encoder, running statistics and classifiers of one network.
pub struct Model {
    config: ModelConfig,
    /// The encoder alone, the first nodes, parameters and outputs of `network`.
    encoder: Arc<Network>,
    network: Arc<Network>,
    scales: Vec<Scale>,
    placement: Placement,
    executor: Box<dyn Executor>,
    /// Runs the encoder up to an inner layer; made when one is first asked for.
    inner: Option<(InnerLayer, Box<dyn Executor>)>,
    /// Whether training passes take the running statistics, which stay.
    frozen: bool,
    /// Flat parameters of the encoder, `[parameter_len]`.
    pub parameters: Tensor,
    /// Flat running statistics of the encoder, `[buffer_len]`.
    pub running: Tensor,
    /// Training passes that each buffer of the encoder has seen (`num_batches_tracked` of its batch norm).
    pub passes: Vec<u64>,
    /// The online classifiers, where there are classes.
    pub classifiers: Option<Classifiers>,
}

impl Model {
    /// Draws a new model; `seed` alone fixes its weights.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a configuration that makes no network.
    pub fn new(config: ModelConfig, seed: u64, placement: Placement) -> Result<Self> {
        let draw = |network: &Network| {
            parameters::draw(&network.parameters, &mut Stream::new(seed, Purpose::InitEncoder, 0))
        };
        Self::with_values(config, seed, placement, draw)
    }

    /// The model of a state written by [`state`](Self::state), without drawing an encoder first.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`load_encoder`](Self::load_encoder).
    pub fn from_state(
        config: ModelConfig,
        state: &BTreeMap<String, Stored>,
        placement: Placement,
    ) -> Result<Self> {
        let zeros = |network: &Network| vec![0.0; network.parameter_len()];
        let mut model = Self::with_values(config, 0, placement, zeros)?;
        model.load_encoder(state)?;
        model.load_classifiers(state)?;
        Ok(model)
    }

    /// A model with these flat parameters of its network, and classifiers that `seed` draws.
    fn with_values(
        config: ModelConfig,
        seed: u64,
        mut placement: Placement,
        values: impl FnOnce(&Network) -> Vec<f32>,
    ) -> Result<Self> {
        placement.precision = placement.precision.resolve(placement.executor, &placement.device)?;
        let encoder = Arc::new(config.encoder.describe()?);
        let network =
            if config.is_encoder_alone() { Arc::clone(&encoder) } else { Arc::new(config.describe()?) };
        let scales = Scale::all_of(&encoder);
        let (dtype, device) = (placement.dtype, &placement.device);
        let parameters = tensors::from_vec(values(&network), dtype, device)?;
        let running = tensors::from_vec(network.initial_buffers(), dtype, device)?;
        let classifiers = draw_classifiers(&config, seed, &placement)?;
        let executor = build_executor(&network, &placement)?;
        let passes = vec![0; network.buffers.len()];
        Ok(Self {
            config,
            encoder,
            network,
            scales,
            placement,
            executor,
            inner: None,
            frozen: false,
            parameters,
            running,
            passes,
            classifiers,
        })
    }

    /// What the model's shape depends on.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The encoder's description, without what is added to it. Its parameters and running statistics are the first of
    /// [`parameters`](Self::parameters) and [`running`](Self::running).
    pub fn encoder(&self) -> &Arc<Network> {
        &self.encoder
    }

    /// The description of the whole network: the encoder, mixture features, a method's heads.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The scales of the encoder's maps, in the order of its outputs.
    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// Whether all maps of the encoder have as many channels as its embeddings have dimensions.
    pub(crate) fn has_equal_widths(&self) -> bool {
        let embedding = self.config.encoder.embedding_dim();
        self.encoder.output_shapes().iter().all(|shape| shape.channels == embedding)
    }

    /// Where the model runs.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Name of the executor that runs the encoder.
    pub fn executor_name(&self) -> &'static str {
        self.executor.name()
    }

    /// Opens a training pass of the encoder; the running statistics move. Images as in [`embed`](Self::embed).
    pub fn forward(&mut self, images: &Tensor) -> Result<Pass> {
        let pass = self.executor.forward(&self.parameters, &mut self.running, images)?;
        self.count_passes(1);
        Ok(pass)
    }

    /// A training pass of the same network with other parameters and running statistics, which it moves.
    pub(crate) fn forward_of(
        &mut self,
        parameters: &Tensor,
        running: &mut Tensor,
        images: &Tensor,
    ) -> Result<Pass> {
        self.executor.forward(parameters, running, images)
    }

    /// Whether the batch norms of training passes take the running statistics, which then stay.
    pub(crate) fn freeze_statistics(&mut self, frozen: bool) {
        self.frozen = frozen;
        self.executor.freeze_statistics(frozen);
    }

    /// Counts training passes that moved the running statistics.
    pub(crate) fn count_passes(&mut self, count: u64) {
        if self.frozen {
            return;
        }
        for (passes, buffer) in self.passes.iter_mut().zip(&self.network.buffers) {
            *passes += count * u64::from(buffer.used);
        }
    }

    /// Replaces the classifiers by newly drawn ones for `classes` classes (0: none).
    pub fn reset_classifiers(&mut self, classes: usize, seed: u64) -> Result<()> {
        self.config.classes = classes;
        self.classifiers = draw_classifiers(&self.config, seed, &self.placement)?;
        Ok(())
    }

    /// A batch of pictures as a tensor on the model's device.
    ///
    /// `values` are `[batch, channels, height, width]`, normalised.
    pub fn images(&self, values: &[f32], batch: usize) -> Result<Tensor> {
        let input = self.network.input;
        let dims = [batch, input.channels, input.height, input.width];
        tensors::from_slice(values, &dims, self.placement.dtype, &self.placement.device)
    }

    /// Features of normalised pictures `[batch, channels, height, width]` with the running statistics.
    pub fn embed(&mut self, images: &Tensor) -> Result<Features> {
        let all = self.network.all_outputs();
        let maps = self.executor.infer(&self.parameters, &self.running, images, &all)?;
        self.features(maps)
    }

    /// The map of one scale alone, `[batch, locations, channels]`, which takes less time than all features do.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the scales that there are.
    pub fn embed_at(&mut self, images: &Tensor, scale: Scale) -> Result<Tensor> {
        let place = scale.place("layer", &self.scales)?;
        let mut maps = self.executor.infer(&self.parameters, &self.running, images, &[place])?;
        maps.pop().ok_or_else(|| Error::internal("no map of a wanted output"))
    }

    /// The global vectors alone, `[batch, embedding]`.
    pub fn embed_global(&mut self, images: &Tensor) -> Result<Tensor> {
        Ok(self.embed_at(images, Scale::GLOBAL)?.squeeze(1)?)
    }

    /// An inner layer of normalised pictures `[batch, channels, height, width]` with the running statistics:
    /// `[batch, locations, channels]`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an encoder without such layers.
    pub fn embed_inner(&mut self, images: &Tensor, layer: InnerLayer) -> Result<Tensor> {
        let node = self.config.encoder.inner_node(&self.encoder, layer)?;
        if self.inner.as_ref().is_none_or(|(made, _)| *made != layer) {
            let network = Network { outputs: vec![node], ..(*self.encoder).clone() };
            self.inner = Some((layer, build_executor(&Arc::new(network), &self.placement)?));
        }
        let Some((_, executor)) = &mut self.inner else {
            return Err(Error::internal("no executor was made"));
        };
        let parameters = self.parameters.narrow(0, 0, self.encoder.parameter_len())?;
        let running = self.running.narrow(0, 0, self.encoder.buffer_len())?;
        let mut maps = executor.infer(&parameters, &running, images, &[0])?;
        maps.pop().ok_or_else(|| Error::internal("no map of a wanted output"))
    }

    /// Features with the statistics of this batch; the running statistics move, the parameters do not.
    pub fn embed_with_batch_statistics(&mut self, images: &Tensor) -> Result<Features> {
        let maps = self.forward(images)?.outputs;
        self.features(maps)
    }

    /// The maps that the network returns, in the order of its outputs, as features.
    ///
    /// # Errors
    /// [`Error::Shape`] for maps of another network.
    pub fn features(&self, mut maps: Vec<Tensor>) -> Result<Features> {
        if maps.len() != self.network.outputs.len() {
            return Err(Error::shape("maps", &[self.network.outputs.len()], &[maps.len()]));
        }
        let mut added = maps.split_off(self.scales.len()).into_iter();
        let mut features = Features::new(maps)?;
        if let Some(mixture) = self.config.mixture.and_then(|_| added.next()) {
            features = features.with_mixture(mixture)?;
        }
        let infomax = self.config.infomax.iter().flat_map(InfomaxHeads::names);
        let names = infomax.chain(self.config.bottleneck.then(method::bottleneck::head_name));
        Ok(features.with_heads(names.zip(added).collect()))
    }

    /// Every tensor under its name in the reference's `state_dict`, as f32 (counters as i64).
    pub fn state(&self) -> Result<BTreeMap<String, Stored>> {
        let mut state = self.encoder_state()?;
        if let Some(classifiers) = &self.classifiers {
            state.append(&mut classifier_state(classifiers)?);
        }
        Ok(state)
    }

    /// The encoder's tensors of [`state`](Self::state).
    pub fn encoder_state(&self) -> Result<BTreeMap<String, Stored>> {
        let mut state = BTreeMap::new();
        put_parameters(&mut state, ENCODER_PREFIX, &self.network.parameters, &self.parameters)?;
        let running = tensors::to_vec(&self.running)?;
        for (buffer, &passes) in self.network.buffers.iter().zip(&self.passes) {
            let name = format!("{ENCODER_PREFIX}{}", buffer.name);
            if let Some(norm) = name.strip_suffix("running_mean") {
                state.insert(format!("{norm}num_batches_tracked"), Stored::counter(passes));
            }
            state.insert(name, Stored::float(vec![buffer.len], running[buffer.range()].to_vec()));
        }
        Ok(state)
    }

    /// Takes the encoder's tensors from a state written by [`state`](Self::state).
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor that is missing or of another shape. The model is left as it was.
    pub fn load_encoder(&mut self, state: &BTreeMap<String, Stored>) -> Result<()> {
        let parameters = take_parameters(state, ENCODER_PREFIX, &self.network.parameters)?;
        let mut running = Vec::with_capacity(self.network.buffer_len());
        let mut passes = Vec::with_capacity(self.network.buffers.len());
        for buffer in &self.network.buffers {
            let name = format!("{ENCODER_PREFIX}{}", buffer.name);
            running.extend_from_slice(Stored::take(state, &name, &[buffer.len])?);
            let norm = name.trim_end_matches("running_mean").trim_end_matches("running_var");
            passes.push(Stored::take_counter(state, &format!("{norm}num_batches_tracked"))?);
        }
        let (dtype, device) = (self.placement.dtype, &self.placement.device);
        let parameters = tensors::from_vec(parameters, dtype, device)?;
        self.running = tensors::from_vec(running, dtype, device)?;
        self.parameters = parameters;
        self.passes = passes;
        Ok(())
    }

    /// Takes the encoder's tensors from a state of the same encoder with other additions (mixture features, heads) or
    /// none; those of this model stay as they were drawn.
    ///
    /// # Errors
    /// As [`load_encoder`](Self::load_encoder).
    pub fn load_encoder_alone(&mut self, state: &BTreeMap<String, Stored>) -> Result<()> {
        let added = &self.network.parameters[self.encoder.parameters.len()..];
        let added_buffers = &self.network.buffers[self.encoder.buffers.len()..];
        let stays = |name: &str| {
            let norm = name.strip_suffix("num_batches_tracked");
            added.iter().any(|parameter| parameter.name == name)
                || added_buffers.iter().any(|buffer| {
                    buffer.name == name || norm.is_some_and(|norm| buffer.name.starts_with(norm))
                })
        };
        let mut whole = state.clone();
        whole.extend(
            self.encoder_state()?
                .into_iter()
                .filter(|(name, _)| name.strip_prefix(ENCODER_PREFIX).is_some_and(stays)),
        );
        self.load_encoder(&whole)
    }

    /// Takes the classifiers' tensors from a state written by [`state`](Self::state).
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor that is missing or of another shape.
    pub fn load_classifiers(&mut self, state: &BTreeMap<String, Stored>) -> Result<()> {
        let Some(classifiers) = &mut self.classifiers else { return Ok(()) };
        let hidden = classifiers.config().hidden_units;
        let values = take_parameters(state, CLASSIFIER_PREFIX, &classifiers.parameters)?;
        let norm = format!("{CLASSIFIER_PREFIX}block_glb_mlp.block_forward.3.");
        let running = [
            Stored::take(state, &format!("{norm}running_mean"), &[hidden])?,
            Stored::take(state, &format!("{norm}running_var"), &[hidden])?,
        ]
        .concat();
        let passes = Stored::take_counter(state, &format!("{norm}num_batches_tracked"))?;
        let (dtype, device) = (self.placement.dtype, &self.placement.device);
        classifiers.values = tensors::from_vec(values, dtype, device)?;
        classifiers.running = tensors::from_slice(&running, &[2, hidden], dtype, device)?;
        classifiers.passes = passes;
        Ok(())
    }
}

fn build_executor(network: &Arc<Network>, placement: &Placement) -> Result<Box<dyn Executor>> {
    executor::build(
        placement.executor,
        Arc::clone(network),
        &placement.device,
        placement.dtype,
        placement.precision,
        placement.threads,
    )
}

fn draw_classifiers(config: &ModelConfig, seed: u64, placement: &Placement) -> Result<Option<Classifiers>> {
    if !config.classifiers.enabled || config.classes == 0 {
        return Ok(None);
    }
    let (dtype, device) = (placement.dtype, &placement.device);
    let embedding = config.encoder.embedding_dim();
    Ok(Some(Classifiers::new(config.classifiers.clone(), embedding, config.classes, seed, dtype, device)?))
}

/// The classifiers' tensors of [`Model::state`].
pub fn classifier_state(classifiers: &Classifiers) -> Result<BTreeMap<String, Stored>> {
    let mut state = BTreeMap::new();
    put_parameters(&mut state, CLASSIFIER_PREFIX, &classifiers.parameters, &classifiers.values)?;
    let hidden = classifiers.config().hidden_units;
    let running = tensors::to_vec(&classifiers.running)?;
    let norm = format!("{CLASSIFIER_PREFIX}block_glb_mlp.block_forward.3.");
    let running_of = |range: std::ops::Range<usize>| Stored::float(vec![hidden], running[range].to_vec());
    state.insert(format!("{norm}running_mean"), running_of(0..hidden));
    state.insert(format!("{norm}running_var"), running_of(hidden..2 * hidden));
    state.insert(format!("{norm}num_batches_tracked"), Stored::counter(classifiers.passes));
    Ok(state)
}

/// Parameters of the vector `flat`, taken out one by one: all at once would be another copy of the weights.
fn put_parameters(
    state: &mut BTreeMap<String, Stored>,
    prefix: &str,
    parameters: &[Parameter],
    flat: &Tensor,
) -> Result<()> {
    for parameter in parameters {
        let values = tensors::to_vec(&flat.narrow(0, parameter.offset, parameter.len())?)?;
        let stored = Stored::float(parameter.shape.clone(), values);
        state.insert(format!("{prefix}{}", parameter.name), stored);
    }
    Ok(())
}

fn take_parameters(
    state: &BTreeMap<String, Stored>,
    prefix: &str,
    parameters: &[Parameter],
) -> Result<Vec<f32>> {
    let mut flat = Vec::with_capacity(parameters.iter().map(Parameter::len).sum());
    for parameter in parameters {
        flat.extend_from_slice(Stored::take(
            state,
            &format!("{prefix}{}", parameter.name),
            &parameter.shape,
        )?);
    }
    if flat.iter().all(|value| value.is_finite()) {
        Ok(flat)
    } else {
        Err(Error::argument(prefix, "finite weights", "NaN or infinity"))
    }
}
