//! A user's function of a picture, called from the loader's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use amdim_data::loader::Transform;
use amdim_data::{DataError, Image};
use napi::Status;
use napi::bindgen_prelude::Uint8Array;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

/// How often a waiting thread looks for a cancellation.
const GLANCE: Duration = Duration::from_millis(20);

/// A picture: levels 0..=255, `[height, width, channels]`, interleaved.
#[napi(object)]
pub struct NativeImage {
    /// `height * width * channels` values.
    pub data: Uint8Array,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 1 (gray) or 3 (RGB).
    pub channels: u32,
}

/// `(image) => image` in JavaScript.
pub(crate) type TransformFunction = ThreadsafeFunction<NativeImage, NativeImage, NativeImage, Status, false>;

/// The function as the loader calls it: the thread waits for the answer, but not past a cancellation.
pub(crate) fn transform(function: TransformFunction, cancel: Arc<AtomicBool>) -> Transform {
    Arc::new(move |image| call(&function, image, &cancel))
}

fn call(function: &TransformFunction, image: Image, cancel: &AtomicBool) -> Result<Image, DataError> {
    let (sender, receiver) = sync_channel(1);
    let answer = move |result: napi::Result<NativeImage>, _| {
        // The loader may have stopped waiting.
        let _ = sender.send(result.map_err(|error| error.reason.clone()).and_then(from_js));
        Ok(())
    };
    let status =
        function.call_with_return_value(to_js(image), ThreadsafeFunctionCallMode::NonBlocking, answer);
    if status != Status::Ok {
        return Err(failed(format!("it can't be called any more ({status})")));
    }
    loop {
        match receiver.recv_timeout(GLANCE) {
            Ok(answer) => return answer.map_err(failed),
            Err(RecvTimeoutError::Disconnected) => return Err(failed("it gave no answer".into())),
            Err(RecvTimeoutError::Timeout) if cancel.load(Ordering::Relaxed) || function.aborted() => {
                return Err(failed("cancelled".into()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn failed(problem: String) -> DataError {
    DataError::Transform { picture: "the picture".into(), problem }
}

fn to_js(image: Image) -> NativeImage {
    NativeImage {
        data: Uint8Array::new(image.pixels),
        width: image.width,
        height: image.height,
        channels: image.channels.into(),
    }
}

fn from_js(image: NativeImage) -> Result<Image, String> {
    let channels = u8::try_from(image.channels).map_err(|error| error.to_string())?;
    Image::new(image.width, image.height, channels, image.data.to_vec()).map_err(|error| error.to_string())
}
