import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { inspect, resolveConfig, type StepEvent, trainAmdim } from '../../src/index.js'
import { temporaryFolder } from '../support/folder.js'
import { SAMPLE } from '../support/sample.js'

/** A checkpoint after two updates on the embedded sample, written before any option was added to format 1. */
const CHECKPOINT = fileURLToPath(new URL('../fixtures/checkpoint-0.1.0.safetensors', import.meta.url))

/** The configuration of that run. */
const CONFIG = {
  encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 },
  classifiers: { hiddenUnits: 8 },
  batchSize: 8,
} as const

/** What that version said of the four updates of the whole run, in f32. */
const LOSSES = [15.693918, 15.946735, 15.290942, 14.44167]

async function losses(options: Parameters<typeof trainAmdim>[0]): Promise<number[]> {
  const run = trainAmdim({
    ...options,
    output: join(temporaryFolder(), 'run'),
    device: 'cpu',
    precision: 'f32',
    threads: 1,
    logEverySteps: 1,
  })
  const steps: StepEvent[] = []
  for await (const event of run) if (event.type === 'step') steps.push(event)
  const { model } = await run
  model.dispose()
  return steps.map(({ loss }) => loss)
}

describe('what an earlier version wrote', () => {
  it('has the options that came later at values that change nothing', async () => {
    const { config } = await inspect(CHECKPOINT)
    expect(config).toEqual(await resolveConfig({ config: { ...CONFIG, length: { updates: 2 } } }))
  })

  it('is gone on with, to the losses of that version', async () => {
    const made = await losses({ data: { train: SAMPLE, test: null }, resume: CHECKPOINT, updates: 4 })
    expect(made).toHaveLength(2)
    for (const [i, loss] of made.entries()) expect(loss / (LOSSES[i + 2] ?? 0)).toBeCloseTo(1, 4)
  })

  it('is what the defaults still compute from the start', async () => {
    const made = await losses({ data: { train: SAMPLE, test: null }, config: CONFIG, updates: 4 })
    for (const [i, loss] of made.entries()) expect(loss / (LOSSES[i] ?? 0)).toBeCloseTo(1, 4)
  })
})
