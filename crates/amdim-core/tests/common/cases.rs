//! Learners of every kind.

use amdim_core::critic::CriticKind;
use amdim_core::encoder::{EncoderConfig, InfomaxEncoder, ResNetDepth};
use amdim_core::estimator::Bound;
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::{ObjectiveConfig, Term};
use amdim_core::method::{DimConfig, MethodConfig, MocoConfig, MultiviewConfig, VaeConfig, VibConfig};
use amdim_core::model::{Model, ModelConfig, Placement};
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device};

use super::{classifiers, encoder, mixture, mixture_shape, optimizer, resnet, shake};

/// Something that is learnt in some way.
pub struct Case {
    pub encoder: EncoderConfig,
    pub method: MethodConfig,
    pub mixes: bool,
    pub learns: Learns,
}

impl Case {
    pub fn amdim(encoder: EncoderConfig) -> Self {
        Self { encoder, method: MethodConfig::Amdim, mixes: false, learns: Learns::FromViews }
    }

    pub fn learner(&self, place: (ExecutorKind, DType), chunk_size: Option<usize>, frozen: bool) -> Learner {
        let infomax = match &self.method {
            MethodConfig::Dim(dim) => Some(dim.heads()),
            _ => None,
        };
        let config = ModelConfig {
            encoder: self.encoder.clone(),
            classifiers: classifiers(),
            classes: 3,
            mixture: self.mixes.then(mixture_shape),
            infomax,
            bottleneck: self.method.is_stochastic(),
        };
        let (executor, dtype) = place;
        let placement =
            Placement { device: Device::Cpu, dtype, executor, precision: Precision::F32, threads: 2 };
        let mut model = Model::new(config, 5, placement).unwrap();
        shake(&mut model, 8);
        let side = model.scales()[1].side();
        let objective = ObjectiveConfig {
            score_clip: Some(20.0),
            logit_penalty: 0.04,
            terms: vec![Term::new(1, side), Term::new(side, side)],
            mixture: self.mixes.then(mixture),
        };
        let step = StepConfig {
            method: self.method.clone(),
            objective,
            optimizer: optimizer(),
            learns: self.learns,
            chunk_size,
            statistics_frozen: frozen,
            seed: 3,
        };
        Learner::new(model, step).unwrap()
    }
}

/// Every method, and AMDIM on encoders of every kind that it knows.
pub fn cases() -> Vec<Case> {
    let infomax = InfomaxEncoder { encoder_size: 32, input_channels: 3, base_width: 2, embedding_dim: 5 };
    let dim = DimConfig {
        global_weight: 1.0,
        coordinate_weight: 0.5,
        bound: Bound::InfoNce,
        critic: CriticKind::Separable,
        units: 4,
        ..DimConfig::default()
    };
    let moco = MocoConfig { queue_size: Some(9), ..MocoConfig::default() };
    vec![
        Case::amdim(encoder(32, false)),
        Case::amdim(encoder(32, true)),
        Case { mixes: true, ..Case::amdim(encoder(32, true)) },
        Case::amdim(resnet(ResNetDepth::ResNet18, 32)),
        Case { learns: Learns::FromLabels, ..Case::amdim(encoder(32, true)) },
        Case { method: MethodConfig::Dim(dim), ..Case::amdim(infomax.clone().into()) },
        Case {
            method: MethodConfig::Vib(VibConfig { beta: Some(0.1), dropout: 0.3 }),
            ..Case::amdim(infomax.clone().into())
        },
        Case {
            method: MethodConfig::Multiview(MultiviewConfig { units: 4, ..MultiviewConfig::default() }),
            ..Case::amdim(encoder(32, true))
        },
        Case {
            method: MethodConfig::Vae(VaeConfig { beta: Some(2.0), units: 4 }),
            ..Case::amdim(infomax.into())
        },
        Case { method: MethodConfig::Moco(moco.clone()), ..Case::amdim(encoder(32, true)) },
        Case {
            method: MethodConfig::Moco(MocoConfig { queue_size: None, ..moco }),
            ..Case::amdim(encoder(32, true))
        },
    ]
}
