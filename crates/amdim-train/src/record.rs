//! What a file of weights keeps of the run that made it.

use std::path::Path;

use amdim_core::checkpoint::Checkpoint;
use amdim_core::executor::Precision;
use amdim_data::Dataset;
use amdim_data::dataset::checksum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{AmdimConfig, TrainRequest};
use crate::{Result, RunError};

/// Version of this library, kept in every file it writes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The owner's part of a file's header: enough to rebuild the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// [`VERSION`] of the writer.
    pub version: String,
    /// What the numbers depend on.
    pub config: AmdimConfig,
    /// The rest of the request: how it was computed; of paths the last part alone. None for a model that was never trained.
    pub options: Option<Value>,
    /// What computed it; none for a model that was never trained.
    #[serde(default)]
    pub compute: Option<ComputeRecord>,
    /// The training pictures; none for a model that was never trained.
    pub data: Option<DataRecord>,
}

/// What computed a run. Another precision or kernel gives other roundings, so a resumed run is told of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeRecord {
    /// How the encoder kept its maps.
    pub precision: Precision,
    /// Executor that ran the encoder.
    pub executor: String,
    /// Instructions of the processor.
    pub kernel: String,
}

impl ComputeRecord {
    /// What is different in `now`, in words; none if nothing is.
    pub fn change(&self, now: &Self) -> Option<String> {
        (self != now).then(|| {
            format!(
                "the run was computed in {} by {} with {}, and goes on in {} by {} with {}: \
                 its numbers will differ in rounding from an uninterrupted run",
                self.precision, self.executor, self.kernel, now.precision, now.executor, now.kernel
            )
        })
    }
}

/// What must stay the same about the training pictures when a run is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataRecord {
    /// Number of pictures that the run uses.
    pub pictures: usize,
    /// Names of the classes; empty without labels.
    pub classes: Vec<String>,
    /// [`checksum()`] in 8 hexadecimal digits; none in files of versions that had none.
    #[serde(default)]
    pub checksum: Option<String>,
}

impl DataRecord {
    /// Of the pictures that a run learns from.
    pub fn new(train: &dyn Dataset) -> Self {
        Self {
            pictures: train.len(),
            classes: train.classes().to_vec(),
            checksum: Some(format!("{:08x}", checksum(train))),
        }
    }
}

impl RunRecord {
    /// The record of an untrained model.
    pub fn untrained(config: AmdimConfig) -> Self {
        Self { version: VERSION.into(), config, options: None, compute: None, data: None }
    }

    /// The record of a run.
    pub fn of_run(request: &TrainRequest, data: DataRecord) -> Result<Self> {
        let mut options = serde_json::to_value(request).map_err(RunError::internal)?;
        if let Value::Object(fields) = &mut options {
            fields.shift_remove("config");
            // Files are given away; where they lay is nobody's business.
            for (name, path) in [
                ("output", &request.output),
                ("resume", &request.resume),
                ("initialWeights", &request.initial_weights),
            ] {
                let name_alone =
                    path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
                fields[name] = name_alone.map_or(Value::Null, |name| Value::String(name.into_owned()));
            }
        }
        Ok(Self {
            version: VERSION.into(),
            config: request.config.clone(),
            options: Some(options),
            compute: None,
            data: Some(data),
        })
    }

    /// The record in a file read from `path`.
    ///
    /// # Errors
    /// `AMDIM_CHECKPOINT` if it has none that this version knows.
    pub fn of_file(file: &Checkpoint, path: &Path) -> Result<Self> {
        serde_json::from_value(file.header.run.clone()).map_err(|error| RunError::Checkpoint {
            path: path.into(),
            problem: format!("the record of its run can't be read ({error}); written by another version?"),
        })
    }

    /// The record as it goes into a header.
    pub fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(RunError::internal)
    }

    /// Checks that a run may go on from this one: same configuration (but for its length), same pictures.
    ///
    /// # Errors
    /// [`RunError::ResumeMismatch`] names the first key that differs.
    pub fn check_resumed_by(&self, other: &Self) -> Result<()> {
        let has_checksum = self.data.as_ref().is_some_and(|data| data.checksum.is_some());
        let comparable = |record: &Self| -> Result<Value> {
            let config = AmdimConfig { length: self.config.length, ..record.config.clone() };
            let data = record
                .data
                .clone()
                .map(|data| DataRecord { checksum: data.checksum.filter(|_| has_checksum), ..data });
            let mut value = serde_json::to_value(config).map_err(RunError::internal)?;
            value["data"] = serde_json::to_value(data).map_err(RunError::internal)?;
            Ok(value)
        };
        first_difference(&comparable(self)?, &comparable(other)?, "")
    }
}

/// Compares two JSON values key by key.
fn first_difference(checkpoint: &Value, request: &Value, path: &str) -> Result<()> {
    if let (Value::Object(a), Value::Object(b)) = (checkpoint, request) {
        let null = Value::Null;
        for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            first_difference(a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), &path)?;
        }
        return Ok(());
    }
    if checkpoint == request {
        return Ok(());
    }
    Err(RunError::ResumeMismatch {
        key: path.into(),
        checkpoint: checkpoint.to_string(),
        request: request.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let one = json!({ "a": 1, "b": { "c": [1, 2], "d": null } });
        assert!(first_difference(&one, &one, "").is_ok());
        for (other, expected) in [
            (json!({ "a": 2, "b": { "c": [1, 3] } }), "a"),
            (json!({ "a": 1, "b": { "c": [1, 3], "d": null } }), "b.c"),
            (json!({ "a": 1, "b": { "c": [1, 2], "d": null, "e": 1 } }), "b.e"),
        ] {
            match first_difference(&one, &other, "") {
                Err(RunError::ResumeMismatch { key, .. }) => assert_eq!(key, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
