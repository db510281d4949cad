import type { LayersModel, layers as LayersModule, Tensor } from '@tensorflow/tfjs'
import type { Features } from '../evaluate/search.js'
import {
  type MlpProbeOptions,
  type ProbeOptions,
  type ProbePlan,
  probeData,
  resolveProbe,
} from './probe-options.js'
import { assertTensorFlow, type TensorFlow } from './tensorflow.js'
import { trainProbe } from './train-probe.js'

type Dense = ReturnType<typeof LayersModule.dense>

// As in the head `mlp` of `evaluate`.
const NORM = { epsilon: 1e-5, momentum: 0.9 }

/**
 * Trains multinomial logistic regression on features, with Adam, as a `tf.LayersModel`: the head `linear` of `evaluate`,
 * found another way.
 *
 * The features are standardised for training; the model that is returned takes them as they are. Adam needs hundreds of
 * steps to come as close to the minimum as `evaluate` does: where there are few pictures, take more `epochs`.
 *
 * Shapes: input `[batch, dimension]` (maps flattened), output `[batch, classes]` probabilities.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @param features - an `Embedding`, or values with their shape
 * @param labels - the class of each picture, 0 or more, such as `embedding.labels`
 * @returns a model of one dense layer and a softmax; the caller disposes it
 * @throws `AmdimError` `AMDIM_SHAPE` when features and labels do not fit, `AMDIM_DATA` for a picture without label,
 *   `AMDIM_NON_FINITE` for features with NaN or a loss that became NaN, `AMDIM_CANCELLED` when the signal aborts
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs-node'
 * import { AmdimModel, imageFolder } from 'amdim'
 * import { trainLinearProbe } from 'amdim/tfjs'
 *
 * using model = await AmdimModel.load('runs/first/model.safetensors')
 * const features = await model.embed(await imageFolder('labelled-photos'))
 * const probe = await trainLinearProbe(tf, features, features.labels)
 * await probe.save('file://probe')
 * ```
 */
export async function trainLinearProbe(
  tf: TensorFlow,
  features: Features,
  labels: ArrayLike<number>,
  options: ProbeOptions = {},
): Promise<LayersModel> {
  assertTensorFlow(tf)
  const data = probeData(features, labels)
  const plan = resolveProbe(options, data.labels, 'linear')
  const logits = dense(tf, 'logits', plan.classes, plan.seed)
  const input = tf.input({ shape: [data.dimension], name: 'features' })
  const output = tf.layers.softmax({ name: 'probabilities' }).apply(logits.apply(input))
  const model = tf.model({ inputs: input, outputs: output as typeof input, name: 'amdim_linear_probe' })
  return trainProbe(tf, data, plan, {
    model,
    first: logits,
    kernels: [logits],
    forward: (x) => apply(logits, x),
  })
}

/**
 * Trains a classifier with one hidden layer (batch norm, ReLU, dropout) on features, with Adam, as a `tf.LayersModel`:
 * the shape of the head `mlp` of `evaluate`.
 *
 * As {@link trainLinearProbe} otherwise. Dropout works in training only and is no layer of the model.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @param features - an `Embedding`, or values with their shape
 * @param labels - the class of each picture, 0 or more, such as `embedding.labels`
 * @throws `AmdimError` as {@link trainLinearProbe}
 */
export async function trainMlpProbe(
  tf: TensorFlow,
  features: Features,
  labels: ArrayLike<number>,
  options: MlpProbeOptions = {},
): Promise<LayersModel> {
  assertTensorFlow(tf)
  const data = probeData(features, labels)
  const plan = resolveProbe(options, data.labels, 'mlp')
  const hidden = dense(tf, 'hidden', plan.hiddenUnits, plan.seed)
  const norm = tf.layers.batchNormalization({ name: 'norm', ...NORM })
  const logits = dense(tf, 'logits', plan.classes, plan.seed + 1)
  const input = tf.input({ shape: [data.dimension], name: 'features' })
  const active = tf.layers.activation({ name: 'relu', activation: 'relu' })
  const output = tf.layers
    .softmax({ name: 'probabilities' })
    .apply(logits.apply(active.apply(norm.apply(hidden.apply(input)))))
  const model = tf.model({ inputs: input, outputs: output as typeof input, name: 'amdim_mlp_probe' })

  const forward = (x: Tensor, step: number) => {
    const h = apply(hidden, drop(tf, x, plan, `${step}/input`))
    const normalised = norm.apply(h, { training: true }) as Tensor
    return apply(logits, drop(tf, normalised.relu(), plan, `${step}/hidden`))
  }
  return trainProbe(tf, data, plan, { model, first: hidden, kernels: [hidden, logits], forward })
}

function dense(tf: TensorFlow, name: string, units: number, seed: number): Dense {
  return tf.layers.dense({ name, units, kernelInitializer: tf.initializers.glorotUniform({ seed }) }) as Dense
}

const apply = (layer: Dense, x: Tensor) => layer.apply(x) as Tensor

/** Dropout with a mask that (seed, place) fixes; a layer of TensorFlow.js with a seed would drop the same units always. */
function drop(tf: TensorFlow, x: Tensor, { dropout, seed }: ProbePlan, place: string): Tensor {
  return dropout > 0 ? tf.dropout(x, dropout, undefined, `${seed}/${place}`) : x
}
