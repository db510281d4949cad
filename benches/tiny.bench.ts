import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AmdimModel, type Dataset, fromArrays, trainAmdim } from 'amdim'
import { afterAll, beforeAll, bench, describe } from 'vitest'

const COUNT = 512
const SIDE = 32

let pictures: Dataset
let model: AmdimModel
let folder: string

/** Pictures of noise: what they show does not change the time. */
function noise(): Uint8Array {
  let state = 1
  return Uint8Array.from({ length: COUNT * SIDE * SIDE * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

beforeAll(async () => {
  pictures = await fromArrays(noise(), [COUNT, SIDE, SIDE, 3])
  model = await AmdimModel.create()
  folder = await mkdtemp(join(tmpdir(), 'amdim-bench-'))
})

afterAll(() => {
  model.dispose()
  pictures.dispose()
  rmSync(folder, { recursive: true, force: true })
})

describe('preset tiny through the public API', () => {
  bench(
    `embed ${COUNT} pictures`,
    async () => {
      await model.embed(pictures)
    },
    { iterations: 5, time: 0, warmupIterations: 1, warmupTime: 0 },
  )

  let runs = 0
  bench(
    'train 20 updates of 64 pairs, start and end included',
    async () => {
      runs += 1
      const run = await trainAmdim({ data: pictures, updates: 20, output: join(folder, String(runs)) })
      run.model.dispose()
    },
    { iterations: 3, time: 0, warmupIterations: 0, warmupTime: 0 },
  )
})
