//! The loop of a run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use amdim_core::checkpoint::Progress;
use amdim_core::optim::Position;
use amdim_core::train_step::Learner;
use amdim_data::{Batch, Loader};
use serde_json::Value;

use super::clock::Clock;
use super::folder::RunFolder;
use super::meter::{Meter, Standing, rate};
use super::online::OnlineTest;
use crate::config::{Length, TrainRequest};
use crate::event::{Skipped, StepEvent, TrainEvent, TrainResult};
use crate::{Result, RunError};

/// A run from its start, or from the checkpoint that it goes on from, to its end.
pub(super) struct Session<'a> {
    pub(super) request: &'a TrainRequest,
    /// The record of the run in its files.
    pub(super) record: Value,
    pub(super) classes: Vec<String>,
    pub(super) learner: Learner,
    pub(super) loader: Loader,
    /// The batch that was made to see that pictures are good.
    pub(super) first_batch: Option<Batch>,
    pub(super) online: Option<OnlineTest>,
    pub(super) folder: Option<RunFolder>,
    pub(super) events: &'a mut (dyn FnMut(&TrainEvent) + Send),
    pub(super) cancel: &'a AtomicBool,
    pub(super) clock: Clock,
    pub(super) meter: Meter,
    pub(super) progress: Progress,
    /// Update and seconds at which this session began.
    pub(super) started_at: (u64, f64),
    pub(super) updates_per_epoch: u64,
    pub(super) last_step: Option<StepEvent>,
    pub(super) skipped: Vec<Skipped>,
    /// When the newest checkpoint of this session was written, and at which update.
    pub(super) written: Option<(Instant, u64)>,
    /// Whether the last update failed halfway.
    pub(super) step_failed: bool,
}

impl Session<'_> {
    /// Makes all updates, then writes the files of the end.
    pub(super) fn run(mut self) -> Result<TrainResult> {
        let began = Instant::now();
        let ended = self.make_updates(began);
        let cancelled = match ended {
            Ok(()) => false,
            // The user's transform and the tests of the classifiers notice a cancellation themselves.
            Err(_) if self.is_cancelled() && !self.step_failed => true,
            Err(error) => {
                self.rescue();
                return Err(error);
            }
        };
        self.finish(cancelled)
    }

    fn make_updates(&mut self, began: Instant) -> Result<()> {
        let mut rate = 0.0;
        while !self.is_done() {
            if self.is_cancelled() {
                self.report_steps(rate)?;
                return Err(RunError::Cancelled);
            }
            let batch = match self.first_batch.take() {
                Some(batch) => batch,
                None => self.loader.next_batch()?,
            };
            rate = self.update(&batch)?;
            self.loader.recycle(batch);
            self.report_skipped()?;
            if self.progress.update.is_multiple_of(self.request.log_every_steps) {
                self.report_steps(rate)?;
            }
            if self.progress.batch == 0 {
                self.end_epoch()?;
            }
            let last = self.written.map_or(began, |(when, _)| when);
            let minutes = last.elapsed().as_secs_f64() / 60.0;
            if self.request.checkpoint_minutes.is_some_and(|every| minutes >= every) {
                self.write_checkpoint()?;
            }
        }
        self.report_steps(rate)
    }

    /// One update; returns its learning rate.
    fn update(&mut self, batch: &Batch) -> Result<f64> {
        let config = &self.request.config;
        let rate = config.optimizer.learning_rate * config.schedule.scale(&self.position());
        let size = config.batch_size;
        let images = |view: usize| self.learner.images(&batch.views[view], size);
        let views = [images(0)?, images(1)?];
        self.step_failed = true;
        let report = self.learner.step([&views[0], &views[1]], &batch.labels, rate)?;
        self.step_failed = false;
        self.meter.add(&report);
        let position = batch.position as u64 + 1;
        let ends_epoch = position == self.updates_per_epoch;
        self.progress = Progress {
            update: self.progress.update + 1,
            epoch: batch.epoch + u64::from(ends_epoch),
            batch: if ends_epoch { 0 } else { position },
            pairs: self.progress.pairs + size as u64,
            seconds: self.clock.seconds(),
        };
        Ok(rate)
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn is_done(&self) -> bool {
        self.share_done() >= 1.0
    }

    fn share_done(&self) -> f64 {
        let Progress { update, seconds, .. } = self.progress;
        self.request.config.length.share_done(update, seconds, self.updates_per_epoch)
    }

    fn position(&self) -> Position {
        let update = self.progress.update;
        let total = self.request.config.length.total_updates(self.updates_per_epoch);
        Position {
            update,
            epoch: update as f64 / self.updates_per_epoch as f64,
            progress: self.share_done(),
            progress_per_update: total.map_or(0.0, |total| 1.0 / total as f64),
        }
    }

    /// Seconds to go, from the speed of this session.
    fn eta(&self) -> Option<f64> {
        let Progress { update, seconds, .. } = self.progress;
        let length = self.request.config.length;
        match (length, length.total_updates(self.updates_per_epoch)) {
            (Length::Minutes(minutes), _) => Some((60.0 * minutes - seconds).max(0.0)),
            (_, Some(total)) if update > self.started_at.0 => {
                let each = (seconds - self.started_at.1) / (update - self.started_at.0) as f64;
                Some(total.saturating_sub(update) as f64 * each)
            }
            _ => None,
        }
    }

    /// Tells everybody of an event: first the metrics file, then the caller.
    pub(super) fn emit(&mut self, event: TrainEvent) -> Result<()> {
        if let Some(folder) = &mut self.folder {
            folder.append(&event)?;
        }
        (self.events)(&event);
        if let TrainEvent::Step(step) = event {
            self.last_step = Some(step);
        }
        Ok(())
    }

    fn report_steps(&mut self, learning_rate: f64) -> Result<()> {
        if self.meter.is_empty() {
            return Ok(());
        }
        let Progress { update, epoch, batch, pairs, seconds } = self.progress;
        let event = self.meter.take(Standing {
            update,
            epoch: if batch == 0 { epoch - 1 } else { epoch },
            pairs,
            seconds,
            learning_rate,
            progress: self.share_done(),
            eta_seconds: self.eta(),
        });
        self.emit(TrainEvent::Step(event))
    }

    fn report_skipped(&mut self) -> Result<()> {
        let all = self.loader.skipped();
        if all.len() == self.skipped.len() {
            return Ok(());
        }
        let new: Vec<Skipped> =
            all.into_iter().map(Skipped::from).filter(|picture| !self.skipped.contains(picture)).collect();
        for picture in new {
            self.skipped.push(picture.clone());
            self.emit(TrainEvent::Skipped(picture))?;
        }
        Ok(())
    }

    fn end_epoch(&mut self) -> Result<()> {
        let Progress { epoch, update, seconds, .. } = self.progress;
        self.emit(TrainEvent::Epoch { epoch, update, seconds })?;
        let is_due = self.request.online_evaluate_epochs.is_some_and(|every| epoch.is_multiple_of(every));
        let Some(online) = self.online.as_ref().filter(|_| is_due) else { return Ok(()) };
        let (request, model, cancel) = (self.request, self.learner.model()?, self.cancel);
        let augment = &request.config.augment;
        let (linear_top1, mlp_top1) = self.clock.paused(|| {
            online.accuracies(model, augment, request.threads, request.on_bad_image.into(), cancel)
        })?;
        self.emit(TrainEvent::Evaluation { epoch, update, linear_top1, mlp_top1 })
    }

    fn write_checkpoint(&mut self) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.checkpoint();
        self.learner.checkpoint(&self.classes, self.progress, self.record.clone())?.write(&path)?;
        let update = self.progress.update;
        folder.keep_checkpoint(update, self.request.keep_checkpoints)?;
        self.written = Some((Instant::now(), update));
        self.emit(TrainEvent::Checkpoint { path: path.clone(), update })?;
        Ok(Some(path))
    }

    /// Keeps what was learnt before an error. The error is what is reported, whatever comes of this.
    fn rescue(&mut self) {
        let is_news = self.progress.update > self.written.map_or(self.started_at.0, |(_, update)| update);
        // A failed update may have moved some of the parameters, and a diverged one is nothing to go on from.
        if is_news && !self.step_failed {
            let _ = self.write_checkpoint();
        }
    }

    fn finish(mut self, cancelled: bool) -> Result<TrainResult> {
        let checkpoint_path = self.write_checkpoint()?;
        let model_path = self.folder.as_ref().map(RunFolder::model);
        if let Some(path) = &model_path {
            self.learner.model_file(&self.classes, self.progress, self.record.clone())?.write(path)?;
        }
        let Progress { update, epoch, pairs, seconds, .. } = self.progress;
        let result = TrainResult {
            cancelled,
            update,
            epoch,
            pairs,
            seconds,
            pairs_per_second: rate(pairs, seconds),
            last_step: self.last_step,
            model_path,
            checkpoint_path,
            run_folder: self.folder.as_ref().map(|folder| folder.path().to_owned()),
            skipped: self.skipped,
        };
        if let Some(folder) = &self.folder {
            folder.write_json("result.json", &result)?;
        }
        Ok(result)
    }
}
