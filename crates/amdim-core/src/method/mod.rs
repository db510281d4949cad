//! Ways to learn an encoder beside AMDIM's own objective, from views and for the information bottleneck from labels: one
//! file a method; `methods!` below lists them.
//!
//! A method turns the maps of the views into a loss. Everything else is shared: the executors run the encoder, the
//! [`Learner`](crate::train_step::Learner) moves it and the method's own parameters by Adam, watches with classifiers,
//! and saves and restores all of it.
//!
//! What a method carries from update to update (parameters of critics, queues, moving averages) are named tensors in
//! the [`TrainState`](crate::train_state::TrainState), so that a checkpoint has them without further work.

pub(crate) mod bottleneck;
mod dim;
mod loss;
mod moco;
mod multiview;
mod own;
mod vae;
mod vib;
mod view;

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::encoder::Features;
use crate::model::Model;
use crate::train_step::ObjectiveReport;
use crate::{Error, Result};

pub use dim::{DimConfig, InfomaxHeads};
pub use moco::MocoConfig;
pub use multiview::MultiviewConfig;
pub use vae::VaeConfig;
pub use vib::VibConfig;
pub(crate) use view::View;

/// Settings of a method, as its file defines them.
trait Settings {
    /// The method.
    type Method: Method + 'static;

    /// Checks the ranges for batches of `batch` pictures.
    fn validate(&self, batch: usize) -> Result<()>;

    /// Whether it draws codes, for which the model needs a head.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// The method, ready for a model; an error for settings that do not fit it.
    fn build(&self, model: &Model) -> Result<Self::Method>;
}

/// Makes [`MethodName`], [`MethodConfig`] and [`MethodOptions`] of lines `field: Variant(Settings)`, the field being the
/// method's name.
macro_rules! methods {
    ($($(#[$doc:meta])* $field:ident: $method:ident($settings:ident),)*) => {
        /// A way to learn from views.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum MethodName {
            /// The multiscale objective of AMDIM.
            #[default]
            Amdim,
            $($(#[$doc])* $method,)*
        }

        /// Which method, with its settings.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "camelCase")]
        pub enum MethodConfig {
            /// The multiscale objective of AMDIM, whose settings are the step's `objective`.
            #[default]
            Amdim,
            $($(#[$doc])* $method($settings),)*
        }

        /// Settings of every method, of which a run has one. Files of the time before a method have none for it.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct MethodOptions {
            $($(#[$doc])* pub $field: $settings,)*
        }

        impl MethodOptions {
            /// The method of this name with its settings.
            pub fn of(&self, name: MethodName) -> MethodConfig {
                match name {
                    MethodName::Amdim => MethodConfig::Amdim,
                    $(MethodName::$method => MethodConfig::$method(self.$field.clone()),)*
                }
            }
        }

        impl MethodConfig {
            /// Checks the ranges for batches of `batch` pictures; AMDIM's are the objective's to check.
            ///
            /// # Errors
            /// [`Error::InvalidArgument`] that names the first setting out of its range.
            pub fn validate(&self, batch: usize) -> Result<()> {
                match self {
                    Self::Amdim => Ok(()),
                    $(Self::$method(settings) => settings.validate(batch),)*
                }
            }

            /// Whether it draws codes, for which the model needs a head
            /// ([`ModelConfig::bottleneck`](crate::model::ModelConfig)).
            pub fn is_stochastic(&self) -> bool {
                match self {
                    Self::Amdim => false,
                    $(Self::$method(settings) => settings.is_stochastic(),)*
                }
            }

            /// The method, ready for a model; none for AMDIM, which the learner itself knows.
            ///
            /// # Errors
            /// [`Error::InvalidArgument`] for settings out of range or that do not fit the model.
            pub(crate) fn build(&self, model: &Model) -> Result<Option<Box<dyn Method>>> {
                // The batch is not known here; what depends on it is the run's to check.
                self.validate(usize::MAX)?;
                Ok(match self {
                    Self::Amdim => {
                        check_equal_widths(model)?;
                        None
                    }
                    $(Self::$method(settings) => Some(Box::new(settings.build(model)?)),)*
                })
            }
        }
    };
}

methods! {
    /// Deep InfoMax.
    dim: Dim(DimConfig),
    /// Momentum contrast.
    moco: Moco(MocoConfig),
    /// Mutual information between the vectors of two views.
    multiview: Multiview(MultiviewConfig),
    /// The deep variational information bottleneck, which learns from labels.
    vib: Vib(VibConfig),
    /// Autoencoders, variational or not.
    vae: Vae(VaeConfig),
}

/// AMDIM's scores are products of the maps themselves.
fn check_equal_widths(model: &Model) -> Result<()> {
    if model.has_equal_widths() {
        return Ok(());
    }
    let expected = "dim or moco (or multiview, vib, vae) with an encoder of kind dim, whose maps are not projected to one width";
    Err(Error::argument("method", expected, "amdim"))
}

/// What a method sees of an update.
pub(crate) struct Batch<'a> {
    /// `[batch, channels, height, width]` each; row i of both shows picture i.
    pub(crate) views: [&'a Tensor; 2],
    /// `[batch]`, -1 for none.
    pub(crate) labels: &'a [i64],
    /// Seed of the run.
    pub(crate) seed: u64,
    /// Number of the update.
    pub(crate) update: u64,
    /// Most pictures that go through the encoder at once.
    pub(crate) chunk_size: Option<usize>,
}

/// Named tensors that a method carries from update to update.
pub(crate) type Carried = BTreeMap<&'static str, Tensor>;

/// What a method carries before the first update.
#[derive(Default)]
pub(crate) struct Start {
    /// Flat parameters that an optimiser of the same name moves.
    pub(crate) learnt: Vec<(&'static str, Tensor)>,
    /// Anything else.
    pub(crate) kept: Vec<(&'static str, Tensor)>,
}

/// What a method computed; nothing has moved yet but the model's running statistics.
pub(crate) struct Outcome {
    /// Features of each view that the encoder saw, as the classifiers see them; without a tape.
    pub(crate) features: Vec<Features>,
    /// Losses and diagnostics.
    pub(crate) report: ObjectiveReport,
    /// Gradient of the model's flat parameters.
    pub(crate) gradient: Tensor,
    /// Gradients of [`Start::learnt`], by name.
    pub(crate) learnt_gradients: Vec<(&'static str, Tensor)>,
    /// New values of [`Start::kept`], by name.
    pub(crate) kept: Vec<(&'static str, Tensor)>,
}

/// A way to learn from views.
pub(crate) trait Method: Send {
    /// What is carried before the first update of `model`; `seed` alone fixes what is drawn.
    fn start(&self, model: &Model, seed: u64) -> Result<Start>;

    /// Whether the loss reads the encoder's local maps, beside the global vector and the heads that the method added.
    fn reads_local_maps(&self) -> bool {
        false
    }

    /// Losses and gradients of a batch. Gradients move parameters along their negative.
    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, carried: &Carried) -> Result<Outcome>;

    /// Called after the parameters have moved.
    fn after_update(&self, _model: &Model, _carried: &mut Carried) -> Result<()> {
        Ok(())
    }
}

/// What a method carries under a name.
pub(crate) fn carried<'a>(carried: &'a Carried, name: &str) -> Result<&'a Tensor> {
    carried.get(name).ok_or_else(|| missing(name))
}

/// [`carried`], to be changed.
pub(crate) fn carried_mut<'a>(carried: &'a mut Carried, name: &str) -> Result<&'a mut Tensor> {
    carried.get_mut(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::internal(format!("the state has no {name}"))
}
