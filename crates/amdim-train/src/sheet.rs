//! A picture of what augmentation does: written as a PNG file, described as data.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use amdim_core::checkpoint::write_aside;
use amdim_data::augment::policy;
use amdim_data::sheet::{Row, SheetOptions, View, draw};
use amdim_data::{AugmentConfig, Dataset};
use serde::{Deserialize, Serialize};

use crate::config::BadImage;
use crate::event::Skipped;
use crate::{Result, RunError};

/// A sheet to be drawn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SheetRequest {
    /// The augmentation to show.
    pub augment: AugmentConfig,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
    /// As in [`SheetOptions::pictures`].
    pub pictures: usize,
    /// As in [`SheetOptions::views`].
    pub views: usize,
    /// As in [`SheetOptions::scale`].
    pub scale: usize,
    /// What to do about pictures that can't be used.
    pub on_bad_image: BadImage,
    /// The PNG file to write.
    pub output: PathBuf,
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SheetReport {
    /// The file.
    pub output: PathBuf,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The rows from above.
    pub rows: Vec<RowReport>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// A picture and its views.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowReport {
    /// The picture's index in the data set.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The views from the left.
    pub views: Vec<ViewReport>,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewReport {
    /// The epoch whose view it is, from 0.
    pub epoch: u64,
    /// Which of the two views, 0 or 1.
    pub view: u64,
    /// What the policy did; none without a policy.
    pub policy: Option<policy::Params>,
}

/// Draws the sheet of `dataset` and writes it.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a value out of range, `AMDIM_LIMIT` for a sheet that would be too large, `AMDIM_CANCELLED`
/// once `cancel` is set, `AMDIM_IO` for a file that can't be written, and what bad pictures give.
pub fn draw_sheet(dataset: &dyn Dataset, request: SheetRequest, cancel: &AtomicBool) -> Result<SheetReport> {
    let options = SheetOptions {
        pictures: request.pictures,
        views: request.views,
        scale: request.scale,
        seed: request.seed,
        on_bad_image: request.on_bad_image.into(),
    };
    let sheet = draw(dataset, &request.augment, &options, cancel)?.ok_or(RunError::Cancelled)?;
    write_aside(&request.output, &sheet.to_png()?)?;
    Ok(SheetReport {
        output: request.output,
        width: sheet.image.width,
        height: sheet.image.height,
        rows: sheet.rows.into_iter().map(RowReport::from).collect(),
        skipped: sheet.skipped.into_iter().map(Skipped::from).collect(),
    })
}

impl From<Row> for RowReport {
    fn from(Row { index, name, views }: Row) -> Self {
        Self { index, name, views: views.into_iter().map(ViewReport::from).collect() }
    }
}

impl From<View> for ViewReport {
    fn from(View { epoch, view, policy }: View) -> Self {
        Self { epoch, view, policy }
    }
}
