/** How an encoder learns: the methods beside AMDIM's objective, each with its options. */
import { z } from 'zod'
import { count, field, group, nonNegative, positive } from './field.js'

/** What can be maximised over pairs, and why it does not bound mutual information; null: it does. */
export const DIVERGENCES = {
  jsd: 'it bounds the Jensen-Shannon divergence',
  'info-nce': null,
  dv: null,
  nwj: null,
  rkl: 'it bounds the KL divergence the other way round',
  h2: 'it bounds the squared Hellinger distance',
  x2: 'it bounds the chi-squared divergence',
  gan: 'it bounds the Jensen-Shannon divergence',
  w1: 'it bounds a Wasserstein distance',
} as const satisfies Record<string, string | null>

type Divergence = keyof typeof DIVERGENCES
type InformationBound = { [K in Divergence]: (typeof DIVERGENCES)[K] extends null ? K : never }[Divergence]

const ALL = Object.keys(DIVERGENCES) as Divergence[]
/** Those that bound mutual information. */
export const INFORMATION_BOUNDS = ALL.filter((name): name is InformationBound => DIVERGENCES[name] === null)
/** All but the Wasserstein distance, whose critic needs a limit on its slope. */
const OF_ANY_CRITIC = ALL.filter((name): name is Exclude<Divergence, 'w1'> => name !== 'w1')

/** What scores pairs. */
export const CRITICS = ['dot', 'bilinear', 'separable', 'concatenated'] as const

const dim = group(
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
    bound: field(z.enum(OF_ANY_CRITIC).default('jsd'), 'what is maximised over pairs', 'dim-bound'),
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

const moco = group(
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

const multiview = group(
  {
    bound: field(
      z.enum([...ALL, 'mine']).default('info-nce'),
      "what is maximised over pairs of vectors; w1: the Wasserstein dependency measure; mine: Donsker-Varadhan by MINE's gradient",
      'multiview-bound',
    ),
    averageRate: field(
      positive().max(1).default(0.01),
      'bound mine: share of a new batch in the moving average',
      'multiview-average-rate',
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

const vib = group(
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

const vae = group(
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

/** The options of each method under its name, beside `amdim`, whose options are the objective's. */
export const METHOD_OPTIONS = { dim, moco, multiview, vib, vae }

const METHODS = ['amdim', ...(Object.keys(METHOD_OPTIONS) as (keyof typeof METHOD_OPTIONS)[])] as const

export const method = field(
  z.enum(METHODS).default('amdim'),
  'amdim: the multiscale objective; dim: Deep InfoMax; moco: momentum contrast, or in-batch InfoNCE; multiview: mutual information between the vectors of two views; vib: the deep variational information bottleneck, from labels; vae: autoencoders',
  'method',
)
