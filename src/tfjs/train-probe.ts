import type {
  LayersModel,
  layers as LayersModule,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Variable,
} from '@tensorflow/tfjs'
import { AmdimError } from '../errors.js'
import type { ProbeData, ProbePlan } from './probe-options.js'
import type { TensorFlow } from './tensorflow.js'

type Dense = ReturnType<typeof LayersModule.dense>

/** A probe before its training. */
interface Probe {
  /** What is trained and returned. */
  model: LayersModel
  /** The layer that takes the features. */
  first: Dense
  /** Layers whose kernels are penalised. */
  kernels: readonly Dense[]
  /** Standardised features `[batch, dimension]` to logits `[batch, classes]`, in training mode. */
  forward(x: Tensor, step: number): Tensor
}

/**
 * Minimises the mean cross-entropy with Adam.
 *
 * This is a loop of our own because `model.fit` shuffles without a seed and does not let Node's event loop run between
 * the batches of an epoch.
 */
export async function trainProbe(
  tf: TensorFlow,
  { values, rows, dimension, labels }: ProbeData,
  plan: ProbePlan,
  { model, first, kernels, forward }: Probe,
): Promise<LayersModel> {
  const [features, mean, deviation] = tf.tidy(() => standardise(tf, tf.tensor2d(values, [rows, dimension])))
  const optimizer = tf.train.adam(plan.learningRate)
  try {
    await assertFinite(deviation)
    const variables = model.trainableWeights.map((weight) => weight.read() as Variable)
    const steps = Math.ceil(rows / plan.batchSize) * plan.epochs
    let step = 0
    for (let epoch = 1; epoch <= plan.epochs; epoch++) {
      const order = shuffled(tf, rows, `${plan.seed}/${epoch}`)
      let total = 0
      for (let start = 0; start < rows; start += plan.batchSize) {
        if (plan.signal?.aborted)
          throw new AmdimError('AMDIM_CANCELLED', `the training of a probe was cancelled in epoch ${epoch}`)
        const batch = order.subarray(start, start + plan.batchSize)
        optimizer['learningRate'] = (plan.learningRate / 2) * (1 + Math.cos((Math.PI * step) / steps))
        const loss = tf.tidy(() => {
          const x = tf.gather(features, tf.tensor1d(batch, 'int32'))
          const y = tf.oneHot(
            tf.tensor1d(
              Int32Array.from(batch, (row) => labels[row] ?? 0),
              'int32',
            ),
            plan.classes,
          )
          const objective = () => crossEntropy(tf, forward(x, step), y, kernels, plan.l2)
          return optimizer.minimize(objective, true, variables) as Scalar
        })
        const value = (await loss.data())[0] ?? Number.NaN
        loss.dispose()
        if (!Number.isFinite(value))
          throw new AmdimError(
            'AMDIM_NON_FINITE',
            `the loss of a probe became ${value} in epoch ${epoch}; try a lower learningRate than ${plan.learningRate}`,
            { epoch, learningRate: plan.learningRate },
          )
        total += value * batch.length
        step += 1
        await tf.nextFrame()
      }
      plan.onEpoch?.({ epoch, epochs: plan.epochs, loss: total / rows })
    }
    tf.tidy(() => takeRawFeatures(first, mean, deviation))
    return model
  } catch (error) {
    model.dispose()
    throw error
  } finally {
    optimizer.dispose()
    tf.dispose([features, mean, deviation])
  }
}

/** Features with mean 0 and deviation 1 a dimension; a constant dimension becomes 0. */
function standardise(tf: TensorFlow, features: Tensor2D): [Tensor2D, Tensor1D, Tensor1D] {
  const { mean, variance } = tf.moments(features, 0)
  const deviation = tf.where(variance.greater(1e-12), variance.sqrt(), tf.onesLike(variance))
  return [features.sub(mean).div(deviation) as Tensor2D, mean as Tensor1D, deviation as Tensor1D]
}

/** Features whose squares overflow can't be standardised. */
async function assertFinite(deviation: Tensor1D): Promise<void> {
  const at = (await deviation.data()).findIndex((value) => !Number.isFinite(value))
  if (at < 0) return
  const problem = `values of dimension ${at} are too large for the precision of f32`
  throw new AmdimError('AMDIM_NON_FINITE', `features: ${problem}; scale them down`, {
    name: 'features',
    dimension: at,
  })
}

/** Mean cross-entropy in nats plus `l2` times the sum of the squared kernels. */
function crossEntropy(
  tf: TensorFlow,
  logits: Tensor,
  y: Tensor,
  kernels: readonly Dense[],
  l2: number,
): Scalar {
  const penalty = kernels.map((layer) => (layer.getWeights()[0] as Tensor).square().sum())
  const squares = penalty.reduce((sum, term) => sum.add(term))
  return y.mul(tf.logSoftmax(logits)).sum(1).mean().neg().add(squares.mul(l2)) as Scalar
}

/** Folds the standardisation into a layer: `W x' + b` with `x' = (x - mean) / deviation`, as a function of `x`. */
function takeRawFeatures(layer: Dense, mean: Tensor1D, deviation: Tensor1D): void {
  const [kernel, bias] = layer.getWeights() as [Tensor, Tensor]
  const folded = kernel.div(deviation.expandDims(1))
  layer.setWeights([
    folded,
    bias.sub(
      mean
        .expandDims(0)
        .matMul(folded as Tensor2D)
        .squeeze([0]),
    ),
  ])
}

/** `0..rows - 1` in an order that the seed fixes. */
function shuffled(tf: TensorFlow, rows: number, seed: string): Int32Array {
  const keys = tf.tidy(() => tf.randomUniform([rows], 0, 1, 'float32', seed).dataSync())
  const order = Int32Array.from({ length: rows }, (_, i) => i)
  return order.sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || a - b)
}
