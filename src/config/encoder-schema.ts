/** The options of an encoder: those of all kinds side by side, as flags have no other form, and checked against the kind. */
import { z } from 'zod'
import { STAGE_SIDES } from './encoder-maps.js'
import { count, field } from './field.js'
import type { EncoderConfig } from './types.js'

/** Defaults of the options that depend on the kind. */
interface KindDefaults {
  baseWidth: number
  /** Where it is another than that of the kinds beside it. */
  embeddingDim?: number
  blockDepth: number | null
  batchNorm: boolean
  localMaps: (typeof STAGE_SIDES)[number][] | null
  activation: 'relu' | 'tanh' | null
}

const RESNET: KindDefaults = {
  baseWidth: 64,
  blockDepth: null,
  batchNorm: true,
  localMaps: [4, 8],
  activation: null,
}

/** The kinds, each with its defaults. */
export const ENCODER_KINDS = {
  amdim: { baseWidth: 32, blockDepth: 3, batchNorm: false, localMaps: null, activation: null },
  resnet18: RESNET,
  resnet34: RESNET,
  resnet50: RESNET,
  dim: {
    baseWidth: 64,
    embeddingDim: 64,
    blockDepth: null,
    batchNorm: true,
    localMaps: null,
    activation: null,
  },
  mlp: { baseWidth: 1024, blockDepth: 2, batchNorm: false, localMaps: null, activation: 'relu' },
  // The vector is as long as the picture has values; see withKindDefaults.
  realnvp: { baseWidth: 256, blockDepth: 4, batchNorm: false, localMaps: null, activation: null },
} satisfies Record<string, KindDefaults>

/** Name of a kind. */
export type EncoderKind = keyof typeof ENCODER_KINDS

const { amdim } = ENCODER_KINDS

/** Dimensions of an embedding of most kinds. */
const EMBEDDING_DIM = 256

/** Sides of the pictures, where they are others than usual. */
const SIZES: Partial<Record<EncoderKind, number[]>> = {
  dim: [28, 32, 64],
  mlp: [28, 32, 64, 128],
  realnvp: [28, 32, 64],
}

/** Why a kind has no choice of local maps. */
const FIXED_MAPS: Partial<Record<EncoderKind, string>> = {
  amdim: 'whose maps are 5x5 and 7x7',
  dim: 'which has one local map',
  mlp: 'which has no local map',
  realnvp: 'which has no local map',
}

/** Values of a picture, which an invertible encoder's vector has as well. */
function pictureValues({
  encoderSize,
  inputChannels,
}: Pick<EncoderConfig, 'encoderSize' | 'inputChannels'>): number {
  return inputChannels * encoderSize ** 2
}

const options = z
  .strictObject({
    kind: field(
      z.enum(['amdim', 'resnet18', 'resnet34', 'resnet50', 'dim', 'mlp', 'realnvp']).default('amdim'),
      "the authors' encoders, torchvision's residual networks, the convolutional networks of Deep InfoMax, fully connected layers, or invertible couplings",
      'encoder-kind',
    ),
    encoderSize: field(
      z.literal([28, 32, 64, 128]).default(32),
      'side of the pictures that the encoder takes, in pixels: 32, 64 or 128; 28, 32 or 64 with kind dim and realnvp; any of them with kind mlp',
      'encoder-size',
    ),
    inputChannels: field(z.literal([1, 3]).default(3), 'channels of a picture: 1 gray, 3 RGB'),
    baseWidth: field(
      count().max(4096).default(amdim.baseWidth),
      'channels of the first layers (the paper: ndf); by default 64 with the other kinds; mlp and realnvp: units of a hidden layer, by default 1024 and 256',
      'base-width',
    ),
    embeddingDim: field(
      count().max(65_536).default(EMBEDDING_DIM),
      'dimensions of an embedding (n_rkhs); by default 64 with kind dim; with kind realnvp always the values of a picture',
      'embedding-dim',
    ),
    blockDepth: field(
      count().max(64).nullable().default(amdim.blockDepth),
      'amdim: residual layers a block (n_depth); mlp: hidden layers, by default 2; realnvp: couplings, by default 4; null with the other kinds, whose depth is fixed',
      'block-depth',
    ),
    batchNorm: field(
      z.boolean().default(amdim.batchNorm),
      'batch norm inside the encoder (use_bn); the other kinds always have it, mlp and realnvp never',
      'batch-norm',
    ),
    localMaps: field(
      z
        .array(z.literal([...STAGE_SIDES]))
        .min(1)
        .nullable()
        .default(amdim.localMaps),
      'ResNets: sides of the maps that are projected and compared, by default 4,8; null with amdim, which has 5 and 7, dim, which has one, and mlp and realnvp, which have none',
      'local-maps',
    ),
    activation: field(
      z.enum(['relu', 'tanh']).nullable().default(amdim.activation),
      'mlp: what follows a hidden layer, by default relu; null with the other kinds',
      'activation',
    ),
  })
  .superRefine((given, context) => {
    const { kind, encoderSize, blockDepth, batchNorm, localMaps, activation } = given
    const wrong = (option: string, expected: string) =>
      context.addIssue({ code: 'custom', path: [option], message: `expected ${expected}` })
    const sizes = SIZES[kind] ?? [32, 64, 128]
    if (!sizes.includes(encoderSize)) wrong('encoderSize', `one of ${sizes.join(', ')} with kind ${kind}`)
    const usual: KindDefaults = ENCODER_KINDS[kind]
    if (usual.blockDepth !== null) {
      if (blockDepth === null) wrong('blockDepth', `a number with kind ${kind}`)
    } else if (blockDepth !== null)
      wrong('blockDepth', `null with kind ${kind}, which has a depth of its own`)
    if (kind !== 'amdim' && batchNorm !== usual.batchNorm)
      wrong(
        'batchNorm',
        `${usual.batchNorm} with kind ${kind}, which ${usual.batchNorm ? 'always' : 'never'} has it`,
      )
    if (kind === 'realnvp') {
      if (blockDepth === 1) wrong('blockDepth', 'at least 2 with kind realnvp')
      const values = pictureValues(given)
      if (given.embeddingDim !== values)
        wrong('embeddingDim', `${values} with kind realnvp, the values of a picture`)
    }
    if (usual.activation !== null) {
      if (activation === null) wrong('activation', `relu or tanh with kind ${kind}`)
    } else if (activation !== null) wrong('activation', `null with kind ${kind}`)
    const fixedMaps = FIXED_MAPS[kind]
    if (fixedMaps !== undefined) {
      if (localMaps !== null) wrong('localMaps', `null with kind ${kind}, ${fixedMaps}`)
    } else if (localMaps === null) wrong('localMaps', `a list of sides with kind ${kind}`)
    else if (localMaps.some((side, i) => i > 0 && side <= (localMaps[i - 1] ?? 0)))
      wrong('localMaps', 'ascending sides')
  })

/** The encoder network. */
export const encoder = options
  .prefault(() => ({}) as z.input<typeof options>)
  .meta({
    description:
      'the encoder network (paper appendix A and model.py; torchvision resnet.py; Deep InfoMax appendix A.1; RealNVP)',
  })

/**
 * The options that a change of kind brings with it: the defaults of the new kind, unless they are given. The vector of an
 * invertible encoder is as long as its picture has values, whatever changes.
 *
 * @param start - encoder so far
 * @param overrides - options laid over it
 */
export function withKindDefaults(
  start: EncoderConfig,
  overrides: Partial<EncoderConfig>,
): Partial<EncoderConfig> {
  const given: Partial<EncoderConfig> = Object.fromEntries(
    Object.entries(overrides).filter(([, value]) => value !== undefined),
  )
  const next = { ...start, ...given }
  const isNew = next.kind !== start.kind && Object.hasOwn(ENCODER_KINDS, next.kind)
  const usual = isNew ? { ...ownLength(start.kind), ...ENCODER_KINDS[next.kind] } : {}
  const embeddingDim = pictureValues(next)
  // What is no number is refused by its own name.
  const isInvertible = next.kind === 'realnvp' && Number.isFinite(embeddingDim)
  return { ...usual, ...(isInvertible && { embeddingDim }), ...given }
}

/** Of a kind whose vector has a length of its own, the length that other kinds have. */
function ownLength(kind: EncoderKind): Partial<EncoderConfig> {
  return kind === 'dim' || kind === 'realnvp' ? { embeddingDim: EMBEDDING_DIM } : {}
}
