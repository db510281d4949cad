import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AmdimModel, type ConfigOverrides } from '../../src/index.js'
import { temporaryFolder } from './folder.js'

/** Numbers in -1..1 that a seed fixes (the constants are those of Numerical Recipes). */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
}

/**
 * A model whose every tensor is random, running statistics included. A new model will not do where all paths through the
 * encoder must count: half its convolutions are zero and its batch norms change nothing.
 */
export async function randomModel(config: ConfigOverrides, seed = 1): Promise<AmdimModel> {
  const path = join(temporaryFolder(), 'model.safetensors')
  using drawn = await AmdimModel.create({ config: { ...config, seed }, device: 'cpu' })
  await drawn.save(path)
  const file = readFileSync(path)
  const headerLength = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.subarray(8, 8 + headerLength).toString()) as Record<string, Tensor>
  const next = numbers(seed)
  for (const [name, { dtype, shape, data_offsets: [start] = [0] }] of Object.entries(header)) {
    if (dtype !== 'F32') continue
    const fanIn = shape.slice(1).reduce((product, n) => product * n, 1)
    const count = fanIn * (shape[0] ?? 1)
    for (let i = 0; i < count; i++) {
      // Convolutions keep the size of what goes through them; scales and variances are around 1, the rest around 0.
      const value =
        shape.length > 1
          ? next() * Math.sqrt(3 / fanIn)
          : /weight|running_var/.test(name)
            ? 1 + 0.5 * next()
            : 0.3 * next()
      file.writeFloatLE(value, 8 + headerLength + start + 4 * i)
    }
  }
  writeFileSync(path, file)
  return AmdimModel.load(path, { device: 'cpu' })
}

interface Tensor {
  dtype?: string
  shape: number[]
  data_offsets?: [number, number]
}
