//! The multiscale InfoNCE loss of two views with its gradients, block by block: the score tensor never exists as a
//! whole.
//!
//! Terms with the same target map share their products: their source vectors are stacked to one matrix. Each of a
//! fixed number of groups of target pictures walks over its rows twice. The first walk gathers, for each source, the
//! sum of `exp` over its negatives, and the scores of its positives; then the losses are known. The second walk
//! computes the products and their soft clip again (or reads them, as far as a few megabytes hold them), their
//! derivatives, and from these the gradients of targets and sources.
//!
//! Mixture features are so many more sources. Only between the walks, where losses and their derivatives by the
//! log-softmaxes are made, are the components of a picture seen together (`mixture`).

mod mixture;
mod walks;

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_kernels::gemm::{Gemm, Right, Rows};
use amdim_kernels::{Buffer, Kernel, Pool, Real, Stored, vectorized};

use crate::CpuError;
use crate::elementwise::convert;
use crate::error::check_length;
use crate::groups::{Groups, MAX_GROUPS};
use mixture::{MixtureSums, MixtureTask, Normalised};
use walks::{BLOCK, Group, Scale, Shared, Walk, backward, gather};

pub use mixture::{MOST_COMPONENTS, NceMixture};

/// Products that a group keeps from the first walk for the second, at most, and their soft clip: 4 MiB of `f32`.
const KEPT: usize = 1 << 19;

/// Up to this clip, `exp(score - clip)` of every possible score is a normal `f32`, so that the clip itself serves as
/// the shift that keeps `exp` in range. Beyond it, the largest score met does.
const FIXED_SHIFT_LIMIT: f64 = 30.0;

/// A prediction task: source vectors of one view against a map of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NceTerm {
    /// Index of the source map. A map of one location is the source vector itself; of a larger one, one location a
    /// picture is; of the map of [`NceMixture`], all are.
    pub source: usize,
    /// Index of the target map, all of whose locations are predicted.
    pub target: usize,
}

/// The loss' settings; see `amdim-core`'s `multiscale_loss`, which defines it.
#[derive(Debug, Clone, PartialEq)]
pub struct NceConfig {
    /// Soft clip of the scores; positive. None: no clip.
    pub score_clip: Option<f64>,
    /// Weight of the mean squared score before clipping.
    pub logit_penalty: f64,
    /// The prediction tasks.
    pub terms: Vec<NceTerm>,
    /// The map of mixture features, if there is one, and how they share the targets.
    pub mixture: Option<NceMixture>,
}

/// What one term gave, both directions averaged.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NceTermReport {
    /// InfoNCE loss in nats.
    pub loss: f64,
    /// Share of positive pairs above all their negatives; of mixture features, each with its posterior as weight.
    pub top1: f64,
    /// Mean entropy of the posteriors of mixture features, in nats; 0 of other sources.
    pub entropy: f64,
}

/// The loss and its diagnostics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NceReport {
    /// Sum of the terms and the penalty, in nats.
    pub total: f64,
    /// The terms in the order of the configuration.
    pub terms: Vec<NceTermReport>,
    /// Half the sum over terms and directions of `logit_penalty * mean(score^2)`.
    pub penalty: f64,
    /// Mean of the scores before clipping, over all terms and directions.
    pub score_mean: f64,
    /// Their standard deviation.
    pub score_std: f64,
    /// The largest of them in absolute value.
    pub score_max: f64,
}

/// The fused loss with the memory that it works in; see the module page.
///
/// The batch is cut up by its size alone and partial sums are added in a fixed order: results are the same, bit for
/// bit, for any number of threads. Nothing is allocated while batches don't grow.
#[derive(Debug)]
pub struct Nce<S: Stored> {
    config: NceConfig,
    locations: Vec<usize>,
    embedding: usize,
    kernel: Kernel,
    gemm: Gemm<S>,
    targets: Vec<Target>,
    memory: Memory<S>,
    groups: Vec<Group<S>>,
    totals: Totals,
    report: NceReport,
}

/// A target map in use, and the sources that it is scored with: `slots` times as many as there are pictures.
#[derive(Debug)]
struct Target {
    map: usize,
    /// Indexes of its terms, with the slots of each.
    terms: Vec<(usize, Range<usize>)>,
    slots: usize,
}

/// What the groups share, for one target map and direction.
#[derive(Debug)]
struct Memory<S: Stored> {
    /// Stacked source vectors, `[sources, embedding]`.
    sources: Buffer<S::Packed>,
    /// The same, packed as `[embedding, sources]` and as `[sources, embedding]`.
    packed: [Buffer<S::Packed>; 2],
    /// `[picture, slot, location]`: clipped scores of the positives, then the derivatives of their losses by them.
    positives: Buffer<S::Real>,
    /// What is subtracted from each source's scores before `exp`.
    shifts: Buffer<S::Real>,
    /// Derivative of each source's losses by its negatives' scores, over `exp(score - shift)`.
    negative_weights: Buffer<S::Real>,
    /// Derivative of the penalty by a score of each source, over the score, times [`Scale::score`].
    penalties: Buffer<S::Real>,
    /// Gradients of the stacked sources.
    gradients: Buffer<S::Real>,
    /// Each component's negatives; empty without mixture features.
    normalised: Buffer<Normalised>,
    /// `[picture, component]`: negative weights of one mixture term; empty without mixture features.
    mixture_weights: Buffer<f64>,
}

impl NceConfig {
    /// The mixture, if this map holds its components.
    fn components(&self, map: usize) -> Option<&NceMixture> {
        self.mixture.as_ref().filter(|mixture| mixture.map == map)
    }
}

impl<S: Stored> Nce<S> {
    /// A loss over maps with `locations` locations each, of `embedding` channels.
    ///
    /// # Errors
    /// [`CpuError::Objective`] for settings out of range or a term over a map that is not there.
    pub fn new(
        config: NceConfig,
        locations: &[usize],
        embedding: usize,
        kernel: Kernel,
    ) -> Result<Self, CpuError> {
        let wrong = |problem| Err(CpuError::Objective { problem });
        if config.score_clip.is_some_and(|clip| !(clip.is_finite() && clip > 0.0)) {
            return wrong("the score clip must be a positive number, or none");
        }
        if !(config.logit_penalty.is_finite() && config.logit_penalty >= 0.0) {
            return wrong("the logit penalty must be 0 or a positive number");
        }
        if config.terms.is_empty() {
            return wrong("it needs at least one term");
        }
        if config.terms.iter().any(|term| term.source.max(term.target) >= locations.len()) {
            return wrong("a term names a map that is not there");
        }
        if !Gemm::<S>::exists(kernel) {
            return Err(amdim_kernels::KernelError::Unsupported { kernel }.into());
        }
        if let Some(mixture) = &config.mixture {
            mixture.check(locations)?;
        }
        let mut targets: Vec<Target> = vec![];
        for (index, term) in config.terms.iter().enumerate() {
            let slots = config.components(term.source).map_or(1, |mixture| locations[mixture.map]);
            let known = targets.iter().position(|target| target.map == term.target);
            let place = known.unwrap_or_else(|| {
                targets.push(Target { map: term.target, terms: vec![], slots: 0 });
                targets.len() - 1
            });
            let target = &mut targets[place];
            target.terms.push((index, target.slots..target.slots + slots));
            target.slots += slots;
        }
        let report =
            NceReport { terms: vec![NceTermReport::default(); config.terms.len()], ..NceReport::default() };
        Ok(Self {
            config,
            locations: locations.to_vec(),
            embedding,
            kernel,
            gemm: Gemm::new(kernel),
            targets,
            memory: Memory {
                sources: Buffer::default(),
                packed: [Buffer::default(), Buffer::default()],
                positives: Buffer::default(),
                shifts: Buffer::default(),
                negative_weights: Buffer::default(),
                penalties: Buffer::default(),
                gradients: Buffer::default(),
                normalised: Buffer::default(),
                mixture_weights: Buffer::default(),
            },
            groups: vec![],
            totals: Totals::default(),
            report,
        })
    }

    /// The loss of two views, and its gradients by all maps, which replace what `gradients` held.
    ///
    /// # Shapes
    /// - views, gradients: for each map `[batch, locations, embedding]`; picture i is the same in both views
    /// - positions: for each view and map, the source location of every picture, `[batch]`; none where no term needs it
    ///
    /// # Errors
    /// [`CpuError::Length`]; [`CpuError::Objective`] for fewer than two pictures, a position that is missing or beyond
    /// its map. NaN goes through to the results.
    pub fn run(
        &mut self,
        pool: &Pool,
        batch: usize,
        views: [&[&[S]]; 2],
        positions: [&[Option<&[u32]>]; 2],
        gradients: [&mut [Vec<S::Real>]; 2],
    ) -> Result<&NceReport, CpuError> {
        self.check(batch, views, positions, &gradients)?;
        self.resize(batch);
        let mut gradients = gradients;
        for map in gradients.iter_mut().flat_map(|view| view.iter_mut()) {
            pool.for_each_chunk(map, 1 << 14, |_, part, _| part.fill(S::Real::default()));
        }
        self.report.total = 0.0;
        self.report.penalty = 0.0;
        self.report.terms.fill(NceTermReport::default());
        self.totals = Totals::default();
        let targets = take(&mut self.targets);
        for target in &targets {
            for (from, to) in [(0, 1), (1, 0)] {
                self.direction(pool, batch, target, (from, to), views, positions, &mut gradients);
            }
        }
        self.targets = targets;
        let (report, totals) = (&mut self.report, &self.totals);
        report.total = report.penalty + report.terms.iter().map(|term| term.loss).sum::<f64>();
        report.score_mean = totals.sum / totals.count;
        report.score_std = (totals.squares / totals.count - report.score_mean.powi(2)).max(0.0).sqrt();
        report.score_max = totals.largest;
        Ok(report)
    }

    /// Bytes that [`Nce::run`] holds for a batch of this size; nothing is allocated for them.
    pub fn bytes(&self, batch: usize) -> usize {
        let [slots, positives] = self.widest();
        let (count, embedding, gemm) = (batch * slots, self.embedding, self.gemm);
        let sources = count * embedding;
        let packed = gemm.packed_len(embedding, count) + gemm.packed_len(count, embedding);
        let packed = sources + packed + MAX_GROUPS * gemm.transposed_scratch(BLOCK, count);
        let stored = MAX_GROUPS * BLOCK * count;
        let of_group = self.kept_len(batch) + self.shares_len(batch) + sources + 7 * count;
        let real = batch * positives + 3 * count + sources + MAX_GROUPS * of_group;
        let sums = MAX_GROUPS * 4 * count + batch * self.components();
        let normalised = if self.components() > 0 { count * size_of::<Normalised>() } else { 0 };
        let numbers = stored * size_of::<S>() + packed * size_of::<S::Packed>() + real * size_of::<S::Real>();
        numbers + sums * size_of::<f64>() + normalised
    }

    /// The most slots of a target map, and the most positives a picture of any.
    fn widest(&self) -> [usize; 2] {
        let slots = self.targets.iter().map(|target| target.slots).max();
        let positives = self.targets.iter().map(|target| target.slots * self.locations[target.map]).max();
        [slots.unwrap_or(0), positives.unwrap_or(0)]
    }

    /// Length of [`Group::kept`]: as many whole blocks as there are and as [`KEPT`] holds, and one.
    fn kept_len(&self, batch: usize) -> usize {
        let pictures = Groups::new(batch, usize::MAX).first(1);
        let of_target = |target: &Target| {
            let block = BLOCK * batch * target.slots;
            ((pictures * self.locations[target.map]).div_ceil(BLOCK).min(KEPT / block) + 1) * block
        };
        self.targets.iter().map(of_target).max().unwrap_or(0)
    }

    /// Length of [`Group::shares`].
    fn shares_len(&self, batch: usize) -> usize {
        self.config.score_clip.map_or(0, |_| self.kept_len(batch))
    }

    /// Number of components of a mixture; 0 without mixture features.
    fn components(&self) -> usize {
        self.config.mixture.as_ref().map_or(0, |mixture| self.locations[mixture.map])
    }

    fn direction(
        &mut self,
        pool: &Pool,
        batch: usize,
        target: &Target,
        (from, to): (usize, usize),
        views: [&[&[S]]; 2],
        positions: [&[Option<&[u32]>]; 2],
        gradients: &mut [&mut [Vec<S::Real>]; 2],
    ) {
        let (embedding, locations) = (self.embedding, self.locations[target.map]);
        let count = batch * target.slots;
        let root = (embedding as f64).sqrt();
        let pairs = (batch * batch * locations) as f64;
        let scale = Scale {
            score: S::Real::from_f64(1.0 / root),
            clip: S::Real::from_f64(self.config.score_clip.unwrap_or(f64::from(f32::MAX))),
            is_clipped: self.config.score_clip.is_some(),
            fixed_shift: self.config.score_clip.is_some_and(|clip| clip <= FIXED_SHIFT_LIMIT),
            batch,
            slots: target.slots,
            locations,
        };
        for (term, slots) in &target.terms {
            let map = self.config.terms[*term].source;
            let penalty = self.config.logit_penalty / (slots.len() as f64 * pairs) / root;
            let columns = slots.start * batch..slots.end * batch;
            self.memory.penalties[columns].fill(S::Real::from_f64(penalty));
            for slot in slots.clone() {
                let rows = self.memory.sources[slot * batch * embedding..].chunks_exact_mut(embedding);
                for (picture, to) in rows.take(batch).enumerate() {
                    let row =
                        source_row(self.locations[map], positions[from][map], picture, slot - slots.start);
                    let at = row * embedding;
                    convert(&views[from][map][at..at + embedding], to);
                }
            }
        }
        self.pack(pool, count);
        let cut = Groups::new(batch, usize::MAX);
        let targets = cut.split(views[to][target.map], locations * embedding);
        self.walk(pool, cut, targets, None, scale, gather);
        self.combine(pool, cut, scale, target);
        self.walk(pool, cut, targets, Some(&mut gradients[to][target.map]), scale, backward);
        self.add_source_gradients(pool, cut, count);
        for (term, slots) in &target.terms {
            let map = self.config.terms[*term].source;
            let length = self.locations[map] * embedding;
            let sources = &self.memory.gradients[slots.start * batch * embedding..];
            pool.for_each_chunk(&mut gradients[from][map][..], length, |picture, to, _| {
                for component in 0..slots.len() {
                    let row = source_row(self.locations[map], positions[from][map], picture, component);
                    let at = (row * embedding) % length;
                    let to = &mut to[at..at + embedding];
                    let source = &sources[(component * batch + picture) * embedding..][..embedding];
                    to.iter_mut().zip(source).for_each(|(to, &gradient)| *to += gradient);
                }
            });
        }
    }

    /// Packs the first `count` stacked sources for both products.
    fn pack(&mut self, pool: &Pool, count: usize) {
        let (gemm, embedding) = (self.gemm, self.embedding);
        let Memory { sources, packed: [columns, rows], .. } = &mut self.memory;
        let sources = Rows::new(&sources[..count * embedding], embedding);
        let columns = &mut columns[..gemm.packed_len(embedding, count)];
        pool.for_each_chunk(columns, gemm.panel_len(embedding), |panel, packed, _| {
            gemm.packing().pack_panel(panel, Right::Columns(sources), packed);
        });
        let rows = &mut rows[..gemm.packed_len(count, embedding)];
        pool.for_each_chunk(rows, gemm.panel_len(count), |panel, packed, _| {
            gemm.packing().pack_panel(panel, Right::Rows(sources), packed);
        });
    }

    /// Lets every group walk over its target rows.
    fn walk(
        &mut self,
        pool: &Pool,
        cut: Groups,
        targets: [&[S]; MAX_GROUPS],
        target_gradients: Option<&mut Vec<S::Real>>,
        scale: Scale<S::Real>,
        visit: fn(&Shared<S>, &mut Walk<S>),
    ) {
        let count = scale.sources();
        let Memory { positives, packed: [columns, rows], shifts, negative_weights, penalties, .. } =
            &mut self.memory;
        let shared = Shared {
            gemm: self.gemm,
            kernel: self.kernel,
            embedding: self.embedding,
            columns: &columns[..self.gemm.packed_len(self.embedding, count)],
            rows: &rows[..self.gemm.packed_len(count, self.embedding)],
            shifts: &shifts[..count],
            negative_weights: &negative_weights[..count],
            penalties: &penalties[..count],
            scale,
        };
        let mut positives =
            cut.split_mut(&mut positives[..count * scale.locations], scale.slots * scale.locations);
        let gradients = target_gradients.map_or(&mut [][..], |gradients| &mut gradients[..]);
        let mut gradients = cut.split_mut(gradients, scale.locations * self.embedding);
        let mut groups = self.groups.iter_mut();
        let mut walks: [Option<Walk<S>>; MAX_GROUPS] = array::from_fn(|index| {
            groups.next().map(|group| Walk {
                group,
                first_picture: cut.first(index),
                targets: targets[index],
                positives: take(&mut positives[index]),
                target_gradients: take(&mut gradients[index]),
            })
        });
        pool.for_each_mut(&mut walks[..cut.count()], |_, walk, _| {
            if let Some(walk) = walk {
                visit(&shared, walk);
            }
        });
    }

    /// From the groups' sums to the losses, and to what the second walk needs.
    fn combine(&mut self, pool: &Pool, cut: Groups, scale: Scale<S::Real>, target: &Target) {
        let scores = (scale.batch * scale.batch * scale.locations) as f64;
        for (term, slots) in &target.terms {
            let squares = match self.config.components(self.config.terms[*term].source).copied() {
                Some(mixture) => self.combine_mixture(pool, cut, scale, (*term, slots), mixture),
                None => self.combine_term(cut, scale, *term, slots.start),
            };
            let count = slots.len() as f64 * scores;
            self.totals.count += count;
            self.totals.squares += squares;
            self.report.penalty += 0.5 * self.config.logit_penalty * squares / count;
        }
    }

    /// Losses of one source a picture; returns the sum of the squared scores.
    fn combine_term(&mut self, cut: Groups, scale: Scale<S::Real>, term: usize, slot: usize) -> f64 {
        let Scale { batch, locations, .. } = scale;
        let pairs = (batch * locations) as f64;
        let root = (self.embedding as f64).sqrt();
        let (mut loss, mut above, mut squares) = (0.0, 0usize, 0.0);
        for picture in 0..batch {
            let source = slot * batch + picture;
            let negatives = self.negatives(cut, scale, source, picture, slot, &mut squares);
            let memory = &mut self.memory;
            let at = (picture * scale.slots + slot) * locations;
            let mut weight = 0.0;
            for positive in &mut memory.positives[at..at + locations] {
                let score = positive.to_f64();
                let exponential = (score - negatives.shift).exp();
                let denominator = exponential + negatives.sum;
                loss += denominator.ln() - (score - negatives.shift);
                above += usize::from(score > negatives.largest);
                weight += 1.0 / denominator;
                let derivative = exponential / denominator - 1.0;
                *positive = S::Real::from_f64(0.5 / pairs / root * derivative);
            }
            memory.shifts[source] = S::Real::from_f64(negatives.shift);
            memory.negative_weights[source] = S::Real::from_f64(0.5 / pairs / root * weight);
        }
        let report = &mut self.report.terms[term];
        report.loss += 0.5 * loss / pairs;
        report.top1 += 0.5 * above as f64 / pairs;
        squares
    }

    /// Losses of several components a picture; returns the sum of the squared scores.
    fn combine_mixture(
        &mut self,
        pool: &Pool,
        cut: Groups,
        scale: Scale<S::Real>,
        (term, slots): (usize, &Range<usize>),
        mixture: NceMixture,
    ) -> f64 {
        let Scale { batch, locations, .. } = scale;
        let pairs = (batch * locations) as f64;
        let root = (self.embedding as f64).sqrt();
        let mut squares = 0.0;
        for slot in slots.clone() {
            for picture in 0..batch {
                let source = slot * batch + picture;
                let negatives = self.negatives(cut, scale, source, picture, slot, &mut squares);
                self.memory.shifts[source] = S::Real::from_f64(negatives.shift);
                self.memory.normalised[source] = negatives;
            }
        }
        let Memory { positives, normalised, mixture_weights, negative_weights, .. } = &mut self.memory;
        let of_picture = scale.slots * locations;
        let mut positives = cut.split_mut(&mut positives[..batch * of_picture], of_picture);
        let mut weights = cut.split_mut(&mut mixture_weights[..batch * slots.len()], slots.len());
        let mut tasks: [MixtureTask<S::Real>; MAX_GROUPS] = array::from_fn(|group| MixtureTask {
            first_picture: cut.first(group),
            positives: take(&mut positives[group]),
            weights: take(&mut weights[group]),
            sums: MixtureSums::default(),
        });
        let (normalised, factor) = (&normalised[..], 0.5 / pairs / root);
        pool.for_each_mut(&mut tasks[..cut.count()], |_, task, _| {
            mixture.combine(normalised, [batch, locations, scale.slots], slots, factor, task);
        });
        let sums = tasks.iter().fold(MixtureSums::default(), |sums, task| sums.plus(&task.sums));
        for (picture, weights) in mixture_weights.chunks_exact(slots.len()).take(batch).enumerate() {
            for (slot, &weight) in slots.clone().zip(weights) {
                negative_weights[slot * batch + picture] = S::Real::from_f64(weight);
            }
        }
        let report = &mut self.report.terms[term];
        report.loss += 0.5 * sums.loss / pairs;
        report.top1 += 0.5 * sums.above / pairs;
        report.entropy += 0.5 * sums.entropy / pairs;
        squares
    }

    /// What the groups found of a source's negatives. Its scores are counted in: their sum and the largest in the
    /// totals, their squares in `squares`.
    fn negatives(
        &mut self,
        cut: Groups,
        scale: Scale<S::Real>,
        source: usize,
        picture: usize,
        slot: usize,
        squares: &mut f64,
    ) -> Normalised {
        let groups = &self.groups[..cut.count()];
        let mut largest = f64::NEG_INFINITY;
        for group in groups {
            largest = largest.max(group.largest[0][source].to_f64());
            self.totals.largest = self.totals.largest.max(group.largest[1][source].to_f64());
            self.totals.sum += group.sums[2][source];
            *squares += group.sums[3][source];
        }
        let at = (picture * scale.slots + slot) * scale.locations;
        let positives = &self.memory.positives[at..at + scale.locations];
        let shift = if scale.fixed_shift {
            scale.clip.to_f64()
        } else {
            positives.iter().fold(largest, |largest, positive| largest.max(positive.to_f64()))
        };
        let sum =
            groups.iter().map(|group| group.sums[0][source] * (group.sums[1][source] - shift).exp()).sum();
        Normalised { largest, shift, sum }
    }

    /// Adds up the groups' gradients of the stacked sources, group after group.
    fn add_source_gradients(&mut self, pool: &Pool, cut: Groups, count: usize) {
        let (groups, kernel) = (&self.groups[..cut.count()], self.kernel);
        let length = 1 << 12;
        let sum = &mut self.memory.gradients[..count * self.embedding];
        pool.for_each_chunk(sum, length, |index, sum, _| {
            sum.fill(S::Real::default());
            vectorized!(kernel, {
                for group in groups {
                    let part = &group.gradients[index * length..][..sum.len()];
                    sum.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
                }
            });
        });
    }

    fn resize(&mut self, batch: usize) {
        let [slots, positives] = self.widest();
        let (count, embedding, gemm) = (batch * slots, self.embedding, self.gemm);
        let (components, kept, shares) = (self.components(), self.kept_len(batch), self.shares_len(batch));
        let memory = &mut self.memory;
        if memory.shifts.len() >= count {
            return;
        }
        memory.sources.resize(count * embedding);
        let [columns, rows] = &mut memory.packed;
        columns.resize(gemm.packed_len(embedding, count));
        rows.resize(gemm.packed_len(count, embedding));
        memory.positives.resize(batch * positives);
        memory.shifts.resize(count);
        memory.negative_weights.resize(count);
        memory.penalties.resize(count);
        memory.gradients.resize(count * embedding);
        memory.mixture_weights.resize(batch * components);
        memory.normalised.resize(if components > 0 { count } else { 0 });
        self.groups.resize_with(MAX_GROUPS, || Group {
            kept: Buffer::default(),
            shares: Buffer::default(),
            derivatives: Buffer::default(),
            packed: Buffer::default(),
            gradients: Buffer::default(),
            sums: array::from_fn(|_| Buffer::default()),
            largest: array::from_fn(|_| Buffer::default()),
            block: array::from_fn(|_| Buffer::default()),
            exclusion: Buffer::default(),
        });
        for group in &mut self.groups {
            group.kept.resize(kept);
            group.shares.resize(shares);
            group.exclusion.resize(count);
            group.derivatives.resize(BLOCK * count);
            group.packed.resize(gemm.transposed_scratch(BLOCK, count));
            group.gradients.resize(count * embedding);
            group.sums.iter_mut().for_each(|values| values.resize(count));
            group.largest.iter_mut().chain(&mut group.block).for_each(|values| values.resize(count));
        }
    }

    fn check(
        &self,
        batch: usize,
        views: [&[&[S]]; 2],
        positions: [&[Option<&[u32]>]; 2],
        gradients: &[&mut [Vec<S::Real>]; 2],
    ) -> Result<(), CpuError> {
        let wrong = |problem| Err(CpuError::Objective { problem });
        if batch < 2 {
            return wrong("a batch needs at least 2 pictures: each is the others' negative");
        }
        let maps = self.locations.len();
        for view in 0..2 {
            check_length("list of maps", views[view].len(), maps)?;
            check_length("list of source positions", positions[view].len(), maps)?;
            check_length("list of gradients", gradients[view].len(), maps)?;
            for (map, &locations) in self.locations.iter().enumerate() {
                check_length("features", views[view][map].len(), batch * locations * self.embedding)?;
                check_length("gradients", gradients[view][map].len(), batch * locations * self.embedding)?;
            }
            for map in self.config.terms.iter().map(|term| term.source) {
                match positions[view][map] {
                    None if self.locations[map] == 1 || self.config.components(map).is_some() => {}
                    Some(_) if self.config.components(map).is_some() => {
                        return wrong("mixture features have no source positions");
                    }
                    None => return wrong("a source map of several locations needs source positions"),
                    Some(positions) => {
                        check_length("source positions", positions.len(), batch)?;
                        if positions.iter().any(|&position| position as usize >= self.locations[map]) {
                            return wrong("a source position lies beyond its map");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Row of a picture's source vector in its map: that at its position or, without positions, that of the component.
fn source_row(locations: usize, positions: Option<&[u32]>, picture: usize, component: usize) -> usize {
    picture * locations + positions.map_or(component, |positions| positions[picture] as usize)
}

/// Sums over all terms and directions.
#[derive(Debug, Default)]
struct Totals {
    count: f64,
    sum: f64,
    squares: f64,
    largest: f64,
}
