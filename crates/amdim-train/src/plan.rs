//! What a run will take: its time from a few steps on this machine, its memory from its description.
//!
//! The time of an update on `B` pictures is modelled as `c0 + c1 B + c2 B^2`. Only the loss, in which every picture meets
//! every other one, grows with the square, so `c2` is timed by itself; the rest follows from whole steps on two small
//! batches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use amdim_core::device;
use amdim_core::executor::Precision;
use amdim_core::model::Model;
use amdim_core::step_memory::StepMemory;
use amdim_core::train_step::Learner;
use amdim_data::Loader;
use amdim_kernels::Kernel;
use candle_core::Tensor;
use serde::Serialize;

use crate::bench::{RATE, median, random_images, random_labels};
use crate::config::{Length, PlanRequest};
use crate::place::{on_threads, placement};
use crate::{Result, RunError};

/// Seconds of timing after which no further step or loss is begun.
const SECONDS: f64 = 8.0;
/// The same of one turn on a batch size, whose first step, which takes memory, is not counted.
const TURN_SECONDS: f64 = 1.0;
/// Most turns on a batch size.
const TURNS: usize = 4;
/// Most steps, or losses, that are timed in a turn.
const MOST_LAPS: usize = 15;
/// Most pictures that the loss is timed on; more of them only make the square plainer.
const MOST_LOSS_PICTURES: usize = 256;

/// What a run takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunPlan {
    /// Pictures an update.
    pub batch_size: usize,
    /// Seconds an update.
    pub seconds_per_update: f64,
    /// Pictures, two views each, a second.
    pub pairs_per_second: f64,
    /// Updates an epoch; none without the number of pictures.
    pub updates_per_epoch: Option<u64>,
    /// Length in updates, in passes over the pictures, and in seconds of training.
    #[serde(flatten)]
    pub totals: Totals,
    /// Bytes of the run; none on candle, whose tensors come and go.
    pub memory: Option<PlannedMemory>,
    /// Device of the run.
    pub device: String,
    /// What runs the encoder.
    pub executor: String,
    /// How the maps are kept.
    pub precision: Precision,
    /// Instructions used on the processor.
    pub kernel: String,
    /// Threads of the computation.
    pub threads: usize,
    /// How the speed was found.
    pub calibration: Calibration,
}

/// Length of a run in every unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Totals {
    /// Updates; none for a length in epochs without the number of pictures.
    pub updates: Option<u64>,
    /// Passes over the pictures; none without their number, unless they are the length.
    pub epochs: Option<f64>,
    /// Seconds of training; none where updates are not known.
    pub seconds: Option<f64>,
}

/// Bytes of a run, beside the process that it runs in and the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedMemory {
    /// Those of its steps.
    #[serde(flatten)]
    pub step: StepMemory,
    /// Views made ahead, in use, and as tensors.
    pub input: usize,
}

/// How the speed was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// Pictures of the batches that whole steps were timed on.
    pub batch_sizes: Vec<usize>,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// Times a few steps on noise and predicts what the run of `request` takes. Nothing is written.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a bad request, `AMDIM_DEVICE` for a device that is not there, `AMDIM_CANCELLED` once
/// `cancel` is set and the step under way done.
pub fn plan(request: &PlanRequest, cancel: &AtomicBool) -> Result<RunPlan> {
    request.validate()?;
    on_threads(request.threads, || {
        let began = Instant::now();
        let (config, batch_size) = (&request.config, request.config.batch_size);
        let place = placement(&request.device, request.executor, request.precision, request.threads)?;
        let (precision, device) = (place.precision, device::name(&place.device));
        // As in a run, one class is nothing to tell apart.
        let classes = if request.classes < 2 { 0 } else { request.classes };
        let model = Model::new(config.model(classes), config.seed, place)?;
        let executor = model.executor_name().to_owned();
        let tensors = 2 * batch_size * model.network().input.len() * size_of::<f32>();
        let input = Loader::queue_bytes(&config.augment, batch_size, request.prefetch) + tensors;
        let mut timer = Timer { learner: Learner::new(model, config.step())?, classes, cancel };
        let memory = timer.learner.memory(batch_size).map(|step| PlannedMemory { step, input });
        let (seconds, batch_sizes) = timer.update(batch_size, config.encoder.encoder_size())?;
        let per_epoch = request.pictures.map(|pictures| (pictures / batch_size) as u64);
        Ok(RunPlan {
            batch_size,
            seconds_per_update: seconds,
            pairs_per_second: batch_size as f64 / seconds,
            updates_per_epoch: per_epoch,
            totals: totals(config.length, seconds, per_epoch),
            memory,
            device,
            executor,
            precision,
            kernel: Kernel::selected().map_or_else(|_| String::new(), |kernel| kernel.to_string()),
            threads: request.threads,
            calibration: Calibration { batch_sizes, seconds: began.elapsed().as_secs_f64() },
        })
    })
}

fn totals(length: Length, seconds_per_update: f64, updates_per_epoch: Option<u64>) -> Totals {
    let updates = match length {
        // The update under way when the time is over is finished.
        Length::Minutes(minutes) => Some((60.0 * minutes / seconds_per_update).ceil() as u64),
        Length::Updates(updates) => Some(updates),
        Length::Epochs(_) => updates_per_epoch.and_then(|per_epoch| length.total_updates(per_epoch)),
    };
    let passes = |updates: u64| updates_per_epoch.map(|per_epoch| updates as f64 / per_epoch as f64);
    Totals {
        updates,
        epochs: match length {
            Length::Epochs(epochs) => Some(epochs as f64),
            _ => updates.and_then(passes),
        },
        seconds: match length {
            Length::Minutes(minutes) => Some(60.0 * minutes),
            _ => updates.map(|updates| updates as f64 * seconds_per_update),
        },
    }
}

/// Times parts of a run.
struct Timer<'a> {
    learner: Learner,
    classes: usize,
    cancel: &'a AtomicBool,
}

impl Timer<'_> {
    /// Seconds of an update, and the batch sizes that were timed to know it.
    fn update(&mut self, batch: usize, pixels: usize) -> Result<(f64, Vec<usize>)> {
        // A step cuts its batch into up to eight parts; with multiples of eight all are of one size, as in a large
        // batch. Pictures of 128 pixels are work enough for eight of them.
        let small = if pixels > 64 { 8 } else { 16 };
        let has_timed_loss = self.learner.memory(batch).is_some();
        if batch <= 2 * small || !has_timed_loss {
            let [seconds] = self.steps([batch])?;
            return Ok((seconds, vec![batch]));
        }
        let sizes = [small, 2 * small];
        let times = self.steps(sizes)?;
        let loss = batch.min(MOST_LOSS_PICTURES);
        let square = self.losses(loss)? / (loss as f64).powi(2);
        Ok((extrapolate(sizes.map(|size| size as f64), times, square, batch as f64), sizes.to_vec()))
    }

    /// Seconds of whole steps on batches of these sizes. They take turns, so that a machine that is busy for a while
    /// slows all of them down.
    fn steps<const N: usize>(&mut self, sizes: [usize; N]) -> Result<[f64; N]> {
        let (began, model) = (Instant::now(), self.learner.model()?);
        let views = |batch| Ok([random_images(model, batch, 1)?, random_images(model, batch, 2)?]);
        let views: Vec<[Tensor; 2]> = sizes.into_iter().map(views).collect::<Result<_>>()?;
        let mut seconds = [const { vec![] }; N];
        for _ in 0..TURNS {
            for ((views, &batch), seconds) in views.iter().zip(&sizes).zip(&mut seconds) {
                let labels = random_labels(batch, self.classes);
                let mut laps = Laps::new(TURN_SECONDS);
                loop {
                    self.learner.step([&views[0], &views[1]], &labels, RATE)?;
                    self.check_cancelled()?;
                    if !laps.add() {
                        break;
                    }
                }
                seconds.append(&mut laps.seconds);
            }
            if began.elapsed().as_secs_f64() > SECONDS {
                break;
            }
        }
        Ok(seconds.map(|mut seconds| median(&mut seconds)))
    }

    /// Seconds of the loss and its gradients.
    fn losses(&mut self, batch: usize) -> Result<f64> {
        let (cancel, mut laps) = (self.cancel, Laps::new(2.0 * TURN_SECONDS));
        self.learner.rehearse_loss(batch, &mut || laps.add() && !cancel.load(Ordering::Relaxed))?;
        self.check_cancelled()?;
        Ok(median(&mut laps.seconds))
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(RunError::Cancelled) } else { Ok(()) }
    }
}

/// Seconds of a step on `batch` pictures, from the `times` of steps on two smaller `sizes`, rising, and the factor of the
/// square.
fn extrapolate(sizes: [f64; 2], times: [f64; 2], square: f64, batch: f64) -> f64 {
    let [few, many] = [0, 1].map(|index| times[index] - square * sizes[index].powi(2));
    let slope = (many - few) / (sizes[1] - sizes[0]);
    let fixed = few - slope * sizes[0];
    let linear = if slope > 0.0 && fixed > 0.0 {
        fixed + slope * batch
    } else {
        // Noise: no step is faster on more pictures, and none costs less than nothing on none.
        many.max(0.0) * batch / sizes[1]
    };
    linear + square * batch.powi(2)
}

/// Times of something done again and again, the first time, which takes memory, left out.
struct Laps {
    limit: f64,
    last: Instant,
    is_warm: bool,
    seconds: Vec<f64>,
}

impl Laps {
    /// Starts the first. No other is begun after `limit` seconds, but one is always timed.
    fn new(limit: f64) -> Self {
        Self { limit, last: Instant::now(), is_warm: false, seconds: vec![] }
    }

    /// Ends one, and starts the next if there should be one: then it is true.
    fn add(&mut self) -> bool {
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        if self.is_warm {
            self.seconds.push(seconds);
        }
        self.is_warm = true;
        self.seconds.len() < MOST_LAPS && self.seconds.iter().sum::<f64>() < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_found_again() {
        let seconds = |batch: f64| 0.3 + 0.02 * batch + 1e-4 * batch * batch;
        let found = extrapolate([16.0, 32.0], [16.0, 32.0].map(seconds), 1e-4, 200.0);
        assert!((found - seconds(200.0)).abs() < 1e-9);
    }

    #[test]
    fn noise_gives_no_less_than_the_larger_batch() {
        for times in [[0.5, 0.4], [0.1, 0.4]] {
            assert_eq!(extrapolate([16.0, 32.0], times, 0.0, 64.0), 0.8);
        }
    }

    #[test]
    fn lengths_are_turned_into_each_other() {
        let known = |length| totals(length, 0.5, Some(10));
        let of = |updates, epochs, seconds| Totals { updates, epochs, seconds };
        assert_eq!(known(Length::Epochs(3)), of(Some(30), Some(3.0), Some(15.0)));
        assert_eq!(known(Length::Updates(25)), of(Some(25), Some(2.5), Some(12.5)));
        assert_eq!(known(Length::Minutes(1.0)), of(Some(120), Some(12.0), Some(60.0)));
        let unknown = |length| totals(length, 0.5, None);
        assert_eq!(unknown(Length::Epochs(3)), of(None, Some(3.0), None));
        assert_eq!(unknown(Length::Updates(25)), of(Some(25), None, Some(12.5)));
        assert_eq!(unknown(Length::Minutes(1.0)), of(Some(120), None, Some(60.0)));
    }

    #[test]
    fn the_first_lap_is_left_out_and_one_is_always_timed() {
        let mut laps = Laps::new(0.0);
        assert!(!laps.is_warm);
        laps.add();
        assert!(laps.seconds.is_empty());
        assert!(!Laps { limit: 0.0, last: Instant::now(), is_warm: true, seconds: vec![] }.add());
    }
}
