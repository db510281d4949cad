//! The files that a run writes.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `config.json` | the request as resolved | at the start of each session, aside and renamed |
//! | `metrics.jsonl` | every event, one JSON object a line | line by line |
//! | `checkpoint.safetensors` | newest state, optimiser included | aside and renamed |
//! | `checkpoint-UPDATE.safetensors` | the newest states, where some are kept | with the newest one, which it is |
//! | `model.safetensors` | weights and configuration | at the end, aside and renamed |
//! | `result.json` | what the run came to | at the end, aside and renamed |

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use amdim_core::checkpoint::write_aside;
use serde::Serialize;
use serde_json::Value;

use crate::{Result, RunError};

/// An opened run folder.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder, or takes one that is there: an empty one for a new run, or that of the run which goes on
    /// from `resume` after `update` updates (later lines of its metrics are removed).
    ///
    /// # Errors
    /// [`RunError::RunFolderTaken`] if it holds another run's checkpoint; [`RunError::Io`].
    pub(crate) fn open(path: &Path, resume: Option<&Path>, update: u64) -> Result<Self> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| RunError::Io { path, source }
        };
        fs::create_dir_all(path).map_err(io(path))?;
        let checkpoint = checkpoint_path(path);
        let own = is_same_file(&checkpoint, resume);
        if !own && checkpoint.try_exists().map_err(io(&checkpoint))? {
            return Err(RunError::RunFolderTaken { path: checkpoint });
        }
        let metrics_path = path.join("metrics.jsonl");
        let kept = if own { kept_lines(&metrics_path, update)? } else { String::new() };
        write_aside(&metrics_path, kept.as_bytes())?;
        let metrics = OpenOptions::new().append(true).open(&metrics_path).map_err(io(&metrics_path))?;
        Ok(Self { path: path.to_owned(), metrics })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest checkpoint.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        checkpoint_path(&self.path)
    }

    /// Keeps the newest checkpoint, of this update, under a name of its own beside the others, and removes all but the
    /// newest `count` of them; with 0 nothing is kept or removed.
    pub(crate) fn keep_checkpoint(&self, update: u64, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| RunError::Io { path, source }
        };
        let kept = self.path.join(format!("{KEPT_PREFIX}{update:010}{KEPT_SUFFIX}"));
        match fs::remove_file(&kept) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&kept)(error)),
            _ => {}
        }
        // A second name costs no room until the newest is replaced; some file systems have none.
        if fs::hard_link(self.checkpoint(), &kept).is_err() {
            let bytes = fs::read(self.checkpoint()).map_err(io(&self.checkpoint()))?;
            write_aside(&kept, &bytes)?;
        }
        let entries = fs::read_dir(&self.path).map_err(io(&self.path))?;
        let name_of = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
        let mut names: Vec<String> = entries.filter_map(name_of).filter(|name| is_kept(name)).collect();
        names.sort_unstable();
        for name in &names[..names.len().saturating_sub(count)] {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(io(&path))?;
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

const KEPT_PREFIX: &str = "checkpoint-";
const KEPT_SUFFIX: &str = ".safetensors";

/// Whether a file is a kept checkpoint, by its name.
fn is_kept(name: &str) -> bool {
    let update = name.strip_prefix(KEPT_PREFIX).and_then(|rest| rest.strip_suffix(KEPT_SUFFIX));
    update.is_some_and(|update| !update.is_empty() && update.bytes().all(|byte| byte.is_ascii_digit()))
}

fn checkpoint_path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
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
        RunFolder::open(&run, None, 0).unwrap().append(&7).unwrap();
        // Nothing but metrics is no run that could be lost.
        let opened = RunFolder::open(&run, None, 0).unwrap();
        fs::write(opened.checkpoint(), "weights").unwrap();
        let error = RunFolder::open(&run, None, 0).unwrap_err();
        assert!(matches!(error, RunError::RunFolderTaken { .. }), "{error}");
        let other = folder.path().join("other");
        fs::write(&other, "weights").unwrap();
        assert!(RunFolder::open(&run, Some(&other), 0).is_err());
        assert!(RunFolder::open(&run, Some(&opened.checkpoint()), 0).is_ok());
    }

    #[test]
    fn the_newest_checkpoints_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path(), None, 0).unwrap();
        fs::write(folder.path().join("checkpoint-old.safetensors"), "not ours").unwrap();
        for update in [5, 40, 300, 300] {
            fs::write(folder.path().join("new"), format!("{update}")).unwrap();
            fs::rename(folder.path().join("new"), run.checkpoint()).unwrap();
            run.keep_checkpoint(update, 2).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("checkpoint-0000000005.safetensors"), None);
        assert_eq!(read("checkpoint-0000000040.safetensors").as_deref(), Some("40"));
        assert_eq!(read("checkpoint-0000000300.safetensors").as_deref(), Some("300"));
        assert_eq!(read("checkpoint-old.safetensors").as_deref(), Some("not ours"));
        run.keep_checkpoint(300, 0).unwrap();
        assert_eq!(read("checkpoint-0000000040.safetensors").as_deref(), Some("40"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_io_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(RunFolder::open(&file.join("run"), None, 0).unwrap_err().code(), "AMDIM_IO");
    }
}
