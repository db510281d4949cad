//! The multiscale objective of AMDIM: which scale predicts which, in both directions, with the penalty and the clip.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::encoder::{Features, Scale};
use crate::estimator::info_nce;
use crate::loss::mixture::{MixtureConfig, mixture_nce};
use crate::loss::{SourcePositions, Term};
use crate::{Error, Result};

/// The objective's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Soft clip of the scores (`tclip`): they stay in `(-scoreClip, scoreClip)`. Positive; 20 in the reference. None: no
    /// clip. The field itself must be there.
    #[serde(deserialize_with = "Option::deserialize")]
    pub score_clip: Option<f64>,
    /// Weight of the mean squared score before clipping (`lgt_reg`); 4e-2 in the paper, 5e-2 in the authors' code.
    pub logit_penalty: f64,
    /// The prediction tasks; at least one, each once. The paper's are 1->5, 1->7 and 5->5.
    pub terms: Vec<Term>,
    /// Mixture features as sources of the terms from the global map; none: the global vector itself. Files that were
    /// written before there were mixtures have no such field, and none.
    #[serde(default)]
    pub mixture: Option<MixtureConfig>,
}

impl ObjectiveConfig {
    /// The mixture, where it is the source of this term.
    pub(crate) fn mixture_of(&self, term: Term) -> Option<&MixtureConfig> {
        self.mixture.as_ref().filter(|_| term.source() == Scale::GLOBAL)
    }

    /// Places of a term's source and target among the maps of an encoder with these `scales`; mixture features come after
    /// them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a term of another encoder.
    pub(crate) fn places(&self, term: Term, scales: &[Scale]) -> Result<[usize; 2]> {
        let place = |scale: Scale| scale.place("objective.terms", scales);
        let source = if self.mixture_of(term).is_some() { scales.len() } else { place(term.source())? };
        Ok([source, place(term.target())?])
    }

    /// The scores after the soft clip, if there is one.
    pub(crate) fn clipped(&self, scores: &Tensor) -> Result<Tensor> {
        self.score_clip.map_or_else(|| Ok(scores.clone()), |limit| soft_clip(scores, limit))
    }

    /// Loss of a term when all embeddings are equal, in nats: [`chance_level`], less `entropyWeight * log(components)`
    /// where the sources are mixture features.
    pub fn chance_level(&self, term: Term, batch: usize) -> f64 {
        let entropy = |mixture: &MixtureConfig| mixture.entropy_weight * (mixture.components as f64).ln();
        chance_level(term, batch) - self.mixture_of(term).map_or(0.0, entropy)
    }

    /// Checks the ranges, and that the terms compare maps of an encoder with these `scales`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn validate(&self, scales: &[Scale]) -> Result<()> {
        if let Some(clip) = self.score_clip.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
            return Err(Error::argument("objective.scoreClip", "a positive number, or null", clip));
        }
        if !(self.logit_penalty.is_finite() && self.logit_penalty >= 0.0) {
            return Err(Error::argument(
                "objective.logitPenalty",
                "0 or a positive number",
                self.logit_penalty,
            ));
        }
        let repeated = self.terms.iter().enumerate().any(|(i, term)| self.terms[..i].contains(term));
        if self.terms.is_empty() || repeated {
            let terms: Vec<String> = self.terms.iter().map(Term::to_string).collect();
            return Err(Error::argument(
                "objective.terms",
                "at least one term, each once",
                format!("{terms:?}"),
            ));
        }
        let is_there = |term: &&Term| scales.contains(&term.source()) && scales.contains(&term.target());
        if let Some(term) = self.terms.iter().find(|term| !is_there(term)) {
            let sides: Vec<String> = scales.iter().map(|scale| scale.side().to_string()).collect();
            let expected = format!("SOURCE->TARGET with sides of this encoder's maps ({})", sides.join(", "));
            return Err(Error::argument("objective.terms", expected, term));
        }
        let Some(mixture) = &self.mixture else { return Ok(()) };
        if self.terms.iter().all(|term| term.source() != Scale::GLOBAL) {
            let expected = "null, or a term from the global map (1->N)";
            return Err(Error::argument("objective.mixture", expected, mixture.components));
        }
        mixture.validate()
    }
}

/// What one term gave, both directions averaged.
#[derive(Debug, Clone)]
pub struct TermReport {
    /// The term.
    pub term: Term,
    /// Its InfoNCE loss in nats, `[]`, with gradient.
    pub loss: Tensor,
    /// Share of positive pairs above all their negatives, `[]`, 0..1; of mixture features, each component weighted by
    /// the posterior.
    pub top1: Tensor,
    /// Mean entropy of the posteriors in nats, `[]`, where the sources are mixture features.
    pub entropy: Option<Tensor>,
    /// View 1 predicting view 2, then view 2 predicting view 1.
    pub directions: [Direction; 2],
}

/// What one term gave in one direction; without gradient.
#[derive(Debug, Clone)]
pub struct Direction {
    /// Source vectors, `[batch, embedding]`; of mixture features `[batch, components, embedding]`.
    pub sources: Tensor,
    /// Scores of the positive pairs, after the clip, `[batch, locations]`; of mixture features
    /// `[batch, locations, components]`.
    pub positives: Tensor,
    /// Their log-softmax against the negatives, `[batch, locations]`; of mixture features what the loss is the
    /// negative mean of.
    pub log_softmax: Tensor,
    /// `logitPenalty * mean(score^2)`, `[]`.
    pub penalty: Tensor,
}

/// Result of [`multiscale_loss`]; every tensor is `[]`.
#[derive(Debug, Clone)]
pub struct MultiscaleLoss {
    /// Sum of the terms and the penalty, with gradient.
    pub total: Tensor,
    /// The terms in the order of the configuration.
    pub terms: Vec<TermReport>,
    /// The penalty: half the sum over terms and directions of `logitPenalty * mean(score^2)`.
    pub penalty: Tensor,
    /// Mean of the scores before clipping, over all terms and directions.
    pub score_mean: Tensor,
    /// Their standard deviation.
    pub score_std: Tensor,
    /// The largest of them in absolute value.
    pub score_max: Tensor,
}

/// Loss of a term when all embeddings are equal: `log(1 + (batch - 1) * locations)` nats.
pub fn chance_level(term: Term, batch: usize) -> f64 {
    (1.0 + (batch as f64 - 1.0) * term.target().locations() as f64).ln()
}

/// Scores of every source against every location of every picture: `source . target / sqrt(embedding)`.
///
/// # Shapes
/// - source: `[sources, embedding]`, target: `[batch, locations, embedding]`
/// - returns `[sources, batch, locations]` (source, target picture, location)
pub fn raw_scores(source: &Tensor, target: &Tensor) -> Result<Tensor> {
    let (batch, locations, embedding) = target.dims3()?;
    let sources = source.dims2()?.0;
    crate::tensors::expect_shape("source vectors", source, &[sources, embedding])?;
    let targets = target.reshape((batch * locations, embedding))?;
    let scores = (source.matmul(&targets.t()?)? / (embedding as f64).sqrt())?;
    Ok(scores.reshape((sources, batch, locations))?)
}

/// `limit * tanh(scores / limit)`.
pub fn soft_clip(scores: &Tensor, limit: f64) -> Result<Tensor> {
    Ok(((scores / limit)?.tanh()? * limit)?)
}

/// The multiscale loss of two views:
///
/// ```text
/// total = sum over terms of 1/2 * ( nce(view 1 -> view 2) + nce(view 2 -> view 1) )
///       + 1/2 * sum over terms and directions of logitPenalty * mean(score^2)
/// ```
///
/// The penalty is taken before, the InfoNCE after the soft clip, if there is one. With mixture features the terms from
/// the global map have the loss of [`mixture_nce`], and their penalty is the mean over the scores of all components.
///
/// # Shapes
/// - views: two [`Features`] of the same `[batch, locations, embedding]` maps; row i of both shows picture i
///
/// # Errors
/// [`Error::InvalidArgument`] for fewer than two pictures or a bad configuration; [`Error::Shape`] if the views, the
/// positions or the mixture features do not fit each other.
///
/// # Source
/// Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910, sections 3.1-3.5; reference `costs.py`, `LossMultiNCE`.
pub fn multiscale_loss(
    views: [&Features; 2],
    positions: &SourcePositions,
    config: &ObjectiveConfig,
) -> Result<MultiscaleLoss> {
    config.validate(views[0].scales())?;
    let mut sources = HashMap::new();
    for scale in config.terms.iter().map(|term| term.source()) {
        for (view, features) in views.into_iter().enumerate() {
            if let Entry::Vacant(entry) = sources.entry((scale, view)) {
                entry.insert(source_vectors(features, scale, positions.of(scale, view))?);
            }
        }
    }
    let mut terms = Vec::with_capacity(config.terms.len());
    let mut statistics = ScoreStatistics::default();
    for &term in &config.terms {
        let mut predict = |from: usize, to: usize| match config.mixture_of(term) {
            Some(mixture) => predict_mixture(from, to, term, views, (config, mixture), &mut statistics),
            None => predict(from, to, term, &sources, views, config, &mut statistics),
        };
        let (first, second) = (predict(0, 1)?, predict(1, 0)?);
        let half = |a: Tensor, b: Tensor| -> Result<Tensor> { Ok(((a + b)? * 0.5)?) };
        terms.push(TermReport {
            term,
            loss: half(first.loss, second.loss)?,
            top1: half(first.top1, second.top1)?,
            entropy: first.entropy.zip(second.entropy).map(|(a, b)| half(a, b)).transpose()?,
            directions: [first.direction, second.direction],
        });
    }
    let penalty = (sum(&statistics.mean_squares)? * (0.5 * config.logit_penalty))?;
    let mut total = penalty.clone();
    for report in &terms {
        total = (total + &report.loss)?;
    }
    let (score_mean, score_std, score_max) = statistics.summary()?;
    Ok(MultiscaleLoss { total, terms, penalty: penalty.detach(), score_mean, score_std, score_max })
}

/// One term in one direction: its loss with gradient, its NCE accuracy, its details.
struct Prediction {
    loss: Tensor,
    top1: Tensor,
    entropy: Option<Tensor>,
    direction: Direction,
}

fn predict(
    from: usize,
    to: usize,
    term: Term,
    sources: &HashMap<(Scale, usize), Tensor>,
    views: [&Features; 2],
    config: &ObjectiveConfig,
    statistics: &mut ScoreStatistics,
) -> Result<Prediction> {
    let source = &sources[&(term.source(), from)];
    let scores = raw_scores(source, views[to].at(term.target())?)?;
    let mean_square = statistics.add(&scores)?;
    let nce = info_nce(&config.clipped(&scores)?)?;
    let direction = Direction {
        sources: source.detach(),
        positives: nce.positives.detach(),
        log_softmax: nce.log_softmax.detach(),
        penalty: (mean_square.detach() * config.logit_penalty)?,
    };
    Ok(Prediction { loss: nce.loss, top1: nce.top1, entropy: None, direction })
}

/// The same with mixture features as sources.
fn predict_mixture(
    from: usize,
    to: usize,
    term: Term,
    views: [&Features; 2],
    (config, mixture): (&ObjectiveConfig, &MixtureConfig),
    statistics: &mut ScoreStatistics,
) -> Result<Prediction> {
    let (batch, embedding) = (views[from].batch(), views[from].embedding());
    let expected = [batch, mixture.components, embedding];
    let missing = || Error::shape("mixture features", &expected, &[]);
    let sources = views[from].mixture().ok_or_else(missing)?;
    crate::tensors::expect_shape("mixture features", sources, &expected)?;
    let rows = sources.reshape((batch * mixture.components, embedding))?;
    let targets = views[to].at(term.target())?;
    let scores = raw_scores(&rows, targets)?;
    let mean_square = statistics.add(&scores)?;
    let clipped =
        config.clipped(&scores)?.reshape((batch, mixture.components, targets.dim(0)?, targets.dim(1)?))?;
    let nce = mixture_nce(&clipped, mixture)?;
    let direction = Direction {
        sources: sources.detach(),
        positives: nce.positives,
        log_softmax: nce.objective.detach(),
        penalty: (mean_square.detach() * config.logit_penalty)?,
    };
    Ok(Prediction { loss: nce.loss, top1: nce.top1, entropy: Some(nce.entropy), direction })
}

/// The source vector of each picture, `[batch, embedding]`: the global one, or that at its position.
fn source_vectors(features: &Features, scale: Scale, positions: Option<&[u32]>) -> Result<Tensor> {
    if scale == Scale::GLOBAL {
        return features.global();
    }
    let positions = positions.ok_or_else(|| Error::shape("source positions", &[features.batch()], &[0]))?;
    let map = features.at(scale)?;
    let (batch, locations, embedding) = map.dims3()?;
    if positions.len() != batch {
        return Err(Error::shape("source positions", &[batch], &[positions.len()]));
    }
    if let Some(&bad) = positions.iter().find(|&&position| position as usize >= locations) {
        return Err(Error::argument("source position", format!("0..{locations}"), bad));
    }
    let rows: Vec<u32> = positions.iter().enumerate().map(|(i, &p)| (i * locations) as u32 + p).collect();
    let rows = Tensor::new(rows, map.device())?;
    Ok(map.reshape((batch * locations, embedding))?.index_select(&rows, 0)?)
}

/// Running sums over the score tensors of all terms and directions.
#[derive(Default)]
struct ScoreStatistics {
    counts: Vec<usize>,
    means: Vec<Tensor>,
    mean_squares: Vec<Tensor>,
    largest: Vec<Tensor>,
}

impl ScoreStatistics {
    /// Counts these scores in; returns their mean square, with gradient.
    fn add(&mut self, scores: &Tensor) -> Result<Tensor> {
        let plain = scores.detach();
        self.counts.push(plain.elem_count());
        self.means.push(plain.mean_all()?);
        self.largest.push(plain.abs()?.flatten_all()?.max(0)?);
        let mean_square = scores.sqr()?.mean_all()?;
        self.mean_squares.push(mean_square.clone());
        Ok(mean_square)
    }

    fn weighted(&self, values: &[Tensor]) -> Result<Tensor> {
        let all: usize = self.counts.iter().sum();
        let weighted: Vec<Tensor> = values
            .iter()
            .zip(&self.counts)
            .map(|(value, &count)| Ok((value.detach() * (count as f64 / all as f64))?))
            .collect::<Result<_>>()?;
        sum(&weighted)
    }

    fn summary(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let mean = self.weighted(&self.means)?;
        let variance = (self.weighted(&self.mean_squares)? - mean.sqr()?)?;
        // Rounding can push the variance of equal scores below zero.
        let deviation = variance.relu()?.sqrt()?;
        Ok((mean, deviation, Tensor::stack(&self.largest, 0)?.max(0)?))
    }
}

/// Sum of scalars.
fn sum(values: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::stack(values, 0)?.sum_all()?)
}
