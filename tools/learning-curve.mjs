// A learning curve on a labelled data set: trains in segments of one run (each resumes the last one's checkpoint),
// evaluates the frozen features after each, and all heads at the end beside raw pixels and the untrained encoder.
//
//   npm run build && node tools/learning-curve.mjs --data DATA --out FOLDER [--minutes 30] [--at 280,546,620,1297,1818]
//
// Writes FOLDER/curve.json; the run itself is in FOLDER/run. `--at` are updates; `--minutes` is training time in all.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AmdimModel, evaluate, openDataset, trainAmdim } from '../dist/index.js'

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    minutes: { type: 'string', default: '30' },
    at: { type: 'string', default: '280,546,620,1297,1818,3000,4500' },
    preset: { type: 'string', default: 'tiny' },
    seed: { type: 'string', default: '1' },
    // Passes of the MLP head over the training pictures; the reference's 120 take an hour for raw pixels.
    'mlp-epochs': { type: 'string', default: '30' },
  },
})
if (values.data === undefined || values.out === undefined) {
  console.error('usage: node tools/learning-curve.mjs --data DATA --out FOLDER [--minutes M] [--at U,U,...]')
  process.exit(2)
}
const output = join(values.out, 'run')
mkdirSync(values.out, { recursive: true })
const { train, test } = await openDataset(values.data)
if (!train.labelled || !test?.labelled)
  throw new Error('the data set needs labelled training and test pictures')

// The reference's warm-up, so that updates can be compared whatever the length of a segment.
const config = { schedule: { warmupUpdates: 500 } }
const seed = Number(values.seed)
const curve = []

/** Accuracies as in the reference's curve: 10,000 training pictures, all test pictures. */
async function point(model, progress) {
  const { heads } = await evaluate(model, {
    train,
    test,
    heads: ['linear', 'knn'],
    maxTrain: 10_000,
    linear: { maxIterations: 60 },
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
const segments = values.at.split(',').map((updates) => ({ updates: Number(updates) }))
for (const length of [...segments, { minutes: Number(values.minutes) }]) {
  const start = resume === undefined ? { preset: values.preset, config, seed } : { resume }
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
  if (length.minutes === undefined) result.model.dispose()
}

const all = {
  train,
  test,
  heads: ['linear', 'mlp', 'knn'],
  classifierTask: { epochs: Number(values['mlp-epochs']) },
  augment: result.model.config.augment,
}
const final = {}
for (const [name, model] of [
  ['trained', result.model],
  ['untrained', untrained],
  ['raw pixels', 'rawPixels'],
]) {
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
