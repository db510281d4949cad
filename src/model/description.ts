import type { Layer } from '../config/encoder-maps.js'

/** Shape of a picture or feature map. */
export interface MapShape {
  /** Number of channels. */
  channels: number
  /** Number of rows. */
  height: number
  /** Number of columns. */
  width: number
}

/** A square window that slides over a map, and the border that the map gets first. */
export interface WindowDescription {
  /** Side of the window in pixels. */
  kernel: number
  /** Step of the window in pixels. */
  stride: number
  /** Width of the border in pixels. */
  padding: number
  /** What the border holds: zeros, which averages count, or the map mirrored without its edge. */
  padMode: 'zero' | 'reflect'
}

/** A batch norm: `(x - runningMean) / sqrt(runningVar + epsilon) * weight + bias`, a channel at a time. */
export interface NormDescription {
  /** Name of the scale, `[channels]`. */
  weight: string
  /** Name of the shift, `[channels]`. */
  bias: string
  /** Name of the running mean, `[channels]`. */
  runningMean: string
  /** Name of the running variance, `[channels]`. */
  runningVar: string
  /** Added to the variance. */
  epsilon: number
  /** Share of a new batch in the running statistics. */
  momentum: number
}

/** Convolution, optional bias, optional ReLU. */
export interface ConvolutionDescription {
  /** Tells the kinds apart. */
  kind: 'convolution'
  /** The sliding window. */
  window: WindowDescription
  /** Name of the weights, `[out, in, kernel, kernel]`. */
  weight: string
  /** Name of the bias, `[out]`. */
  bias: string | null
  /** Whether negative results become zero. */
  relu: boolean
}

/**
 * The padding-free residual block of AMDIM: `conv2(relu(norm(conv1(x)))) + widen(averagePool(x))`, where `widen`
 * appends channels of zeros.
 */
export interface ResidualBlockDescription {
  /** Tells the kinds apart. */
  kind: 'residualBlock'
  /** Window of `conv1` and of the average pool. */
  window: WindowDescription
  /** Name of the weights of `conv1`, `[out, in, kernel, kernel]`. */
  conv1: string
  /** Batch norm after `conv1`, where the encoder has it. */
  norm: NormDescription | null
  /** Name of the weights of `conv2`, `[out, out, 1, 1]`. */
  conv2: string
}

/** A batch norm as a layer of its own. */
export interface BatchNormDescription extends NormDescription {
  /** Tells the kinds apart. */
  kind: 'batchNorm'
}

/** The projection head, location by location: `outputNorm(conv2(relu(hiddenNorm(conv1(x)))) + shortcut(x))`. */
export interface ProjectionDescription {
  /** Tells the kinds apart. */
  kind: 'projection'
  /** Name of the weights of `conv1`, `[out, in, 1, 1]`. */
  conv1: string
  /** Batch norm of the hidden layer, where the encoder has it. */
  hiddenNorm: NormDescription | null
  /** Name of the weights of `conv2`, `[out, out, 1, 1]`. */
  conv2: string
  /** Name of the weights of the shortcut, `[out, in, 1, 1]`. */
  shortcutWeight: string
  /** Name of the bias of the shortcut, `[out]`. */
  shortcutBias: string
  /** Batch norm of the result. */
  outputNorm: NormDescription
}

/** What residual networks are made of: `relu(norm(conv(x)) + other)`, sum and ReLU optional. */
export interface NormedConvolutionDescription {
  /** Tells the kinds apart. */
  kind: 'normedConvolution'
  /** The sliding window. */
  window: WindowDescription
  /** Name of the weights, `[out, in, kernel, kernel]`. */
  weight: string
  /** Batch norm of the convolution's result. */
  norm: NormDescription
  /** Index of the node whose map is added after the norm. */
  add: number | null
  /** Whether negative results become zero. */
  relu: boolean
}

/** The largest value of each window; the border is no candidate. */
export interface MaxPoolDescription {
  /** Tells the kinds apart. */
  kind: 'maxPool'
  /** The sliding window. */
  window: WindowDescription
}

/** Mean over all locations: a 1x1 map. */
export interface GlobalAverageDescription {
  /** Tells the kinds apart. */
  kind: 'globalAverage'
}

/** Hyperbolic tangent of every value. */
export interface TanhDescription {
  /** Tells the kinds apart. */
  kind: 'tanh'
}

/** The values of all locations as the channels of one, location after location. */
export interface FlattenDescription {
  /** Tells the kinds apart. */
  kind: 'flatten'
}

/** Every other channel. */
export interface AlternateDescription {
  /** Tells the kinds apart. */
  kind: 'alternate'
  /** The first channel: 0 or 1. */
  first: number
}

/**
 * Affine coupling of a vector x: channels `kept`, `kept` + 2, ... stay, the k-th other one becomes
 * `x * exp(tanh(scale[k])) + shift[k]`, where the node's input holds the scales, then the shifts.
 */
export interface CouplingDescription {
  /** Tells the kinds apart. */
  kind: 'coupling'
  /** Index of the node that gives x. */
  of: number
  /** The first channel that stays: 0 or 1. */
  kept: number
}

/** What a node computes. */
export type LayerDescription =
  | ConvolutionDescription
  | ResidualBlockDescription
  | BatchNormDescription
  | ProjectionDescription
  | NormedConvolutionDescription
  | MaxPoolDescription
  | GlobalAverageDescription
  | TanhDescription
  | FlattenDescription
  | AlternateDescription
  | CouplingDescription

/** One layer in its place. */
export interface NodeDescription {
  /** Prefix of its tensors' names. */
  name: string
  /** Index of the node whose map it takes; `null` for the picture. */
  input: number | null
  /** Shape of the map that it gives. */
  shape: MapShape
  /** What it computes. */
  layer: LayerDescription
}

/** An encoder as data: enough, with its tensors, to rebuild it elsewhere. */
export interface EncoderDescription {
  /** Shape of one picture, which enters normalised by `config.augment`. */
  input: MapShape
  /** The layers; each comes after its input. */
  nodes: NodeDescription[]
  /** Indexes of the nodes that give the feature maps, by the names of the maps. */
  outputs: Partial<Record<Layer, number>>
}

/** A tensor of a model with its values. */
export interface ModelTensor {
  /** Its shape, as in the reference's state_dict. */
  shape: number[]
  /** Its values, row-major; a copy. */
  data: Float32Array
}
