//! A training run: pictures in, trained encoder out; and what is done with the encoder afterwards.
//!
//! The mathematics is in `amdim-core`, the pixels in `amdim-data`, the probes in `amdim-eval`; this crate puts them
//! together and owns what none of them knows: the loop, the clock, the files of a run. It knows no JavaScript: requests
//! are plain structs that JSON from TypeScript is read into, and nothing here has a default.
//!
//! | module | holds |
//! | --- | --- |
//! | [`config`] | requests and the configuration of a run |
//! | [`run`] | [`train`](run::train): the loop, its files and events |
//! | [`event`] | what a run tells |
//! | [`model`] | a model with its configuration: create, load, save, inspect |
//! | [`description`] | an encoder as plain data, for whoever rebuilds it elsewhere |
//! | [`embed`](mod@embed) | features of pictures |
//! | [`export`](mod@export) | the encoder in the formats of other programs |
//! | [`reference`](mod@reference) | models from the authors' checkpoints |
//! | [`table`] | features as a Parquet file |
//! | [`evaluate`](mod@evaluate) | heads on frozen features |
//! | [`measure`](mod@measure) | measures of features, without a head |
//! | [`compare`](mod@compare) | whether two classifiers differ |
//! | [`duplicates`](mod@duplicates) | test pictures that training pictures resemble |
//! | [`pictures`] | data sets opened from a description or from memory |
//! | [`search`] | nearest neighbours among features |
//! | [`sheet`](mod@sheet) | a picture of what augmentation does |
//! | [`bench`](mod@bench) | timing of the bare step |
//! | [`plan`](mod@plan) | time and memory that a run will take |
//! | [`about`] | what this build is and finds: version, device, processor, an encoder's size |
//! | [`self_test`](mod@self_test) | a few checks of an installation |

pub mod about;
pub mod bench;
pub mod classify;
pub mod compare;
pub mod config;
pub mod description;
pub mod duplicates;
pub mod embed;
mod error;
pub mod estimate;
pub mod evaluate;
pub mod event;
pub mod export;
mod features;
pub mod gan;
pub mod information;
mod labels;
pub mod layer;
pub mod measure;
pub mod model;
pub mod pictures;
pub mod place;
pub mod plan;
mod posterior_maps;
pub mod record;
pub mod reference;
pub mod run;
pub mod search;
pub mod self_test;
pub mod sheet;
pub mod table;

pub use error::{Result, RunError};
