//! Opens everything that a run needs; nothing is written before all of it is known to be good.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use amdim_core::checkpoint::{Checkpoint, Progress};
use amdim_core::device;
use amdim_core::executor::Precision;
use amdim_core::model::Model;
use amdim_core::train_step::Learner;
use amdim_data::{Dataset, Loader, LoaderOptions};
use amdim_kernels::Kernel;

use super::TrainData;
use super::clock::Clock;
use super::folder::{RunFolder, RunLock};
use super::labels::with_labels;
use super::meter::Meter;
use super::online::OnlineTest;
use super::session::Session;
use crate::config::{MethodName, TrainRequest};
use crate::event::TrainEvent;
use crate::place::placement;
use crate::record::{ComputeRecord, DataRecord, RunRecord};
use crate::{Result, RunError};

/// Makes a session that is ready for its first update.
pub(super) fn prepare<'a>(
    request: &'a TrainRequest,
    data: TrainData,
    events: &'a mut (dyn FnMut(&TrainEvent) + Send),
    cancel: &'a AtomicBool,
) -> Result<Session<'a>> {
    let config = &request.config;
    let data = TrainData { train: with_labels(config, data.train)?, ..data };
    let mut record = RunRecord::of_run(request, DataRecord::new(data.train.as_ref()))?;
    check_sizes(request, data.train.as_ref())?;
    let mut warnings = vec![];
    let classes = classifier_classes(request, data.train.as_ref(), &mut warnings);
    let lock = match (&request.output, &request.resume) {
        (Some(folder), Some(checkpoint)) => RunLock::of_resumed(folder, checkpoint)?,
        _ => None,
    };
    let resumed = request.resume.as_deref().map(|path| read_resumed(path, &record)).transpose()?;
    let before = resumed.as_ref().and_then(|(_, record)| record.compute.clone());
    let precision = match (request.precision, &before) {
        (Precision::Auto, Some(before)) => before.precision,
        (asked, _) => asked,
    };
    let place = placement(&request.device, request.executor, precision, request.threads)?;
    let precision = place.precision;
    let device = device::name(&place.device);
    let mut model = Model::new(config.model(classes.len()), config.seed, place)?;
    if let Some(path) = &request.initial_weights {
        take_weights(&mut model, path, &classes, request.keep_head)?;
    }
    let parameters = model.network().parameter_len();
    let executor = model.executor_name();
    let kernel = Kernel::selected().map_err(amdim_core::Error::from)?.to_string();
    let compute = ComputeRecord { precision, executor: executor.into(), kernel: kernel.clone() };
    if let Some(change) = before.and_then(|before| before.change(&compute)) {
        warnings.push(TrainEvent::warning("AMDIM_CHECKPOINT", change));
    }
    record.compute = Some(compute);
    let mut learner = Learner::new(model, config.step())?;
    let mut progress = Progress::default();
    if let Some((file, _)) = &resumed {
        learner.resume(file)?;
        progress = file.header.progress;
    }
    let online = match data.test.clone().filter(|_| request.online_evaluate_epochs.is_some()) {
        Some(test) if !classes.is_empty() => {
            let online = OnlineTest::new(test, &classes)?;
            if online.is_none() {
                let message = "the test pictures have no labels: the online classifiers are not tested";
                warnings.push(TrainEvent::warning("AMDIM_DATA", message));
            }
            online
        }
        _ => None,
    };
    let test_size = data.test.as_ref().map(|test| test.len());
    let train_size = data.train.len();
    let mut loader = open_loader(request, data, &progress)?;
    let updates_per_epoch = loader.batches_per_epoch() as u64;
    let first_batch = loader.next_batch()?;
    let folder = request
        .output
        .as_deref()
        .map(|path| RunFolder::open(path, request.resume.as_deref(), progress.update, lock))
        .transpose()?;
    if let Some(folder) = &folder {
        folder.write_json("config.json", request)?;
    }
    let start = TrainEvent::Start {
        run_folder: request.output.clone(),
        device,
        executor: executor.into(),
        precision,
        kernel,
        threads: request.threads,
        train_size,
        test_size,
        classes: classes.len(),
        parameters,
        updates_per_epoch,
        total_updates: config.length.total_updates(updates_per_epoch),
        chance_level: chance_levels(request),
        resumed_from: progress.update,
    };
    let mut session = Session {
        request,
        record: record.to_value()?,
        classes,
        learner,
        loader,
        first_batch: Some(first_batch),
        online,
        folder,
        events,
        cancel,
        clock: Clock::start(progress.seconds),
        meter: Meter::new(progress.pairs, progress.seconds),
        progress,
        started_at: (progress.update, progress.seconds),
        updates_per_epoch,
        last_step: None,
        skipped: vec![],
        written: None,
        step_failed: false,
    };
    session.emit(start)?;
    for warning in warnings {
        session.emit(warning)?;
    }
    Ok(session)
}

/// A batch must fit into the pictures that are used, and needs two to tell apart.
fn check_sizes(request: &TrainRequest, train: &dyn Dataset) -> Result<()> {
    let (batch, pictures) = (request.config.batch_size, train.len());
    if pictures < 2 {
        let expected = "at least 2 (each is the others' negative)";
        return Err(RunError::argument("training pictures", expected, pictures));
    }
    if batch > pictures {
        let expected = format!("at most the number of training pictures ({pictures})");
        return Err(RunError::argument("batchSize", expected, batch));
    }
    Ok(())
}

/// The classes that online classifiers learn; none without labels or where they are switched off.
fn classifier_classes(
    request: &TrainRequest,
    train: &dyn Dataset,
    warnings: &mut Vec<TrainEvent>,
) -> Vec<String> {
    let classes = train.classes();
    if !request.config.classifiers.enabled {
        return vec![];
    }
    if let [only] = classes {
        let message = format!("there is one class only ({only}): no online classifiers");
        warnings.push(TrainEvent::warning("AMDIM_DATA", message));
        return vec![];
    }
    classes.to_vec()
}

fn read_resumed(path: &Path, record: &RunRecord) -> Result<(Checkpoint, RunRecord)> {
    let file = Checkpoint::read(path)?;
    let theirs = RunRecord::of_file(&file, path)?;
    theirs.check_resumed_by(record)?;
    Ok((file, theirs))
}

/// Starts from the encoder of a model file, and from its classifiers where they are kept.
fn take_weights(model: &mut Model, path: &Path, classes: &[String], keep_head: bool) -> Result<()> {
    let file = Checkpoint::read(path)?;
    let (theirs, ours) = (&file.header.model, model.config());
    if theirs.encoder != ours.encoder {
        let message = format!("its encoder is {:?}; this run asks for {:?}", theirs.encoder, ours.encoder);
        return Err(amdim_core::Error::Checkpoint { path: path.into(), message }.into());
    }
    if (theirs.mixture, &theirs.infomax) == (ours.mixture, &ours.infomax) {
        model.load_encoder(&file.tensors)?;
    } else {
        model.load_encoder_alone(&file.tensors)?;
    }
    if !keep_head {
        return Ok(());
    }
    if file.header.classes != classes || classes.is_empty() {
        let expected = format!("the classes of {}: {:?}", path.display(), file.header.classes);
        return Err(RunError::argument("keepHead", expected, format!("{classes:?}")));
    }
    Ok(model.load_classifiers(&file.tensors)?)
}

fn open_loader(request: &TrainRequest, data: TrainData, progress: &Progress) -> Result<Loader> {
    let options = LoaderOptions {
        batch: request.config.batch_size,
        seed: request.config.seed,
        threads: request.loader_threads,
        prefetch: request.prefetch,
        on_bad_image: request.on_bad_image.into(),
        shuffle_buffer: request.config.shuffle_buffer,
        epoch: progress.epoch,
        position: progress.batch as usize,
    };
    Ok(Loader::new(data.train, &request.config.augment, options, data.transform)?)
}

fn chance_levels(request: &TrainRequest) -> BTreeMap<String, f64> {
    let config = &request.config;
    if config.supervised || config.encoder_frozen || config.method != MethodName::Amdim {
        return BTreeMap::new();
    }
    let level = |&term| (format!("{term}"), config.objective.chance_level(term, config.batch_size));
    config.objective.terms.iter().map(level).collect()
}
