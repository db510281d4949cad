// A learning curve on a labelled data set: trains in segments of one run (each resumes the last one's checkpoint),
// evaluates the frozen features after each, and all heads at the end beside raw pixels and the untrained encoder.
//
//   npm run build && node tools/learning-curve.mjs --data DATA --out FOLDER [--minutes 30] [--at 280,546,620,1297,1818]
//
// Writes FOLDER/curve.json; the run itself is in FOLDER/run. Points are at `--at` updates or `--at-minutes` of training,
// and at `--minutes` of training in all. tools/plot-curves.mjs draws several of these files.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AmdimModel, evaluate, openDataset, trainAmdim } from '../dist/index.js'

const { values } = parseArgs({
  allowNegative: true,
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    minutes: { type: 'string', default: '30' },
    at: { type: 'string', default: '' },
    'at-minutes': { type: 'string', default: '' },
    // Training pictures of the probes along the curve; the reference's curve has 10,000.
    features: { type: 'string', default: '10000' },
    // Steps of L-BFGS along the curve; the reference's curve has 60.
    'linear-iterations': { type: 'string' },
    // The reference's warm-up, so that updates can be compared whatever the length of a segment.
    warmup: { type: 'string', default: '500' },
    precision: { type: 'string', default: 'auto' },
    // All heads at the end, beside raw pixels and the untrained encoder.
    final: { type: 'boolean', default: true },
    preset: { type: 'string', default: 'tiny' },
    seed: { type: 'string', default: '1' },
    // Passes of the MLP head over the training pictures; the reference's 120 take an hour for raw pixels.
    'mlp-epochs': { type: 'string', default: '30' },
  },
})
if (values.data === undefined || values.out === undefined) {
  console.error(
    'usage: node tools/learning-curve.mjs --data DATA --out FOLDER [--minutes M] [--at U,...] [--at-minutes M,...]',
  )
  process.exit(2)
}
const output = join(values.out, 'run')
mkdirSync(values.out, { recursive: true })
const { train, test } = await openDataset(values.data)
if (!train.labelled || !test?.labelled)
  throw new Error('the data set needs labelled training and test pictures')

const config = { schedule: { warmupUpdates: Number(values.warmup) } }
const seed = Number(values.seed)
const curve = []

/** Accuracies on all test pictures. */
async function point(model, progress) {
  const { heads } = await evaluate(model, {
    train,
    test,
    heads: ['linear', 'knn'],
    maxTrain: Math.min(Number(values.features), train.length),
    ...(values['linear-iterations'] && { linear: { maxIterations: Number(values['linear-iterations']) } }),
    augment: model.config.augment,
  })
  const row = { ...progress, linear: heads.linear.top1, knn: heads.knn.top1 }
  curve.push(row)
  console.log(JSON.stringify(row))
}

const untrained = await AmdimModel.create({ preset: values.preset, config: { ...config, seed } })
await point(untrained, { update: 0, seconds: 0 })

let resume
let result
const list = (text) => text.split(',').filter(Boolean).map(Number)
const segments = [
  ...list(values.at).map((updates) => ({ updates })),
  ...list(values['at-minutes']).map((minutes) => ({ minutes })),
  { minutes: Number(values.minutes) },
]
for (const [index, length] of segments.entries()) {
  const start =
    resume === undefined ? { preset: values.preset, config, seed, precision: values.precision } : { resume }
  result = await trainAmdim({ data: { train, test }, output, ...start, ...length })
  resume = result.paths.checkpoint
  const { update, seconds, pairs } = result
  await point(result.model, {
    update,
    seconds,
    pairs,
    pairsPerSecond: pairs / seconds,
    step: result.metrics.step,
  })
  if (index < segments.length - 1) result.model.dispose()
}

const all = {
  train,
  test,
  heads: ['linear', 'mlp', 'knn'],
  classifierTask: { epochs: Number(values['mlp-epochs']) },
  augment: result.model.config.augment,
}
const final = {}
const evaluated = [
  ['trained', result.model],
  ['untrained', untrained],
  ['raw pixels', 'rawPixels'],
]
for (const [name, model] of values.final ? evaluated : []) {
  const { heads, chance } = await evaluate(model, all)
  final[name] = { chance }
  for (const [head, { top1, top1Interval, top5 }] of Object.entries(heads))
    final[name][head] = { top1, top1Interval, top5 }
  console.log(name, JSON.stringify(final[name]))
}
writeFileSync(
  join(values.out, 'curve.json'),
  `${JSON.stringify({ arguments: values, node: process.version, curve, final }, null, 2)}\n`,
)
