import type * as tfjs from '@tensorflow/tfjs'
import type * as tfjsNode from '@tensorflow/tfjs-node'
import { expectTypeOf, test } from 'vitest'
import type { Embedding, PixelArray } from '../../src/index.js'
import type { MlpProbeOptions, ProbeOptions, TensorFlow } from '../../src/tfjs/index.js'
import {
  encoderToLayersModel,
  type featuresFromTensor,
  picturesFromTensor,
  picturesToTensor,
  trainLinearProbe,
} from '../../src/tfjs/index.js'

test('either module is TensorFlow', () => {
  expectTypeOf<typeof tfjs>().toExtend<TensorFlow>()
  expectTypeOf<typeof tfjsNode>().toExtend<TensorFlow>()
  expectTypeOf<object>().not.toExtend<TensorFlow>()
})

test("results are TensorFlow's own types", () => {
  expectTypeOf(picturesToTensor).returns.toEqualTypeOf<tfjs.Tensor4D>()
  expectTypeOf(picturesFromTensor).returns.resolves.toEqualTypeOf<PixelArray>()
  expectTypeOf(encoderToLayersModel).returns.resolves.toEqualTypeOf<tfjs.LayersModel>()
  expectTypeOf(trainLinearProbe).returns.resolves.toEqualTypeOf<tfjs.LayersModel>()
})

test('embeddings are features, and features from a tensor are too', () => {
  expectTypeOf<Embedding>().toExtend<Parameters<typeof trainLinearProbe>[1]>()
  expectTypeOf<Awaited<ReturnType<typeof featuresFromTensor>>>().toExtend<
    Parameters<typeof trainLinearProbe>[1]
  >()
  expectTypeOf<Embedding['labels']>().toExtend<Parameters<typeof trainLinearProbe>[2]>()
})

test('options', () => {
  expectTypeOf<{ hiddenUnits: 64 }>().toExtend<MlpProbeOptions>()
  expectTypeOf<{ epochs: string }>().not.toExtend<ProbeOptions>()
})
