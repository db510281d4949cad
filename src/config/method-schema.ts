/** How an encoder learns: the methods beside AMDIM's objective, each with its options. */
import { z } from 'zod'
import { count, field, group, nonNegative, positive } from './field.js'

/** What is maximised over pairs, where a method leaves the choice. */
export const BOUNDS = ['jsd', 'info-nce', 'dv', 'nwj', 'rkl', 'h2', 'x2', 'gan'] as const

/** What scores pairs. */
export const CRITICS = ['dot', 'bilinear', 'separable', 'concatenated'] as const

/** Ways to learn. */
export const METHODS = ['amdim', 'dim', 'moco', 'multiview', 'vib', 'vae'] as const

export const method = field(
  z.enum(METHODS).default('amdim'),
  'amdim: the multiscale objective; dim: Deep InfoMax; moco: momentum contrast, or in-batch InfoNCE; multiview: mutual information between the vectors of two views; vib: the deep variational information bottleneck, from labels; vae: autoencoders',
  'method',
)

export const dim = group(
  {
    globalWeight: field(
      nonNegative().default(0),
      'weight of the global objective: vector against the whole local map (alpha)',
      'dim-global-weight',
    ),
    localWeight: field(
      nonNegative().default(1),
      'weight of the local objective: vector against every location of the local map (beta)',
      'dim-local-weight',
    ),
    priorWeight: field(
      nonNegative().default(0.1),
      'weight of prior matching: vectors, through a sigmoid, against the uniform distribution (gamma)',
      'dim-prior-weight',
    ),
    gradientPenalty: field(
      nonNegative().default(0),
      "weight of the penalty on the slope of the prior's discriminator",
      'dim-gradient-penalty',
    ),
    coordinateWeight: field(
      nonNegative().default(0),
      'weight of the coordinate task: where in the picture a location lies',
      'dim-coordinate-weight',
    ),
    bound: field(z.enum(BOUNDS).default('jsd'), 'what is maximised over pairs', 'dim-bound'),
    critic: field(
      z.enum(CRITICS).default('dot'),
      'what scores pairs of the local objective; dot: the product of two projections',
      'dim-critic',
    ),
    units: field(
      count().max(65_536).default(512),
      "units of the projections and of a critic's hidden layer (2048 in the authors' code)",
      'dim-units',
    ),
    negatives: field(
      count().nullable().default(null),
      "other pictures of the batch that are a picture's negatives; null: all of them",
      'dim-negatives',
    ),
  },
  'Deep InfoMax (Hjelm et al. 2019, arXiv 1808.06670), where method is dim',
)

export const moco = group(
  {
    queueSize: field(
      count().max(16_777_216).nullable().default(4096),
      'keys in the queue (65536 in the paper); null: no queue, the negatives are the other pictures of the batch',
      'moco-queue-size',
    ),
    momentum: field(
      z.number().min(0).max(1).default(0.99),
      'share of the key encoder that stays at an update (0.999 in the paper, whose runs are longer)',
      'moco-momentum',
    ),
    temperature: field(positive().default(0.07), 'scores are divided by it', 'moco-temperature'),
    shuffleGroups: field(
      count().default(1),
      'parts into which a batch of keys is shuffled, each with batch statistics of its own (shuffling BN)',
      'moco-shuffle-groups',
    ),
  },
  'momentum contrast (He et al. 2020, arXiv 1911.05722), where method is moco',
)

export const multiview = group(
  {
    bound: field(
      z.enum([...BOUNDS, 'w1']).default('info-nce'),
      'what is maximised over pairs of vectors; w1: the Wasserstein dependency measure',
      'multiview-bound',
    ),
    critic: field(z.enum(CRITICS).default('separable'), 'what scores pairs', 'multiview-critic'),
    units: field(count().max(65_536).default(256), "units of the critic's hidden layers", 'multiview-units'),
    negatives: field(
      count().nullable().default(null),
      "other pictures of the batch that are a picture's negatives; null: all of them",
      'multiview-negatives',
    ),
    confusionWeight: field(
      nonNegative().default(0),
      "weight of the confusion of the run's own linear classifier, which makes an encoder bad on purpose; needs labels",
      'multiview-confusion-weight',
    ),
  },
  'mutual information between two views (Tschannen et al. 2020, arXiv 1907.13625), where method is multiview',
)

export const vib = group(
  {
    beta: field(
      nonNegative().nullable().default(1e-3),
      'weight of what the code holds of the picture; null: a code without noise, the deterministic baseline',
      'vib-beta',
    ),
    dropout: field(
      z.number().min(0).lt(1).default(0),
      'dropout on the code, on its way to the decoder',
      'vib-dropout',
    ),
  },
  'the deep variational information bottleneck (Alemi et al. 2017, arXiv 1612.00410), where method is vib',
)

export const vae = group(
  {
    beta: field(
      nonNegative().nullable().default(1),
      'weight of what the code holds of the picture; null: a code without noise, the plain autoencoder',
      'vae-beta',
    ),
    units: field(count().max(65_536).default(512), "units of the decoder's two hidden layers", 'vae-units'),
  },
  'autoencoders (Kingma, Welling 2014, arXiv 1312.6114; beta-VAE: Higgins et al. 2017), where method is vae',
)
