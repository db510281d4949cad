//! Batches of training views, made ahead by threads of their own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::augment::{AugmentConfig, Pipeline, Scratch};
use crate::dataset::stream::Window;
use crate::dataset::{Dataset, Stream};
use crate::decode::{ChoosePart, Part, Wanted};
use crate::error::{DataError, Result, panic_message};
use crate::image::Image;
use crate::order::epoch_order;

/// A user's function from a decoded picture to the one that is augmented.
pub type Transform = Arc<dyn Fn(Image) -> Result<Image> + Send + Sync>;

/// What to do about a picture that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadImagePolicy {
    /// End with its error.
    Error,
    /// Go on with another one, count and list it.
    Skip,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Samples a batch, at least 1, at most the data set's length.
    pub batch: usize,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
    /// Threads that make batches, at least 1.
    pub threads: usize,
    /// Batches made or being made ahead of the one returned, at least 1. Each thread makes a whole batch, so there is
    /// work for all of them only when this is at least their number.
    pub prefetch: usize,
    /// What to do about bad pictures.
    pub on_bad_image: BadImagePolicy,
    /// Pictures among which the next one of a stream is drawn, at least 1; a data set that is no stream is shuffled as
    /// a whole.
    pub shuffle_buffer: usize,
    /// Epoch to start in, from 0.
    pub epoch: u64,
    /// Batch of that epoch to start with, from 0. A run that is resumed here gets the batches that the uninterrupted
    /// one would have had.
    pub position: usize,
}

/// One batch of training samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The two views, each `[batch, channels, pixels, pixels]`, normalised.
    pub views: [Vec<f32>; 2],
    /// `[batch]`, classes; -1 where there is no label.
    pub labels: Vec<i64>,
    /// `[batch]`, the samples' indices in the data set.
    pub indices: Vec<u32>,
    /// The epoch the batch belongs to, from 0.
    pub epoch: u64,
    /// The batch's place in its epoch, from 0.
    pub position: usize,
}

/// A picture that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPicture {
    /// The picture's name.
    pub name: String,
    /// The error's stable code.
    pub code: String,
    /// The error's message.
    pub message: String,
}

/// An endless sequence of training batches, epoch after epoch, each epoch in its own shuffled order.
///
/// The samples left over at the end of an epoch that do not fill a batch are dropped, as in the reference
/// (`drop_last=True`); another order brings others. The batches are a function of the data, the configuration and the
/// options' `batch` and `seed`: neither `threads` nor `prefetch` nor timing changes them.
///
/// With [`BadImagePolicy::Skip`] the bad pictures of a batch are replaced by the next good ones of the epoch's order
/// after the batch (going round at its end), which the epoch then sees twice.
///
/// Dropping the loader stops its threads and waits for the pictures in their hands, a user's transform included: do
/// not drop it on a thread that a transform waits for.
pub struct Loader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    maker: BatchMaker,
    /// Batches that may be made or waiting at once.
    ahead: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The next batch to be made and the next to be returned, counted from the first epoch's first.
    next_made: u64,
    next_returned: u64,
    ready: BTreeMap<u64, Result<Batch>>,
    stopped: bool,
}

impl Loader {
    /// Bytes of the views of a loader whose queue is full: `prefetch` batches made ahead, and the one in use, which
    /// comes back by [`Loader::recycle`]. Pictures that a data set keeps are not counted.
    pub fn queue_bytes(augment: &AugmentConfig, batch: usize, prefetch: usize) -> usize {
        let view = usize::from(augment.channels) * (augment.pixels as usize).pow(2);
        (prefetch + 1) * 2 * batch * view * size_of::<f32>()
    }

    /// Starts making the batches from `options.epoch` and `options.position` on.
    ///
    /// `transform` is applied to every decoded picture first, on the loader's threads.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] for a configuration or option out of its range; in particular for a batch larger
    /// than the data set.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        augment: &AugmentConfig,
        options: LoaderOptions,
        transform: Option<Transform>,
    ) -> Result<Self> {
        let pipeline = Pipeline::new(augment)?;
        let batches_per_epoch = check_options(&options, dataset.len())?;
        let first = options.epoch * batches_per_epoch as u64 + options.position as u64;
        let threads = options.threads;
        let ahead = options.prefetch as u64;
        let maker = BatchMaker {
            stream: dataset.stream(),
            dataset,
            pipeline,
            options,
            transform,
            batches_per_epoch,
            passes: Mutex::new(BTreeMap::new()),
            bad: Mutex::new(BTreeMap::new()),
            spare: Mutex::new(Vec::new()),
        };
        let state = State { next_made: first, next_returned: first, ready: BTreeMap::new(), stopped: false };
        let shared = Arc::new(Shared { maker, ahead, state: Mutex::new(state), changed: Condvar::new() });
        let mut loader = Self { shared, workers: Vec::with_capacity(threads) };
        for index in 0..threads {
            let shared = Arc::clone(&loader.shared);
            let worker =
                thread::Builder::new().name(format!("amdim-data-{index}")).spawn(move || shared.work());
            loader.workers.push(worker.map_err(|error| DataError::io("a thread for the loader", error))?);
        }
        Ok(loader)
    }

    /// Batches an epoch: the data set's length divided by the batch, the rest dropped.
    pub fn batches_per_epoch(&self) -> usize {
        self.shared.maker.batches_per_epoch
    }

    /// The next batch, waiting for it when it is not ready.
    ///
    /// # Errors
    /// The first bad picture's error under [`BadImagePolicy::Error`]; an error of the user's transform; see
    /// [`DataError::TooFewGoodPictures`]. The batch is lost then, the following ones are not.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let mut state = self.shared.lock();
        loop {
            let wanted = state.next_returned;
            if let Some(batch) = state.ready.remove(&wanted) {
                state.next_returned += 1;
                self.shared.changed.notify_all();
                return batch;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes back a batch that is no longer needed, so that its memory serves another one.
    pub fn recycle(&self, batch: Batch) {
        let mut spare = lock(&self.shared.maker.spare);
        if spare.len() < self.shared.ahead as usize {
            spare.push(batch.views);
        }
    }

    /// The pictures left out so far, each once, in the order of the data set.
    pub fn skipped(&self) -> Vec<SkippedPicture> {
        lock(&self.shared.maker.bad).values().cloned().collect()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches what panics; there is nothing left to report here.
            let _ = worker.join();
        }
    }
}

/// Checks the options and returns the number of batches an epoch.
fn check_options(options: &LoaderOptions, samples: usize) -> Result<usize> {
    for (name, value) in [
        ("batch", options.batch),
        ("threads", options.threads),
        ("prefetch", options.prefetch),
        ("shuffleBuffer", options.shuffle_buffer),
    ] {
        if value == 0 {
            return Err(DataError::argument(name, "at least 1", value));
        }
    }
    if u32::try_from(samples).is_err() {
        return Err(DataError::argument("data set", "at most 4294967295 pictures", samples));
    }
    if options.batch > samples {
        let expected = format!("at most the number of pictures ({samples})");
        return Err(DataError::argument("batch", expected, options.batch));
    }
    let batches = samples / options.batch;
    if options.position >= batches {
        return Err(DataError::argument(
            "position",
            format!("below {batches}, the batches an epoch"),
            options.position,
        ));
    }
    if options.epoch > u64::from(u32::MAX) {
        return Err(DataError::argument("epoch", "at most 4294967295", options.epoch));
    }
    Ok(batches)
}

/// A lock that outlives a panic elsewhere: what it guards is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Makes batches until told to stop.
    fn work(&self) {
        let mut scratch = Scratch::default();
        while let Some(number) = self.take() {
            let made = catch_unwind(AssertUnwindSafe(|| self.maker.make(number, &mut scratch)))
                .unwrap_or_else(|panic| Err(DataError::Internal { message: panic_message(&*panic) }));
            let mut state = self.lock();
            state.ready.insert(number, made);
            self.changed.notify_all();
        }
    }

    /// The number of the next batch to make, once there is room for it; none when stopped.
    fn take(&self) -> Option<u64> {
        let mut state = self.lock();
        while !state.stopped && state.next_made >= state.next_returned + self.ahead {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return None;
        }
        let number = state.next_made;
        state.next_made += 1;
        Some(number)
    }
}

/// Makes the batch of any number, alone.
struct BatchMaker {
    dataset: Arc<dyn Dataset>,
    stream: Option<Arc<Stream>>,
    pipeline: Pipeline,
    options: LoaderOptions,
    transform: Option<Transform>,
    batches_per_epoch: usize,
    /// The epochs of which batches are being made.
    passes: Mutex<BTreeMap<u64, Arc<Pass>>>,
    bad: Mutex<BTreeMap<u32, SkippedPicture>>,
    /// View buffers of batches that were handed back.
    spare: Mutex<Vec<[Vec<f32>; 2]>>,
}

/// Epochs that are kept: threads may make the last batches of one and the first of the next.
const PASSES: usize = 2;

/// One epoch.
struct Pass {
    epoch: u64,
    order: Vec<u32>,
    /// Reads a stream ahead; none where pictures are read one by one.
    window: Option<Window>,
}

impl BatchMaker {
    fn make(&self, number: u64, scratch: &mut Scratch) -> Result<Batch> {
        let epoch = number / self.batches_per_epoch as u64;
        let position = (number % self.batches_per_epoch as u64) as usize;
        let pass = self.pass(epoch);
        let order = &pass.order;
        let size = self.options.batch;
        let first = position * size;
        let values = self.pipeline.view_values();
        let spare = lock(&self.spare).pop();
        let mut views = spare.unwrap_or_else(|| [vec![0.0; size * values], vec![0.0; size * values]]);
        let mut indices = order[first..first + size].to_vec();
        // Substitutes: what comes after the batch in the order, round to just before it.
        let mut substitutes = order[first + size..].iter().chain(&order[..first]).copied();
        for (slot, index) in indices.iter_mut().enumerate() {
            let [one, two] = &mut views;
            let range = slot * values..(slot + 1) * values;
            while !self.fill(*index, &pass, scratch, [&mut one[range.clone()], &mut two[range.clone()]])? {
                *index = substitutes.next().ok_or_else(|| self.too_few())?;
            }
        }
        let label = |&index: &u32| self.dataset.label(index as usize).map_or(-1, i64::from);
        let labels = indices.iter().map(label).collect();
        Ok(Batch { views, labels, indices, epoch, position })
    }

    fn pass(&self, epoch: u64) -> Arc<Pass> {
        let mut kept = lock(&self.passes);
        if let Some(pass) = kept.get(&epoch) {
            return Arc::clone(pass);
        }
        let LoaderOptions { batch, seed, shuffle_buffer, .. } = self.options;
        let pass = Arc::new(match &self.stream {
            None => Pass { epoch, order: epoch_order(self.dataset.len(), seed, epoch), window: None },
            Some(stream) => {
                let order = stream.order(shuffle_buffer, seed, epoch);
                let first = if epoch == self.options.epoch { self.options.position * batch } else { 0 };
                let window = Window::new(Arc::clone(stream), &order[first..], seed, epoch);
                Pass { epoch, order, window: Some(window) }
            }
        });
        kept.insert(epoch, Arc::clone(&pass));
        if kept.len() > PASSES {
            kept.pop_first();
        }
        pass
    }

    /// Writes the views of one sample; false when its picture is bad and bad ones are skipped.
    fn fill(&self, index: u32, pass: &Pass, scratch: &mut Scratch, views: [&mut [f32]; 2]) -> Result<bool> {
        if lock(&self.bad).contains_key(&index) {
            return Ok(false);
        }
        match self.sample(index, pass, scratch, views) {
            Ok(()) => Ok(true),
            Err(error) if error.is_bad_picture() && self.options.on_bad_image == BadImagePolicy::Skip => {
                lock(&self.bad).insert(index, SkippedPicture::new(self.dataset.name(index as usize), &error));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn sample(&self, index: u32, pass: &Pass, scratch: &mut Scratch, views: [&mut [f32]; 2]) -> Result<()> {
        let key = [self.options.seed, pass.epoch, u64::from(index)];
        let choose = &mut |width, height| self.pipeline.wanted_for_training(width, height, key);
        read(&mut |choose| self.part(index, pass, choose), self.transform.as_ref(), choose)
            .and_then(|part| self.pipeline.training_views(part?, key, scratch, views))
            .map_err(|error| error.with_picture(&self.dataset.name(index as usize)))
    }

    /// A picture of a stream from what was read ahead, where it is there; any other from the data set.
    fn part(&self, index: u32, pass: &Pass, choose: &mut ChoosePart<'_>) -> Result<Part> {
        match (&self.stream, pass.window.as_ref().and_then(|window| window.take(index))) {
            (Some(stream), Some(bytes)) => stream.decode(&bytes?, choose),
            _ => self.dataset.part(index as usize, choose),
        }
    }

    fn too_few(&self) -> DataError {
        let total = self.dataset.len();
        DataError::TooFewGoodPictures {
            batch: self.options.batch,
            good: total - lock(&self.bad).len(),
            total,
        }
    }
}

impl SkippedPicture {
    pub(crate) fn new(name: String, error: &DataError) -> Self {
        Self { name, code: error.code().to_owned(), message: error.to_string() }
    }
}

/// Reads what `choose` wants of a picture by `part`; all of it where there is a user's transform. The inner result is
/// the transform's.
pub(crate) fn read(
    part: &mut dyn FnMut(&mut ChoosePart<'_>) -> Result<Part>,
    transform: Option<&Transform>,
    choose: &mut ChoosePart<'_>,
) -> Result<Result<Part>> {
    match transform {
        None => part(choose).map(Ok),
        Some(transform) => {
            part(&mut Wanted::all).map(|part| transformed(part.image, transform).map(Part::whole))
        }
    }
}

/// Applies the user's transform, whose errors are told apart from those of pictures.
fn transformed(image: Image, transform: &Transform) -> Result<Image> {
    let failed = |problem: String| DataError::Transform { picture: "the picture".to_owned(), problem };
    let image = transform(image).map_err(|error| match error {
        own @ DataError::Transform { .. } => own,
        other => failed(other.to_string()),
    })?;
    Image::new(image.width, image.height, image.channels, image.pixels)
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests;
