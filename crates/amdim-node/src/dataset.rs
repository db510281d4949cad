//! A data set opened once and passed as a handle.

use amdim_train::pictures::{Pictures, PicturesInMemory};
use amdim_train::{Result, RunError};
use napi::Env;
use napi::bindgen_prelude::{Int32Array, Object, Uint8Array};
use napi_derive::napi;

use crate::failure::{Failure, json};
use crate::job::promise;

/// Pictures that JavaScript supplies, in exactly one form.
#[napi(object, object_to_js = false)]
pub struct PicturesFromJs {
    pub pixels: Option<PixelsFromJs>,
    pub encoded: Option<Vec<Uint8Array>>,
    pub paths: Option<Vec<String>>,
    pub labels: Option<Int32Array>,
    pub classes: Option<Vec<String>>,
}

/// Pixels of one size, `[count, height, width, channels]`.
#[napi(object, object_to_js = false)]
pub struct PixelsFromJs {
    pub data: Uint8Array,
    pub count: u32,
    pub height: u32,
    pub width: u32,
    pub channels: u8,
}

/// An opened data set.
#[napi]
pub struct NativeDataset {
    pictures: Option<Pictures>,
    info: String,
}

impl NativeDataset {
    fn new(pictures: Pictures) -> Result<Self> {
        let info = json(&pictures.info())?;
        Ok(Self { pictures: Some(pictures), info })
    }

    /// The data set, unless it was disposed.
    pub(crate) fn pictures(&self) -> std::result::Result<Pictures, Failure> {
        self.pictures.clone().ok_or_else(|| Failure::disposed("data set"))
    }
}

#[napi]
impl NativeDataset {
    #[napi(ts_return_type = "Promise<NativeDataset | Failure>")]
    pub fn open(env: &Env, source_json: String) -> napi::Result<Object<'_>> {
        promise::<Self, Self>(env, "amdim-open", move || Self::new(Pictures::open(&source_json)?))
    }

    #[napi(ts_return_type = "Promise<NativeDataset | Failure>")]
    pub fn from_pictures(env: &Env, pictures: PicturesFromJs) -> napi::Result<Object<'_>> {
        // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
        let labels = pictures.labels.as_ref().map(|labels| labels.to_vec());
        let classes = pictures.classes.clone().unwrap_or_default();
        let copied = copy(pictures);
        promise::<Self, Self>(env, "amdim-open", move || {
            Self::new(Pictures::in_memory(copied?, labels, classes)?)
        })
    }

    #[napi]
    pub fn info(&self) -> String {
        self.info.clone()
    }

    #[napi]
    pub fn dispose(&mut self) {
        self.pictures = None;
    }
}

fn copy(pictures: PicturesFromJs) -> Result<PicturesInMemory> {
    match (pictures.pixels, pictures.encoded, pictures.paths) {
        (Some(pixels), None, None) => Ok(PicturesInMemory::Pixels {
            data: pixels.data.to_vec(),
            count: pixels.count as usize,
            height: pixels.height,
            width: pixels.width,
            channels: pixels.channels,
        }),
        (None, Some(files), None) => {
            Ok(PicturesInMemory::Encoded(files.iter().map(|file| file.to_vec()).collect()))
        }
        (None, None, Some(paths)) => Ok(PicturesInMemory::Paths(paths.into_iter().map(Into::into).collect())),
        _ => Err(RunError::argument("pictures", "one of pixels, encoded and paths", "none or several")),
    }
}
