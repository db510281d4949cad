//! The files that a run writes.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `config.json` | the request as resolved | at the start of each session, aside and renamed |
//! | `metrics.jsonl` | every event, one JSON object a line | line by line |
//! | `checkpoint.safetensors` | newest state, optimiser included | aside and renamed |
//! | `checkpoint-UPDATE.safetensors` | the last few states, where they are kept | as another name of the newest one |
//! | `model.safetensors` | weights and configuration | at the end, aside and renamed |
//! | `result.json` | what the run came to | at the end, aside and renamed |
//! | `run.lock` | nothing; locked while a run writes here | at the start |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use amdim_core::checkpoint::{write_aside, write_aside_with};
use serde::Serialize;
use serde_json::Value;

use crate::{Result, RunError};

/// Name of a kept checkpoint before and behind the number of its update, of 10 digits: names sort as numbers.
const KEPT: &str = "checkpoint-";
const EXTENSION: &str = ".safetensors";

/// The right to write to a run folder; given back when it is dropped, also where the process dies.
#[derive(Debug)]
pub(crate) struct RunLock(#[expect(dead_code, reason = "the file is locked until it is closed")] File);

impl RunLock {
    /// The lock of the run folder `path` where it is that of the checkpoint `resume`, which is taken before the
    /// checkpoint is read: another run that ends in between would leave a newer one.
    ///
    /// # Errors
    /// [`RunError::RunFolderBusy`] while another run writes there; [`RunError::Io`].
    pub(crate) fn of_resumed(path: &Path, resume: &Path) -> Result<Option<Self>> {
        is_same_file(&checkpoint_path(path), Some(resume)).then(|| Self::take(path)).transpose()
    }

    /// Locks the folder against other runs of this or any other process.
    fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("run.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| RunError::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(RunError::RunFolderBusy { path }),
            // Some network disks have no locks; a run there is as safe as it was without.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self(file)),
        }
    }
}

/// An opened run folder.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
    _lock: RunLock,
}

impl RunFolder {
    /// Makes the folder, or takes one that is there: an empty one for a new run, or that of the run which goes on
    /// from `resume` after `update` updates (later lines of its metrics are removed). It is locked, unless `lock` is its
    /// lock already.
    ///
    /// # Errors
    /// [`RunError::RunFolderTaken`] if it holds another run's checkpoint, or a kept one of it;
    /// [`RunError::RunFolderBusy`] while another run writes there; [`RunError::Io`].
    pub(crate) fn open(
        path: &Path,
        resume: Option<&Path>,
        update: u64,
        lock: Option<RunLock>,
    ) -> Result<Self> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| RunError::Io { path, source }
        };
        fs::create_dir_all(path).map_err(io(path))?;
        let checkpoint = checkpoint_path(path);
        let own = is_same_file(&checkpoint, resume);
        if !own {
            let newest = checkpoint.try_exists().map_err(io(&checkpoint))?.then_some(checkpoint);
            if let Some(path) = newest.or(kept_checkpoints(path)?.pop()) {
                return Err(RunError::RunFolderTaken { path });
            }
        }
        let lock = lock.map_or_else(|| RunLock::take(path), Ok)?;
        let metrics_path = path.join("metrics.jsonl");
        let kept = if own { kept_lines(&metrics_path, update)? } else { String::new() };
        write_aside(&metrics_path, kept.as_bytes())?;
        let metrics = OpenOptions::new().append(true).open(&metrics_path).map_err(io(&metrics_path))?;
        Ok(Self { path: path.to_owned(), metrics, _lock: lock })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest checkpoint.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        checkpoint_path(&self.path)
    }

    /// Keeps the newest checkpoint, that of `update`, under its number too, and of all that are kept the last `most`;
    /// older ones are removed once it is there. With 0 nothing is kept or removed.
    ///
    /// The number is a second name of the same file, which takes no space until the newest is another one; where a disk
    /// has no second names, or the number is taken, it is a copy.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub(crate) fn keep_checkpoint(&self, update: u64, most: usize) -> Result<()> {
        if most == 0 {
            return Ok(());
        }
        let (newest, kept) = (self.checkpoint(), self.path.join(format!("{KEPT}{update:010}{EXTENSION}")));
        if fs::hard_link(&newest, &kept).is_err() {
            write_aside_with(&kept, |file| io::copy(&mut File::open(&newest)?, file).map(drop))?;
        }
        let all = kept_checkpoints(&self.path)?;
        for path in &all[..all.len().saturating_sub(most)] {
            fs::remove_file(path).map_err(|source| RunError::Io { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// The model at the end.
    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Adds an event to the metrics.
    pub(crate) fn append(&mut self, event: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(event).map_err(RunError::internal)?;
        line.push('\n');
        // One write a line, so that a full disk leaves at most one line cut off, which a resume removes.
        self.metrics
            .write_all(line.as_bytes())
            .map_err(|source| RunError::Io { path: self.path.join("metrics.jsonl"), source })
    }

    /// Writes a JSON file aside and renames it.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(RunError::internal)?;
        text.push('\n');
        Ok(write_aside(&self.path.join(name), text.as_bytes())?)
    }
}

fn checkpoint_path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

/// The checkpoints that a folder keeps under the numbers of their updates, ascending.
fn kept_checkpoints(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = vec![];
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(KEPT)?.strip_suffix(EXTENSION));
            if let Some(update) = digits.and_then(|digits| digits.parse().ok()) {
                found.push((update, entry.path()));
            }
        }
        found.sort_unstable();
        Ok(found)
    };
    let found = read().map_err(|source| RunError::Io { path: folder.into(), source })?;
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn is_same_file(path: &Path, other: Option<&Path>) -> bool {
    match (path.canonicalize(), other.map(Path::canonicalize)) {
        (Ok(path), Some(Ok(other))) => path == other,
        _ => false,
    }
}

/// The lines of the metrics up to and with `update`: what came after the checkpoint happens again.
fn kept_lines(path: &Path, update: u64) -> Result<String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(source) => return Err(RunError::Io { path: path.into(), source }),
    };
    let is_kept = |line: &&str| {
        // A line that was cut off is no JSON, or has no end.
        line.ends_with('\n')
            && serde_json::from_str::<Value>(line)
                .is_ok_and(|event| event["update"].as_u64().is_none_or(|made| made <= update))
    };
    Ok(text.split_inclusive('\n').take_while(is_kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_checkpoint_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert_eq!(kept_lines(&path, 5).unwrap(), "");
        let kept = "{\"type\":\"start\"}\n{\"update\":5}\n";
        for rest in ["", "{\"update\":6}\n{\"type\":\"warning\"}\n", "{\"update\":5", "no json\n"] {
            fs::write(&path, format!("{kept}{rest}")).unwrap();
            assert_eq!(kept_lines(&path, 5).unwrap(), kept, "{rest}");
        }
    }

    #[test]
    fn a_folder_with_another_runs_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        RunFolder::open(&run, None, 0, None).unwrap().append(&7).unwrap();
        // Nothing but metrics is no run that could be lost.
        let opened = RunFolder::open(&run, None, 0, None).unwrap();
        let checkpoint = opened.checkpoint();
        fs::write(&checkpoint, "weights").unwrap();
        drop(opened);
        let error = RunFolder::open(&run, None, 0, None).unwrap_err();
        assert!(matches!(error, RunError::RunFolderTaken { .. }), "{error}");
        let other = folder.path().join("other");
        fs::write(&other, "weights").unwrap();
        assert!(RunFolder::open(&run, Some(&other), 0, None).is_err());
        assert!(RunFolder::open(&run, Some(&checkpoint), 0, None).is_ok());
    }

    #[test]
    fn a_folder_is_of_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = RunFolder::open(folder.path(), None, 0, None).unwrap();
        first.append(&7).unwrap();
        fs::write(first.checkpoint(), "weights").unwrap();
        let again = || RunFolder::open(folder.path(), Some(&checkpoint_path(folder.path())), 0, None);
        let error = again().unwrap_err();
        assert!(matches!(error, RunError::RunFolderBusy { .. }), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap(), "7\n");
        let early = || RunLock::of_resumed(folder.path(), &checkpoint_path(folder.path()));
        assert!(matches!(early().unwrap_err(), RunError::RunFolderBusy { .. }));
        drop(first);
        // A run that goes on keeps the lock under which it has read its checkpoint.
        let lock = early().unwrap();
        assert!(lock.is_some() && again().is_err());
        let checkpoint = checkpoint_path(folder.path());
        let resumed = RunFolder::open(folder.path(), Some(&checkpoint), 0, lock).unwrap();
        assert!(again().is_err());
        drop(resumed);
        assert!(again().is_ok());
        // A run elsewhere that starts from this checkpoint locks nothing here.
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(RunLock::of_resumed(elsewhere.path(), &checkpoint).unwrap().is_none());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_last_checkpoints_are_kept_under_their_numbers() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        let folder = RunFolder::open(&run, None, 0, None).unwrap();
        // Names that look similar are not touched; a number may be written again.
        for other in ["checkpoint-7.safetensors.bak", "checkpoint-best.safetensors", "model-1.safetensors"] {
            fs::write(run.join(other), other).unwrap();
        }
        for update in [9, 10, 10, 123_456_789] {
            write_aside(&folder.checkpoint(), format!("state {update}").as_bytes()).unwrap();
            folder.keep_checkpoint(update, 2).unwrap();
        }
        let kept = kept_checkpoints(&run).unwrap();
        let texts: Vec<String> = kept.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts, ["state 10", "state 123456789"]);
        assert_eq!(kept[0].file_name().unwrap(), "checkpoint-0000000010.safetensors");
        folder.keep_checkpoint(11, 0).unwrap();
        assert_eq!(
            fs::read_dir(&run).unwrap().count(),
            3 + 3 + 2,
            "newest, metrics, lock, the others, those kept"
        );
        // They are a run that could be lost, too.
        fs::remove_file(folder.checkpoint()).unwrap();
        assert!(matches!(RunFolder::open(&run, None, 0, None).unwrap_err(), RunError::RunFolderTaken { .. }));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_io_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(RunFolder::open(&file.join("run"), None, 0, None).unwrap_err().code(), "AMDIM_IO");
    }
}
