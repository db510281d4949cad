//! Momentum contrast: queries against keys of a slowly moving copy of the encoder, with a queue of older keys as
//! negatives; and its baseline, whose negatives are the other pictures of the batch.

use amdim_random::{Purpose, Stream};
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::{Batch, Carried, Method, Outcome, Settings, Start, View, carried};
use crate::estimator::info_nce;
use crate::model::Model;
use crate::train_step::{ObjectiveReport, Part, PartReport};
use crate::{Error, Result, tensors};

/// Parameters of the key encoder.
const KEY_PARAMETERS: &str = "keyEncoder";
/// Its running statistics.
const KEY_RUNNING: &str = "keyEncoderRunning";
/// The queue of keys, the newest first.
const QUEUE: &str = "queue";
/// Name of the one loss.
const LOSS: Part = Part::Method("contrast");

/// Settings of [`MethodConfig::Moco`](super::MethodConfig::Moco).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MocoConfig {
    /// Keys in the queue, at least 1; 65,536 in the paper. None: no queue and no momentum encoder, the negatives are the
    /// other pictures of the batch and both views have gradients (the paper's "end-to-end", its baseline).
    #[serde(deserialize_with = "Option::deserialize")]
    pub queue_size: Option<usize>,
    /// Share of the key encoder that stays at an update, `0..=1`; 0.999 in the paper.
    pub momentum: f64,
    /// Scores are divided by it; above 0; 0.07 in the paper.
    pub temperature: f64,
    /// Into how many parts a batch of keys is shuffled, each with batch statistics of its own, at least 1; so that
    /// statistics do not tell queries and keys of a picture apart ("shuffling BN"). It matters to encoders with batch
    /// norm alone.
    pub shuffle_groups: usize,
}

impl Default for MocoConfig {
    /// What files of the time before there were methods mean, and the defaults of the schema.
    fn default() -> Self {
        Self { queue_size: Some(4096), momentum: 0.99, temperature: 0.07, shuffle_groups: 1 }
    }
}

impl Settings for MocoConfig {
    type Method = Moco;

    fn validate(&self, batch: usize) -> Result<()> {
        if self.queue_size == Some(0) {
            return Err(Error::argument("moco.queueSize", "at least 1, or null", 0));
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::argument("moco.momentum", "a number in 0..=1", self.momentum));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(Error::argument("moco.temperature", "a positive number", self.temperature));
        }
        if self.shuffle_groups == 0 || self.shuffle_groups > batch / 2 {
            let expected = "at least 1, with at least 2 pictures of the batch in each";
            return Err(Error::argument("moco.shuffleGroups", expected, self.shuffle_groups));
        }
        Ok(())
    }

    fn build(&self, _model: &Model) -> Result<Moco> {
        Ok(Moco { config: self.clone() })
    }
}

/// The method; see the module page.
///
/// ```text
/// loss = -log( exp(q.k/T) / (exp(q.k/T) + sum over queue exp(q.n/T)) ),  q and k of length 1
/// ```
///
/// Until the queue has been filled, the rest of it holds random directions, as in the authors' code.
///
/// # Source
/// He, Fan, Wu, Xie, Girshick 2020, arXiv 1911.05722, equation 1, algorithm 1 and section 3.3.
pub(super) struct Moco {
    config: MocoConfig,
}

impl Method for Moco {
    fn start(&self, model: &Model, seed: u64) -> Result<Start> {
        let Some(size) = self.config.queue_size else { return Ok(Start::default()) };
        let width = model.config().encoder.embedding_dim();
        let mut stream = Stream::new(seed, Purpose::Queue, 0);
        let drawn: Vec<f32> = (0..size * width).map(|_| stream.normal() as f32).collect();
        let placement = model.placement();
        let queue = tensors::from_slice(&drawn, &[size, width], placement.dtype, &placement.device)?;
        Ok(Start {
            learnt: vec![],
            kept: vec![
                // A copy, since training moves the parameters where they are.
                (KEY_PARAMETERS, model.parameters.copy()?),
                (KEY_RUNNING, model.running.clone()),
                (QUEUE, unit(&queue)?),
            ],
        })
    }

    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, state: &Carried) -> Result<Outcome> {
        match self.config.queue_size {
            Some(_) => self.with_queue(model, batch, state),
            None => self.in_batch(model, batch),
        }
    }

    fn after_update(&self, model: &Model, state: &mut Carried) -> Result<()> {
        if self.config.queue_size.is_some() {
            let stays = (carried(state, KEY_PARAMETERS)? * self.config.momentum)?;
            let moved = (stays + (&model.parameters * (1.0 - self.config.momentum))?)?;
            state.insert(KEY_PARAMETERS, moved);
        }
        Ok(())
    }
}

impl Moco {
    fn with_queue(&self, model: &mut Model, batch: &Batch<'_>, state: &Carried) -> Result<Outcome> {
        let mut running = carried(state, KEY_RUNNING)?.clone();
        let keys = self.keys(model, carried(state, KEY_PARAMETERS)?, &mut running, batch)?;
        let queue = carried(state, QUEUE)?;
        let query = View::open(model, batch.views[0], batch.chunk_size)?;
        let q = unit(&query.taped.global()?)?;
        let Contrast { loss, top1, by_queries } =
            contrast(&q.detach(), &keys, queue, self.config.temperature)?;
        let part = PartReport { part: LOSS, loss, top1: Some(top1) };
        let report = ObjectiveReport::of(loss, vec![part]);
        let features = vec![query.features(model)?];
        // The tape leads on from the gradient by the queries.
        let gradient = query.backward(model, &(q * by_queries)?.sum_all()?.backward()?)?;
        let stays = queue.dim(0)?.saturating_sub(keys.dim(0)?);
        let enters = keys.narrow(0, 0, queue.dim(0)? - stays)?;
        let queue = Tensor::cat(&[&enters, &queue.narrow(0, 0, stays)?], 0)?;
        Ok(Outcome {
            features,
            report,
            gradient,
            learnt_gradients: vec![],
            kept: vec![(KEY_RUNNING, running), (QUEUE, queue)],
        })
    }

    /// Keys of the second views, `[batch, embedding]`, of length 1 and without a tape.
    fn keys(
        &self,
        model: &mut Model,
        parameters: &Tensor,
        running: &mut Tensor,
        batch: &Batch<'_>,
    ) -> Result<Tensor> {
        let images = batch.views[1];
        let size = images.dim(0)?;
        let mut order: Vec<u32> = (0..size as u32).collect();
        Stream::new(batch.seed, Purpose::Queue, batch.update + 1).shuffle(&mut order);
        let mut back = vec![0u32; size];
        for (place, &picture) in order.iter().enumerate() {
            back[picture as usize] = place as u32;
        }
        let index = |places: &[u32]| Tensor::new(places, images.device());
        let mut parts = vec![];
        let mut first = 0;
        for group in 0..self.config.shuffle_groups {
            let end = (group + 1) * size / self.config.shuffle_groups;
            let part = images.index_select(&index(&order[first..end])?, 0)?;
            let mut maps = model.forward_of(parameters, running, &part)?.outputs;
            // What the keys come from has no gradient.
            parts.push(maps.swap_remove(0).detach().squeeze(1)?);
            first = end;
        }
        unit(&Tensor::cat(&parts, 0)?.index_select(&index(&back)?, 0)?)
    }

    fn in_batch(&self, model: &mut Model, batch: &Batch<'_>) -> Result<Outcome> {
        let views = [
            View::open(model, batch.views[0], batch.chunk_size)?,
            View::open(model, batch.views[1], batch.chunk_size)?,
        ];
        let (q, k) = (unit(&views[0].taped.global()?)?, unit(&views[1].taped.global()?)?);
        let scores = (q.matmul(&k.t()?)? / self.config.temperature)?.unsqueeze(D::Minus1)?;
        let nce = info_nce(&scores)?;
        let loss = tensors::to_scalar(&nce.loss)?;
        let part = PartReport { part: LOSS, loss, top1: Some(tensors::to_scalar(&nce.top1)?) };
        let report = ObjectiveReport::of(loss, vec![part]);
        let features = vec![views[0].features(model)?, views[1].features(model)?];
        let gradients = nce.loss.backward()?;
        let [first, second] = views;
        let gradient = (first.backward(model, &gradients)? + second.backward(model, &gradients)?)?;
        Ok(Outcome { features, report, gradient, learnt_gradients: vec![], kept: vec![] })
    }
}

/// What queries lose to their keys and a queue.
struct Contrast {
    /// Mean over the queries, in nats.
    loss: f64,
    /// Share of the queries that are nearer to their key than to all of the queue.
    top1: f64,
    /// Gradient of the loss by the queries, `[batch, embedding]`.
    by_queries: Tensor,
}

/// The loss of `queries` (`[batch, embedding]`) with their `keys` and a `queue` (`[keys, embedding]`) of negatives. None of
/// them is on a tape, which would also make the queue's gradient, a third of all products:
///
/// ```text
/// d loss / d q = (sum over queue p_n n - (1 - p_k) k) / (batch T),  p: softmax over the key and the queue
/// ```
fn contrast(queries: &Tensor, keys: &Tensor, queue: &Tensor, temperature: f64) -> Result<Contrast> {
    let positives = ((queries * keys)?.sum_keepdim(1)? / temperature)?; // [batch, 1]
    let negatives = (queries.matmul(&queue.t()?)? / temperature)?; // [batch, keys of the queue]
    let best = negatives.max_keepdim(1)?;
    let hits = positives.gt(&best)?.to_dtype(positives.dtype())?.mean_all()?;
    // Subtracting the largest changes nothing but the range of exp.
    let largest = best.maximum(&positives)?;
    let positives = (positives - &largest)?;
    let exponentials = negatives.broadcast_sub(&largest)?.exp()?;
    let of_queue = exponentials.sum_keepdim(1)?;
    let sum = (&of_queue + positives.exp()?)?;
    let loss = (sum.log()? - positives)?.mean_all()?;
    let pushed = exponentials.matmul(queue)?.broadcast_div(&sum)?;
    // 1 - p_k, without the digits that the difference would lose.
    let pulled = keys.broadcast_mul(&(of_queue / &sum)?)?;
    let by_queries = ((pushed - pulled)? / (temperature * queries.dim(0)? as f64))?;
    Ok(Contrast { loss: tensors::to_scalar(&loss)?, top1: tensors::to_scalar(&hits)?, by_queries })
}

/// Rows of length 1; a row of zeros stays.
fn unit(rows: &Tensor) -> Result<Tensor> {
    let length = (rows.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(rows.broadcast_div(&length)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::encoder::{AmdimEncoder, ResNetDepth, ResNetEncoder};
    use crate::executor::ExecutorKind;
    use crate::model::{ModelConfig, Placement};
    use crate::optim::{Adam, AdamConfig};

    const BATCH: usize = 5;

    fn model(batch_norm: bool) -> Model {
        let encoder = if batch_norm {
            ResNetEncoder {
                depth: ResNetDepth::ResNet18,
                encoder_size: 32,
                input_channels: 1,
                base_width: 2,
                embedding_dim: 4,
                local_maps: vec![4],
            }
            .into()
        } else {
            AmdimEncoder {
                encoder_size: 32,
                input_channels: 1,
                base_width: 1,
                embedding_dim: 4,
                block_depth: 1,
                batch_norm: false,
            }
            .into()
        };
        let config = ModelConfig::encoder_alone(encoder);
        let mut model = Model::new(config, 3, Placement::exact(ExecutorKind::Cpu, 1)).unwrap();
        // Second convolutions start at zero, behind which gradients would hide.
        let mut stream = Stream::new(5, Purpose::Queue, 98);
        let noise: Vec<f64> = (0..model.parameters.elem_count()).map(|_| 0.3 * stream.normal()).collect();
        model.parameters = (&model.parameters + Tensor::new(noise, &Device::Cpu).unwrap()).unwrap();
        model
    }

    fn images(seed: u64) -> Tensor {
        let mut stream = Stream::new(seed, Purpose::Queue, 99);
        let values: Vec<f64> = (0..BATCH * 32 * 32).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (BATCH, 1, 32, 32), &Device::Cpu).unwrap()
    }

    fn config(queue_size: Option<usize>, shuffle_groups: usize) -> MocoConfig {
        MocoConfig { queue_size, momentum: 0.75, temperature: 0.2, shuffle_groups }
    }

    fn start(method: &Moco, model: &Model) -> Carried {
        method.start(model, 4).unwrap().kept.into_iter().collect()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
        tensor.to_vec2().unwrap()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The loss from unit vectors, one picture at a time.
    fn slow(queries: &[Vec<f64>], keys: &[Vec<f64>], negatives: impl Fn(usize) -> Vec<Vec<f64>>) -> f64 {
        let losses = queries.iter().zip(keys).enumerate().map(|(i, (query, key))| {
            let positive = (dot(query, key) / 0.2).exp();
            let rest: f64 = negatives(i).iter().map(|negative| (dot(query, negative) / 0.2).exp()).sum();
            -(positive / (positive + rest)).ln()
        });
        losses.sum::<f64>() / queries.len() as f64
    }

    #[test]
    fn losses_are_those_of_the_equation() {
        let (one, other) = (images(1), images(2));
        let batch = Batch { views: [&one, &other], labels: &[], seed: 1, update: 0, chunk_size: None };
        for queue_size in [Some(7), None] {
            let (mut model, mut method) = (model(false), Moco { config: config(queue_size, 1) });
            let state = start(&method, &model);
            let vectors = |model: &mut Model, images: &Tensor| {
                rows(&unit(&model.embed_with_batch_statistics(images).unwrap().global().unwrap()).unwrap())
            };
            let (queries, keys) = (vectors(&mut model, &one), vectors(&mut model, &other));
            let expected = match queue_size {
                Some(_) => {
                    let queue = rows(&state[QUEUE]);
                    slow(&queries, &keys, |_| queue.clone())
                }
                None => slow(&queries, &keys, |i| {
                    keys.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, key)| key.clone()).collect()
                }),
            };
            let found = method.compute(&mut model, &batch, &state).unwrap().report.total;
            assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (one, other) = (images(1), images(2));
        let batch = Batch { views: [&one, &other], labels: &[], seed: 1, update: 0, chunk_size: None };
        for queue_size in [Some(7), None] {
            let (mut model, mut method) = (model(false), Moco { config: config(queue_size, 1) });
            let state = start(&method, &model);
            let parameters = model.parameters.clone();
            let gradient =
                method.compute(&mut model, &batch, &state).unwrap().gradient.to_vec1::<f64>().unwrap();
            let values = parameters.to_vec1::<f64>().unwrap();
            let largest = gradient.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            assert!(largest > 1e-3);
            for at in (0..values.len()).step_by(values.len() / 40) {
                let moved = |by: f64| {
                    let mut values = values.clone();
                    values[at] += by;
                    Tensor::from_vec(values, parameters.dims(), &Device::Cpu).unwrap()
                };
                let mut loss = |by| {
                    model.parameters = moved(by);
                    method.compute(&mut model, &batch, &state).unwrap().report.total
                };
                let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                assert!(
                    (slope - gradient[at]).abs() < 1e-5 * largest,
                    "{at}: {} instead of {slope}",
                    gradient[at]
                );
            }
        }
    }

    #[test]
    fn keys_enter_the_queue_in_front_and_the_key_encoder_follows() {
        let (one, other) = (images(1), images(2));
        let (mut model, mut method) = (model(false), Moco { config: config(Some(7), 1) });
        let mut state = start(&method, &model);
        let before = rows(&state[QUEUE]);
        let outcome = method
            .compute(
                &mut model,
                &Batch { views: [&one, &other], labels: &[], seed: 1, update: 0, chunk_size: None },
                &state,
            )
            .unwrap();
        state.extend(outcome.kept);
        let after = rows(&state[QUEUE]);
        assert_eq!(after.len(), 7);
        assert_eq!(after[BATCH..], before[..2]);
        assert!(after.iter().all(|row| (dot(row, row) - 1.0).abs() < 1e-9));
        let key = state[KEY_PARAMETERS].clone();
        model.parameters = (&model.parameters + 1.0).unwrap();
        method.after_update(&model, &mut state).unwrap();
        let moved = (&state[KEY_PARAMETERS] - key).unwrap().to_vec1::<f64>().unwrap();
        assert!(moved.iter().all(|value| (value - 0.25).abs() < 1e-12));
    }

    #[test]
    fn the_key_encoder_stays_where_an_update_moves_the_encoder() {
        let mut model = model(false);
        let state = start(&Moco { config: config(Some(7), 1) }, &model);
        let before = model.parameters.to_vec1::<f64>().unwrap();
        let optimizer = AdamConfig {
            learning_rate: 0.1,
            beta1: 0.8,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            gradient_clip: None,
        };
        let gradient = model.parameters.ones_like().unwrap();
        let mut adam = Adam::new(&model.parameters).unwrap();
        adam.update(&mut model.parameters, &gradient, None, 0.1, &optimizer).unwrap();
        let moved = model.parameters.to_vec1::<f64>().unwrap();
        assert!(moved.iter().zip(&before).all(|(moved, before)| (before - moved - 0.1).abs() < 1e-6));
        assert_eq!(state[KEY_PARAMETERS].to_vec1::<f64>().unwrap(), before);
    }

    #[test]
    fn groups_of_keys_have_statistics_of_their_own() {
        let (one, other) = (images(1), images(2));
        let batch = Batch { views: [&one, &other], labels: &[], seed: 1, update: 0, chunk_size: None };
        let total = |batch_norm, groups| {
            let (mut model, mut method) = (model(batch_norm), Moco { config: config(Some(7), groups) });
            let state = start(&method, &model);
            method.compute(&mut model, &batch, &state).unwrap().report.total
        };
        assert!((total(true, 2) - total(true, 1)).abs() > 1e-6);
    }

    #[test]
    fn a_queue_shorter_than_a_batch_keeps_the_newest_keys_alone() {
        let (one, other) = (images(1), images(2));
        let batch = Batch { views: [&one, &other], labels: &[], seed: 1, update: 0, chunk_size: None };
        let (mut model, mut method) = (model(false), Moco { config: config(Some(2), 1) });
        let state = start(&method, &model);
        let outcome = method.compute(&mut model, &batch, &state).unwrap();
        assert_eq!(outcome.kept.iter().find(|(name, _)| *name == QUEUE).unwrap().1.dims(), [2, 4]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for bad in [
            MocoConfig { queue_size: Some(0), ..config(None, 1) },
            MocoConfig { momentum: 1.5, ..config(None, 1) },
            MocoConfig { temperature: 0.0, ..config(None, 1) },
            config(None, 0),
            config(None, 3),
        ] {
            assert_eq!(bad.validate(BATCH).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        config(Some(3), 2).validate(BATCH).unwrap();
    }
}
