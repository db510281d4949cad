//! What this build is and finds, and small tools that need no data.

use std::path::PathBuf;

use amdim_train::about;
use amdim_train::bench::bench as run_bench;
use amdim_train::config::from_json;
use amdim_train::model::inspect;
use amdim_train::reference;
use amdim_train::self_test::self_test as run_self_test;
use napi::bindgen_prelude::Object;
use napi::{Either, Env};
use napi_derive::napi;

use crate::failure::{Failure, either, guarded, json};
use crate::job::promise;

#[napi]
pub fn addon_info() -> napi::Result<String> {
    json(&about::build_info()).map_err(|error| napi::Error::from_reason(error.to_string()))
}

#[napi]
pub fn check_device(name: String) -> Either<String, Failure> {
    either(guarded(|| json(&about::check_device(&name)?)))
}

#[napi]
pub fn encoder_info(encoder_json: String) -> Either<String, Failure> {
    either(guarded(|| json(&about::encoder_info(&from_json("encoder", &encoder_json)?)?)))
}

#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn self_test(env: &Env, device: String) -> napi::Result<Object<'_>> {
    promise::<String, String>(env, "amdim-self-test", move || {
        json(&run_self_test(&device, about::build_info().threads)?)
    })
}

#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn inspect_file(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise::<String, String>(env, "amdim-inspect", move || json(&inspect(&PathBuf::from(path))?))
}

#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn inspect_reference(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise::<String, String>(env, "amdim-inspect", move || json(&reference::inspect(&PathBuf::from(path))?))
}

#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn bench(env: &Env, request_json: String) -> napi::Result<Object<'_>> {
    promise::<String, String>(env, "amdim-bench", move || {
        json(&run_bench(&from_json("bench", &request_json)?)?)
    })
}
