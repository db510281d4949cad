//! Features as a table.

use std::path::PathBuf;

use amdim_train::table::write_table as write;
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Int32Array, Null, Object};
use napi_derive::napi;

use crate::job::promise;

#[napi(ts_return_type = "Promise<null | Failure>")]
pub fn write_table(
    env: &Env,
    path: String,
    data: Float32Array,
    shape: Vec<u32>,
    labels: Int32Array,
    names: Vec<String>,
) -> napi::Result<Object<'_>> {
    // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
    let (data, labels) = (data.to_vec(), labels.to_vec());
    promise::<Null, Null>(env, "amdim-table", move || {
        let shape: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
        write(&PathBuf::from(path), &data, &shape, &labels, &names)?;
        Ok(Null)
    })
}
