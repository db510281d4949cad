/** The configuration of a run: types, defaults, ranges, JSON schema and command-line flags from one declaration. */
import { z } from 'zod'
import { mapSides, termSides } from './encoder-maps.js'
import { encoder } from './encoder-schema.js'
import { count, field, group, nonNegative, positive, probability } from './field.js'
import { METHOD_OPTIONS, method } from './method-schema.js'
import { policy } from './policy-schema.js'

const term = z
  .string()
  .regex(/^[1-9][0-9]{0,3}->[1-9][0-9]{0,3}$/, 'expected SOURCE->TARGET, the sides of two maps, such as 1->5')

const mixture = z.strictObject({
  components: field(
    z.int().min(1).max(256).default(8),
    'mixture features a picture (k)',
    'mixture-components',
  ),
  hiddenUnits: field(
    count().max(65_536).nullable().default(null),
    'hidden units of the network that makes them; null: embeddingDim',
  ),
  entropyWeight: field(nonNegative().default(1), "weight of the posterior's entropy (alpha)"),
  temperature: field(
    positive().max(1e6).nullable().default(null),
    'temperature of the posterior (tau); null: 1 / entropyWeight, the best one there is',
  ),
  stopPosterior: field(
    z.boolean().default(true),
    'the gradient takes the posterior as a constant (no difference at the best temperature)',
  ),
})

const objective = group(
  {
    scoreClip: field(
      positive().nullable().default(20),
      'scores are soft-clipped to +-this (tclip); null: no clip',
      'score-clip',
    ),
    logitPenalty: field(
      nonNegative().default(0.04),
      'weight of the mean squared score (lambda; paper 0.04, reference code 0.05)',
      'logit-penalty',
    ),
    terms: field(
      z.array(term).min(1).refine(isDistinct, 'expected each term once').default(['1->5', '1->7', '5->5']),
      'which feature map predicts which, by the sides of both, both directions; by default those of the maps',
      'terms',
    ),
    mixture: field(
      mixture.nullable().default(null),
      'mixture features as sources of the terms 1->N (paper section 3.5); null: the global vector itself',
    ),
  },
  'the multiscale InfoNCE objective (paper sections 3.4 and 3.5), where method is amdim',
)

const optimizer = group(
  {
    learningRate: field(positive().max(10).default(2e-4), 'learning rate after warm-up', 'learning-rate'),
    beta1: field(z.number().min(0).lt(1).default(0.8), "Adam's decay of the mean gradient"),
    beta2: field(z.number().min(0).lt(1).default(0.999), "Adam's decay of the mean squared gradient"),
    epsilon: field(positive().default(1e-8), "Adam's epsilon"),
    weightDecay: field(
      nonNegative().default(1e-5),
      'L2 penalty, added to the gradient as in the reference',
      'weight-decay',
    ),
    gradientClip: field(
      positive().nullable().default(null),
      'largest norm of the whole gradient; null: no clipping',
      'gradient-clip',
    ),
  },
  'the Adam optimiser',
)

const schedule = group(
  {
    kind: field(
      z.enum(['constant', 'multistep', 'cosine']).default('constant'),
      'learning rate over the run',
      'schedule',
    ),
    warmupUpdates: field(
      z.int().min(0).nullable().default(null),
      'updates of linear warm-up; null: 500, at most 5 % of the run',
      'warmup-updates',
    ),
    milestones: field(
      z.array(positive()).refine(isAscending, 'expected ascending epochs').default([]),
      'multistep: epochs after which the rate is multiplied by decay',
      'milestones',
    ),
    decay: field(positive().max(1).default(0.2), 'multistep: factor at each milestone'),
    finalScale: field(
      nonNegative().max(1).default(0.01),
      'cosine: last rate as a share of the learning rate',
    ),
  },
  'the learning-rate schedule',
)

const classifiers = group(
  {
    enabled: field(
      z.boolean().default(true),
      'train online classifiers where there are labels',
      'classifiers',
    ),
    hiddenUnits: field(count().default(1024), 'hidden units of the online MLP'),
    dropout: field(z.number().min(0).lt(1).default(0.2), 'dropout on input and hidden layer of the MLP'),
    logitClip: field(positive().default(10), 'logits are soft-clipped to +-this'),
    logitPenalty: field(nonNegative().default(1e-3), 'weight of the mean squared logit'),
    labelSmoothing: field(
      z.number().min(0).lt(1).default(0),
      "share of a label's weight that all classes get alike",
    ),
    confidencePenalty: field(
      nonNegative().default(0),
      "weight of the predictions' entropy, which is subtracted from the loss",
    ),
    learningRateFactor: field(positive().default(1), "their learning rate over the run's"),
  },
  'online classifiers; they move the encoder in a supervised run and, the linear one, with method vib',
)

const ratioRange = z
  .tuple([positive(), positive()])
  .refine(([low, high]) => low <= high, 'expected [low, high] with low <= high')

const crop = z.strictObject({
  scale: field(
    ratioRange.refine(([, high]) => high <= 1, 'expected shares of the area, at most 1').default([0.3, 1]),
    'share of the area, [low, high]',
  ),
  ratio: field(ratioRange.default([0.7, 1.4]), 'width / height, [low, high]'),
})

const translate = z.strictObject({
  maxPixels: field(z.int().min(0).max(64).default(4), 'largest shift an axis, in pixels'),
  probability: field(probability().default(0.8), 'probability of a shift'),
})

const colorJitter = z.strictObject({
  probability: field(probability().default(0.8), 'probability of any jitter'),
  brightness: field(probability().default(0.4), 'factor within 1 +- this'),
  contrast: field(probability().default(0.4), 'factor within 1 +- this'),
  saturation: field(probability().default(0.4), 'factor within 1 +- this'),
  hue: field(z.number().min(0).max(0.5).default(0.2), 'shift within +- this, in turns of the colour circle'),
})

const channelValues = z.array(z.number()).min(1).max(3)

const augment = group(
  {
    pixels: field(z.literal([28, 32, 64, 128]).default(32), 'side of a view in pixels; equals encoderSize'),
    channels: field(z.literal([1, 3]).default(3), 'channels of a view; equals inputChannels'),
    flipProbability: field(probability().default(0.5), 'horizontal flip, drawn once a picture', 'flip'),
    policy,
    views: field(
      z.enum(['augmented', 'lab', 'patches', 'halves']).default('augmented'),
      'what tells the two views apart: augmentation alone; lightness against colour, in L*a*b* (mean and std too); different patches; the upper half, which test pictures are reduced to too, and the lower one',
      'views',
    ),
    crop: field(crop.nullable().default(null), 'random resized crop, bicubic; null: none'),
    translate: field(
      translate.nullable().default({ maxPixels: 4, probability: 0.8 }),
      'shift with mirrored edges; null: none',
    ),
    colorJitter: field(
      colorJitter
        .nullable()
        .default({ probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 }),
      'brightness, contrast, saturation and hue in random order; null: none',
    ),
    grayscaleProbability: field(probability().default(0.25), 'probability of a gray view', 'grayscale'),
    mean: field(
      channelValues.default([125.3 / 255, 123 / 255, 113.9 / 255]),
      'mean a channel, of values in 0..1',
      'mean',
    ),
    std: field(
      z
        .array(positive())
        .min(1)
        .max(3)
        .default([63 / 255, 62.1 / 255, 66.7 / 255]),
      'standard deviation a channel',
      'std',
    ),
    evalResize: field(
      z.int().min(28).max(4096).nullable().default(null),
      'test time: short side before the centre crop, in pixels; null: `pixels`',
    ),
    decode: field(
      z.enum(['exact', 'fast']).default('exact'),
      'JPEG files: exact, or fast, at 1/2, 1/4 or 1/8 of their size where a view needs no more pixels',
      'decode',
    ),
  },
  'how a picture becomes two views, and its test-time form (reference datasets.py)',
)

const length = z
  .union([
    z.strictObject({
      /** Passes over the training pictures. */
      epochs: count(),
    }),
    z.strictObject({
      /** Updates of the weights. */
      updates: count(),
    }),
    z.strictObject({
      /** Minutes of training, evaluation excluded. */
      minutes: positive(),
    }),
  ])
  .default({ minutes: 30 })
  .meta({
    description:
      'length of the run: { epochs } | { updates } | { minutes } of training time, evaluation excluded',
  })

/** Everything that a run's numbers depend on. Its defaults are the preset `tiny`. */
export const configSchema = z
  .strictObject({
    encoder,
    method,
    objective,
    ...METHOD_OPTIONS,
    optimizer,
    schedule,
    classifiers,
    augment,
    batchSize: field(
      z.int().min(2).max(65_536).default(64),
      'pictures a step (two views each)',
      'batch-size',
    ),
    chunkSize: field(
      z.int().min(2).max(65_536).nullable().default(null),
      'most pictures that go through the encoder at once, twice, for batches that do not fit in memory; null: the whole batch',
      'chunk-size',
    ),
    statisticsFrozen: field(
      z.boolean().default(false),
      'batch norms take their running statistics in training too, which then stay',
      'statistics-frozen',
    ),
    shuffleBuffer: field(
      count().max(4_294_967_295).default(4096),
      'pictures among which the next one of tar shards or Parquet files is drawn; they are kept in memory, encoded',
      'shuffle-buffer',
    ),
    length,
    seed: field(
      z.int().min(0).default(1),
      'seed of weights, order, augmentation and sampled positions',
      'seed',
    ),
    encoderFrozen: field(z.boolean().default(false), 'only the online classifiers learn'),
    supervised: field(
      z.boolean().default(false),
      "the encoder learns from labels: the classifiers' losses move it, the objective is off (the paper's rows sup)",
      'supervised',
    ),
    labelFraction: field(
      positive().max(1).default(1),
      'share of the labels that are used, the same of every class; supervised and frozen runs see these pictures alone',
      'label-fraction',
    ),
  })
  .superRefine((config, context) => {
    const mismatch = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    const { encoder, objective, augment, schedule } = config
    const sides = mapSides(encoder)
    const isAmdim = config.method === 'amdim'
    if (isAmdim && encoder.kind === 'dim')
      mismatch(
        ['method'],
        'expected another with encoder.kind dim, whose maps are not projected to one width',
      )
    if (config.method === 'dim') {
      const { globalWeight, localWeight, priorWeight, coordinateWeight, gradientPenalty, negatives } =
        config.dim
      if (globalWeight + localWeight + priorWeight + coordinateWeight === 0)
        mismatch(['dim', 'localWeight'], 'expected a positive number where the other weights are 0')
      if (gradientPenalty > 0 && priorWeight === 0)
        mismatch(['dim', 'gradientPenalty'], 'expected 0 with priorWeight 0, which has no discriminator')
      if (negatives !== null && negatives >= config.batchSize)
        mismatch(['dim', 'negatives'], `expected fewer than batchSize (${config.batchSize})`)
    }
    if (config.method === 'multiview') {
      const { negatives, confusionWeight } = config.multiview
      if (negatives !== null && negatives >= config.batchSize)
        mismatch(['multiview', 'negatives'], `expected fewer than batchSize (${config.batchSize})`)
      if (confusionWeight > 0 && !config.classifiers.enabled)
        mismatch(
          ['classifiers', 'enabled'],
          'expected true with multiview.confusionWeight, which confuses one',
        )
    }
    if (config.method === 'moco') {
      const { queueSize, shuffleGroups } = config.moco
      if (queueSize === null && shuffleGroups !== 1)
        mismatch(['moco', 'shuffleGroups'], 'expected 1 with queueSize null, which has no keys to shuffle')
      else if (2 * shuffleGroups > config.batchSize)
        mismatch(['moco', 'shuffleGroups'], 'expected at least 2 pictures of a batch in each group')
    }
    if (config.method === 'dim' && sides.length < 2)
      mismatch(['method'], `expected another with encoder.kind ${encoder.kind}, which has no local map`)
    if (config.method === 'vib' && !config.classifiers.enabled)
      mismatch(['classifiers', 'enabled'], 'expected true with method vib, whose decoder is among them')
    if (isAmdim)
      for (const [i, term] of objective.terms.entries())
        if (!termSides(term).every((side) => sides.includes(side)))
          mismatch(['objective', 'terms', i], `expected sides of the encoder's maps (${sides.join(', ')})`)
    const { mixture, terms } = objective
    if (mixture !== null && !isAmdim)
      mismatch(['objective', 'mixture'], 'expected null where method is not amdim')
    if (mixture !== null && !terms.some((term) => term.startsWith('1->')))
      mismatch(['objective', 'mixture'], 'expected null, or a term 1->N that its features are the sources of')
    if (mixture !== null && mixture.temperature === null && mixture.entropyWeight < 1e-6)
      mismatch(
        ['objective', 'mixture', 'entropyWeight'],
        'expected at least 1e-6 where temperature is null (1 / entropyWeight)',
      )
    if (augment.pixels !== encoder.encoderSize)
      mismatch(['augment', 'pixels'], `expected encoder.encoderSize (${encoder.encoderSize})`)
    if (augment.channels !== encoder.inputChannels)
      mismatch(['augment', 'channels'], `expected encoder.inputChannels (${encoder.inputChannels})`)
    if (augment.views === 'lab' && augment.channels !== 3)
      mismatch(['augment', 'views'], 'expected augmented or patches with pictures of one channel')
    for (const name of ['mean', 'std'] as const)
      if (augment[name].length !== augment.channels)
        mismatch(['augment', name], `expected one number a channel (${augment.channels})`)
    if (augment.evalResize !== null && augment.evalResize < augment.pixels)
      mismatch(['augment', 'evalResize'], `expected at least augment.pixels (${augment.pixels})`)
    const { batchSize, chunkSize } = config
    if (chunkSize !== null && chunkSize > batchSize)
      mismatch(['chunkSize'], `expected at most batchSize (${batchSize})`)
    else if (chunkSize !== null && Math.floor(batchSize / Math.ceil(batchSize / chunkSize)) < 2)
      mismatch(
        ['chunkSize'],
        `expected a number by which a batch of ${batchSize} falls into parts of 2 or more`,
      )
    if (config.supervised && config.encoderFrozen)
      mismatch(['supervised'], 'expected false beside a frozen encoder')
    if (config.supervised && !config.classifiers.enabled)
      mismatch(['classifiers', 'enabled'], 'expected true in a supervised run')
    if (schedule.kind === 'multistep' && schedule.milestones.length === 0)
      mismatch(['schedule', 'milestones'], 'expected at least one epoch for the multistep schedule')
  })

function isDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

function isAscending(values: readonly number[]): boolean {
  return values.every((value, i) => i === 0 || value > (values[i - 1] ?? value))
}
