import { expectTypeOf, test } from 'vitest'
import type {
  AmdimConfig,
  AmdimModel,
  ConfigOverrides,
  Dataset,
  Embedding,
  EmbedInput,
  EvaluationReport,
  HeadReport,
  PresetName,
  StepEvent,
  TrainEvent,
  TrainingRun,
  TrainOptions,
  TrainOutcome,
} from '../../src/index.js'
import { evaluate, resolveConfig, trainAmdim } from '../../src/index.js'

test('a configuration is whole, overrides are any part of one', () => {
  expectTypeOf<AmdimConfig['encoder']['encoderSize']>().toEqualTypeOf<28 | 32 | 64 | 128>()
  expectTypeOf<AmdimConfig['optimizer']['gradientClip']>().toEqualTypeOf<number | null>()
  expectTypeOf<{ encoder: { baseWidth: 3 } }>().toExtend<ConfigOverrides>()
  expectTypeOf<{ augment: { crop: null; colorJitter: { hue: 0 } } }>().toExtend<ConfigOverrides>()
  expectTypeOf<{ encoder: { baseWidth: string } }>().not.toExtend<ConfigOverrides>()
  expectTypeOf<{ length: { epochs: number } }>().toExtend<ConfigOverrides>()
  expectTypeOf<AmdimConfig>().toExtend<ConfigOverrides>()
  expectTypeOf(resolveConfig).returns.resolves.toEqualTypeOf<AmdimConfig>()
})

test('options', () => {
  expectTypeOf<PresetName>().toEqualTypeOf<
    | 'tiny'
    | 'cifar10'
    | 'cifar100'
    | 'stl10'
    | 'imagenet128'
    | 'places205'
    | 'dim'
    | 'moco'
    | 'vib'
    | 'vae'
    | 'amdim-small'
    | 'amdim-medium'
    | 'amdim-large'
  >()
  expectTypeOf<{ data: string; minutes: 3; device: 'cpu' }>().toExtend<TrainOptions>()
  expectTypeOf<{ data: { train: Dataset; test: null } }>().toExtend<TrainOptions>()
  expectTypeOf<{ minutes: 3 }>().not.toExtend<TrainOptions>()
  expectTypeOf<(string | Uint8Array)[]>().toExtend<EmbedInput>()
  expectTypeOf<Promise<Dataset>>().toExtend<EmbedInput>()
})

test('a run is awaitable and iterable', () => {
  expectTypeOf(trainAmdim).returns.toEqualTypeOf<TrainingRun>()
  expectTypeOf<Awaited<TrainingRun>>().toEqualTypeOf<TrainOutcome>()
  expectTypeOf<TrainOutcome['model']>().toEqualTypeOf<AmdimModel>()
  expectTypeOf<Extract<TrainEvent, { type: 'step' }>>().toEqualTypeOf<StepEvent>()
})

test('results', () => {
  expectTypeOf<Embedding['data']>().toEqualTypeOf<Float32Array>()
  expectTypeOf(evaluate).returns.resolves.toEqualTypeOf<EvaluationReport>()
  expectTypeOf<EvaluationReport['heads']['linear']>().toEqualTypeOf<HeadReport | undefined>()
})
