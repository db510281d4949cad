//! Node-API glue: convert, call, convert back.
//!
//! docs/design/native-interface.md describes both sides of the border. Nothing is computed here and nothing has a
//! default. A fallible function returns or resolves to its value or to a [`failure::Failure`]; work that takes long
//! runs on a thread of its own (`job`), never on Node's.

// The macros of napi-derive write items of their own beside ours.
#![allow(missing_docs)]
// Arguments come by value from JavaScript.
#![allow(clippy::needless_pass_by_value)]

use std::{env, thread};

/// Methods whose loss runs on candle make and drop tensors of many megabytes in every update. The system's allocator
/// gives such memory back at once, and each page of it costs a fault when it is asked for again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_arena_eager_commit` of mimalloc.h, which the binding does not name.
const ARENA_EAGER_COMMIT: libmimalloc_sys::mi_option_t = 4;

/// Runs when Node loads the addon.
#[napi_derive::module_init]
fn init() {
    // Memory that is asked for whole, ahead of need, becomes resident a large page at a time.
    // SAFETY: the option exists, and options may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set(ARENA_EAGER_COMMIT, 0) };
    tell_threads();
}

/// What candle reads the threads of its matrix products from, before each of them.
const PRODUCT_THREADS: &str = "RAYON_NUM_THREADS";

/// What candle reads the threads of its loops over values from, once.
const LOOP_THREADS: &str = "CANDLE_NUM_THREADS";

/// Sets the numbers of candle's threads, where the user has not.
///
/// Those of products to what rayon takes by itself, the processors that this process may use: without it candle counts
/// cores in `/proc/cpuinfo` before each product, and takes all of the machine's for a process that is confined to a few.
/// (The pool that a run's work is done in limits them to the run's own number.)
///
/// Those of loops to one: candle keeps threads of its own for them, as many for every run, which wait by spinning. On a
/// machine with other work the loop's end then waits for a thread that has no processor.
fn tell_threads() {
    let products = thread::available_parallelism().map_or(1, Into::into);
    for (variable, threads) in [(PRODUCT_THREADS, products), (LOOP_THREADS, 1)] {
        if env::var_os(variable).is_none() {
            // SAFETY: as when a program writes to Node's `process.env`: the system's library guards its own table, and
            // this addon has no thread yet that could read it meanwhile.
            unsafe { env::set_var(variable, threads.to_string()) };
        }
    }
}

pub mod about;
mod callback;
pub mod dataset;
pub mod embedding;
pub mod estimate;
pub mod evaluation;
pub mod failure;
pub mod gan;
pub mod information;
pub mod job;
pub mod measure;
pub mod model;
pub mod plan;
pub mod search;
pub mod sheet;
pub mod table;
pub mod training;
pub mod transform;
