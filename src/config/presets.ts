/** Named configurations: what differs from the defaults of the schema, which are the preset `tiny`. */
import { invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'
import type { ConfigOverrides, PresetName } from './types.js'

const REFERENCE: ConfigOverrides = {
  encoder: { baseWidth: 128, embeddingDim: 1024, blockDepth: 3, batchNorm: false },
  // The reference code's costs.py has 5e-2; the paper says 4e-2.
  objective: { logitPenalty: 0.05 },
  batchSize: 200,
}

const IMAGENET_NORMALISATION = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

const cifar: ConfigOverrides = {
  ...REFERENCE,
  schedule: { kind: 'multistep', milestones: [250, 280], decay: 0.2, warmupUpdates: 500 },
  length: { epochs: 300 },
}

const stl10: ConfigOverrides = {
  ...cifar,
  encoder: { ...REFERENCE.encoder, encoderSize: 64 },
  augment: {
    pixels: 64,
    crop: { scale: [0.3, 1], ratio: [0.7, 1.4] },
    translate: null,
    mean: [0.43, 0.42, 0.39],
    std: [0.27, 0.26, 0.27],
    evalResize: 70,
  },
}

const imagenet128: ConfigOverrides = {
  ...REFERENCE,
  encoder: { ...REFERENCE.encoder, encoderSize: 128 },
  augment: {
    pixels: 128,
    crop: { scale: [0.3, 1], ratio: [0.7, 1.4] },
    translate: null,
    colorJitter: { hue: 0.1 },
    ...IMAGENET_NORMALISATION,
    evalResize: 146,
  },
  schedule: { kind: 'multistep', milestones: [30, 45], decay: 0.2, warmupUpdates: 500 },
  length: { epochs: 50 },
}

/** An encoder of the paper (section 4.1: ndf, n_rkhs, n_depth), for ImageNet at 128 pixels. */
function paperEncoder(baseWidth: number, embeddingDim: number, blockDepth: number): ConfigOverrides {
  return {
    ...imagenet128,
    encoder: { ...imagenet128.encoder, baseWidth, embeddingDim, blockDepth },
    batchSize: 480,
  }
}

/** Deep InfoMax learns from pictures as they are: its views are not augmented. */
const NO_AUGMENTATION: ConfigOverrides['augment'] = {
  flipProbability: 0,
  translate: null,
  colorJitter: null,
  grayscaleProbability: 0,
}

const dim: ConfigOverrides = {
  method: 'dim',
  encoder: {
    kind: 'dim',
    baseWidth: 64,
    embeddingDim: 64,
    blockDepth: null,
    batchNorm: true,
    localMaps: null,
  },
  optimizer: { learningRate: 1e-4, beta1: 0.9, weightDecay: 0 },
  augment: NO_AUGMENTATION,
  schedule: { warmupUpdates: 0 },
}

const vae: ConfigOverrides = { ...dim, method: 'vae' }

const moco: ConfigOverrides = { method: 'moco' }

/** The paper's MNIST run: pixels in -1..1, 784-1024-1024-256, batches of 100. */
const vib: ConfigOverrides = {
  method: 'vib',
  encoder: {
    kind: 'mlp',
    encoderSize: 28,
    inputChannels: 1,
    baseWidth: 1024,
    embeddingDim: 256,
    blockDepth: 2,
    batchNorm: false,
    localMaps: null,
    activation: 'relu',
  },
  objective: { terms: ['1->1'] },
  optimizer: { learningRate: 1e-4, beta1: 0.5, weightDecay: 0 },
  augment: { ...NO_AUGMENTATION, pixels: 28, channels: 1, mean: [0.5], std: [0.5] },
  schedule: { kind: 'cosine', warmupUpdates: 0 },
  batchSize: 100,
  length: { epochs: 200 },
}

const TASK_300 = { epochs: 120, milestones: [80, 110] }
const TASK_IMAGENET = { epochs: 30, milestones: [15, 25] }

/** What a preset is. */
export interface Preset {
  /** One line for help texts. */
  readonly description: string
  /** Number of classes of the data set it is made for. */
  readonly classes: number
  /** What differs from the defaults. */
  readonly config: ConfigOverrides
  /** The reference's schedule of the classifier task on this data set. */
  readonly classifierTask: {
    /** Passes over the training pictures. */
    readonly epochs: number
    /** Epochs after which the learning rate decays. */
    readonly milestones: readonly number[]
  }
}

/**
 * The presets. `tiny` (the default) is for CPUs; the others have the values of the authors' code
 * (Philip-Bachman/amdim-public: datasets.py, train.py, task_self_supervised.py, task_classifiers.py). The encoders of
 * `amdim-small`, `amdim-medium` and `amdim-large` are the paper's; its README trains the small one in batches of 480
 * for 50 epochs, which the other two are given too, as neither it nor the code says others.
 */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  tiny: {
    description: 'small encoder for CPUs, 32 pixels, 30 minutes (default)',
    classes: 10,
    config: {},
    classifierTask: TASK_300,
  },
  cifar10: {
    description: "CIFAR-10 as in the authors' code, 300 epochs",
    classes: 10,
    config: cifar,
    classifierTask: TASK_300,
  },
  cifar100: {
    description: "CIFAR-100 as in the authors' code, 300 epochs",
    classes: 100,
    config: cifar,
    classifierTask: TASK_300,
  },
  stl10: {
    description: "STL-10 at 64 pixels as in the authors' code, 300 epochs",
    classes: 10,
    config: stl10,
    classifierTask: TASK_300,
  },
  imagenet128: {
    description: "ImageNet at 128 pixels as in the authors' code, 50 epochs",
    classes: 1000,
    config: imagenet128,
    classifierTask: TASK_IMAGENET,
  },
  places205: {
    // The reference code says 1000 classes here; Places205 has 205 categories.
    description: 'Places205 at 128 pixels, 50 epochs',
    classes: 205,
    config: imagenet128,
    classifierTask: { epochs: 15, milestones: [7, 12] },
  },
  dim: {
    description: 'Deep InfoMax, local, on 32 pixels, 30 minutes',
    classes: 10,
    config: dim,
    classifierTask: TASK_300,
  },
  moco: {
    description: "momentum contrast with tiny's encoder, 32 pixels, 30 minutes",
    classes: 10,
    config: moco,
    classifierTask: TASK_300,
  },
  vae: {
    description: "variational autoencoder with Deep InfoMax's encoder, 32 pixels, 30 minutes",
    classes: 10,
    config: vae,
    classifierTask: TASK_300,
  },
  vib: {
    description: 'deep variational information bottleneck on MNIST, from labels, 200 epochs',
    classes: 10,
    config: vib,
    classifierTask: TASK_300,
  },
  'amdim-small': {
    description: "the paper's small encoder on ImageNet at 128 pixels, 50 epochs",
    classes: 1000,
    config: paperEncoder(192, 1536, 8),
    classifierTask: TASK_IMAGENET,
  },
  'amdim-medium': {
    description: "the paper's medium encoder on ImageNet at 128 pixels, 50 epochs",
    classes: 1000,
    config: paperEncoder(256, 2048, 10),
    classifierTask: TASK_IMAGENET,
  },
  'amdim-large': {
    description: "the paper's large encoder on ImageNet at 128 pixels, 50 epochs",
    classes: 1000,
    config: paperEncoder(320, 2560, 10),
    classifierTask: TASK_IMAGENET,
  },
}

/** Methods that have a preset of their name. */
const METHODS_WITH_PRESET = ['dim', 'moco', 'vib', 'vae'] as const

/** The preset that a run of a method starts from where none is named. */
export function usualPreset(method: string | undefined): PresetName {
  return METHODS_WITH_PRESET.find((name) => name === method) ?? 'tiny'
}

/**
 * The preset of a name.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown one
 */
export function findPreset(name: string): Preset {
  if (Object.hasOwn(PRESETS, name)) return PRESETS[name as PresetName]
  const names = Object.keys(PRESETS)
  throw invalidArgument('preset', `one of ${names.join(', ')}`, name, didYouMean(String(name), names))
}
