// Trains small encoders of every kind for a few updates, exports them, and has Python compare what the exports compute
// with our own features: PyTorch with the authors' code on the .pth files of theirs, onnxruntime on the .onnx files.
//
//   npm run build && node tools/check-exports.mjs --reference CLONE [--python PYTHON] [--onnx-python PYTHON] [--large]
//
// CLONE is https://github.com/Philip-Bachman/amdim-public, made to run on CPUs. PYTHON has torch and torchvision, or
// onnxruntime; where one has all of them, it is enough to name that one. With --large also amdim-large with random
// weights, which lie in a file beside the graph: it takes 16 GB of memory and 8 GB of disk.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AmdimModel, exportModel, fromArrays, trainInfomax } from '../dist/index.js'
import { root, run } from './lib/process.mjs'

const { values } = parseArgs({
  options: {
    reference: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    'onnx-python': { type: 'string' },
    large: { type: 'boolean', default: false },
  },
})
if (!values.reference) {
  console.error('--reference CLONE is missing: a clone of https://github.com/Philip-Bachman/amdim-public')
  process.exit(2)
}
const COUNT = 16

/** The authors' encoders, of which PyTorch loads the weights too. */
const AUTHORS = [32, 64, 128].flatMap((encoderSize) =>
  [false, true].map((batchNorm) => ({
    name: `${encoderSize}${batchNorm ? '-bn' : ''}`,
    encoder: {
      encoderSize,
      baseWidth: 8,
      embeddingDim: encoderSize === 32 ? 48 : 64,
      blockDepth: 2,
      batchNorm,
    },
    layers: ['global', 'local5', 'local7'],
    pth: true,
  })),
)
const TERMS = { terms: ['1->1'] }
const OTHERS = [
  ...['resnet18', 'resnet34', 'resnet50'].map((kind) => ({
    name: kind,
    encoder: { kind, encoderSize: 64, baseWidth: 8, embeddingDim: 48, localMaps: [4, 8] },
    layers: ['global', 'local4', 'local8'],
  })),
  ...[28, 32, 64].map((encoderSize) => ({
    name: `dim-${encoderSize}`,
    method: 'dim',
    encoder: { kind: 'dim', encoderSize, baseWidth: 8, embeddingDim: 24 },
    layers: ['global', encoderSize === 28 ? 'local7' : 'local8'],
  })),
  ...['relu', 'tanh'].map((activation) => ({
    name: `mlp-${activation}`,
    encoder: { kind: 'mlp', encoderSize: 32, baseWidth: 16, embeddingDim: 24, activation },
    objective: TERMS,
    layers: ['global'],
  })),
  {
    name: 'realnvp',
    encoder: { kind: 'realnvp', encoderSize: 32, baseWidth: 16, blockDepth: 2 },
    objective: TERMS,
    layers: ['global'],
  },
]

/** Noise that any seedless generator makes the same: pixels and their shape. */
function noise(count, side) {
  let state = 7
  const data = Uint8Array.from({ length: count * side * side * 3 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 24
  })
  return { data, shape: [count, side, side, 3] }
}

/** `config` is what a case has beside its name, its layers and whether PyTorch reads it. */
async function exportTrained(folder, { name, layers, pth = false, ...config }) {
  const { encoderSize } = config.encoder
  const pixels = noise(COUNT, encoderSize)
  const labels = Array.from({ length: COUNT }, (_, i) => i % 3)
  const train = await fromArrays(pixels.data, pixels.shape, { labels, classes: ['a', 'b', 'c'] })
  const { model } = await trainInfomax({
    data: { train },
    config: {
      ...config,
      augment: { pixels: encoderSize, evalResize: null },
      optimizer: { learningRate: 0.01 },
      batchSize: 8,
    },
    updates: 12,
    device: 'cpu',
    precision: 'f32',
    output: join(folder, 'run'),
  })
  if (pth) await exportModel(model, join(folder, `${name}.pth`))
  await exportGraphs(folder, name, layers, model, pixels)
  model.dispose()
  rmSync(join(folder, 'run'), { recursive: true })
}

async function exportLarge(folder) {
  const config = { augment: { pixels: 128, evalResize: null } }
  const model = await AmdimModel.create({ preset: 'amdim-large', config, device: 'cpu' })
  await exportModel(model, join(folder, 'amdim-large.pth'), { unfinished: true })
  await exportGraphs(folder, 'amdim-large', ['global', 'local5', 'local7'], model, noise(3, 128), {
    unfinished: true,
  })
  model.dispose()
}

/** Two graphs, and what they must compute. */
async function exportGraphs(folder, name, layers, model, { data, shape }, options = {}) {
  const features = {}
  for (const layer of layers) features[layer] = [...(await model.embed({ data, shape }, { layer })).data]
  await exportModel(model, join(folder, `${name}.onnx`), { ...options, layers })
  await exportModel(model, join(folder, `${name}-normalise.onnx`), { ...options, layers, normalise: true })
  const { mean, std } = model.config.augment
  writeFileSync(
    join(folder, `${name}.json`),
    JSON.stringify({ shape, pixels: [...data], mean, std, features }),
  )
}

const folder = mkdtempSync(join(tmpdir(), 'amdim-exports-'))
try {
  for (const one of [...AUTHORS, ...OTHERS]) await exportTrained(folder, one)
  if (values.large) await exportLarge(folder)
  const script = join(root, 'tools/check-exports.py')
  const statuses = [
    await run(values.python, [script, 'torch', folder, values.reference]),
    await run(values['onnx-python'] ?? values.python, [script, 'onnx', folder]),
  ]
  process.exitCode = statuses.every((status) => status === 0) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
