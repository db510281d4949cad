// Trains small encoders of all three sizes for a few updates, exports them, and has Python compare what the exports
// compute with our own features: PyTorch with the authors' code on the .pth file, onnxruntime on the .onnx file.
//
//   npm run build && node tools/check-exports.mjs --reference CLONE [--python PYTHON] [--onnx-python PYTHON]
//
// CLONE is https://github.com/Philip-Bachman/amdim-public, made to run on CPUs. PYTHON has torch and torchvision, or
// onnxruntime; where one has all of them, it is enough to name that one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exportModel, fromArrays, trainAmdim } from '../dist/index.js'
import { root, run } from './lib/process.mjs'

const { values } = parseArgs({
  options: {
    reference: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    'onnx-python': { type: 'string' },
  },
})
if (!values.reference) {
  console.error('--reference CLONE is missing: a clone of https://github.com/Philip-Bachman/amdim-public')
  process.exit(2)
}
const LAYERS = ['global', 'local5', 'local7']
const COUNT = 16

/** Noise that any seedless generator makes the same. */
function pixels(side) {
  let state = 7
  return Uint8Array.from({ length: COUNT * side * side * 3 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 24
  })
}

async function exportOne(folder, encoderSize, batchNorm) {
  const data = pixels(encoderSize)
  const shape = [COUNT, encoderSize, encoderSize, 3]
  const labels = Array.from({ length: COUNT }, (_, i) => i % 3)
  const train = await fromArrays(data, shape, { labels, classes: ['a', 'b', 'c'] })
  const embeddingDim = encoderSize === 32 ? 48 : 64
  const { model } = await trainAmdim({
    data: { train },
    config: {
      encoder: { encoderSize, baseWidth: 8, embeddingDim, blockDepth: 2, batchNorm },
      augment: { evalResize: null },
      optimizer: { learningRate: 0.01 },
      batchSize: 8,
    },
    updates: 12,
    device: 'cpu',
    precision: 'f32',
    output: join(folder, 'run'),
  })
  const name = `${encoderSize}${batchNorm ? '-bn' : ''}`
  const features = {}
  for (const layer of LAYERS) features[layer] = [...(await model.embed({ data, shape }, { layer })).data]
  await exportModel(model, join(folder, `${name}.pth`))
  await exportModel(model, join(folder, `${name}.onnx`), { layers: LAYERS })
  await exportModel(model, join(folder, `${name}-normalise.onnx`), { layers: LAYERS, normalise: true })
  const { mean, std } = model.config.augment
  writeFileSync(
    join(folder, `${name}.json`),
    JSON.stringify({ shape, pixels: [...data], mean, std, features }),
  )
  model.dispose()
  rmSync(join(folder, 'run'), { recursive: true })
}

const folder = mkdtempSync(join(tmpdir(), 'amdim-exports-'))
try {
  for (const size of [32, 64, 128])
    for (const batchNorm of [false, true]) await exportOne(folder, size, batchNorm)
  const script = join(root, 'tools/check-exports.py')
  const statuses = [
    await run(values.python, [script, 'torch', folder, values.reference]),
    await run(values['onnx-python'] ?? values.python, [script, 'onnx', folder]),
  ]
  process.exitCode = statuses.every((status) => status === 0) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
