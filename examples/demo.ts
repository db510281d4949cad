// Trains a small encoder on the embedded sample of CIFAR-10 and compares what classifiers make of its features with
// raw pixels and with the same encoder untrained. Run by `npm run demo`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AmdimModel, type EvaluationReport, evaluate, type HeadReport, openDataset, trainAmdim } from 'amdim'

const MINUTES = 2.5
const sample = 'data/cifar10-sample.tar.gz'

const { train, test } = await openDataset(sample)
if (test === null) throw new Error(`${sample} has no test pictures`)
console.log(`${train.length} training and ${test.length} test pictures of ${train.classes.length} classes`)

const output = await mkdtemp(join(tmpdir(), 'amdim-demo-'))
const run = trainAmdim({
  data: { train, test },
  preset: 'tiny',
  minutes: MINUTES,
  output,
  onlineEvaluateEpochs: null,
})
for await (const event of run) {
  if (event.type === 'start')
    console.log(`training ${event.parameters} parameters on ${event.device} for ${MINUTES} minutes`)
  if (event.type === 'step' && event.update % 100 === 0)
    console.log(
      `update ${event.update}: loss ${event.loss.toFixed(2)}, ${event.pairsPerSecond.toFixed(0)} pairs/s`,
    )
}
const { model } = await run
const untrained = await AmdimModel.create({ config: model.config })

const plan = { train, test, heads: ['linear', 'knn'], augment: model.config.augment } as const
const reports: [string, EvaluationReport][] = [
  ['raw pixels', await evaluate('rawPixels', plan)],
  ['untrained encoder', await evaluate(untrained, plan)],
  ['trained encoder', await evaluate(model, plan)],
]

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const cell = (head: HeadReport | undefined) =>
  head ? `${percent(head.top1)} (${head.top1Interval.map(percent).join(' to ')})` : ''
console.log(`\n${'features'.padEnd(20)}${'linear, 95 % interval'.padEnd(28)}kNN, 95 % interval`)
for (const [name, { heads }] of reports)
  console.log(`${name.padEnd(20)}${cell(heads.linear).padEnd(28)}${cell(heads.knn)}`)
console.log(`chance: ${percent(reports[0]?.[1].chance ?? 0)}`)

model.dispose()
untrained.dispose()
await rm(output, { recursive: true })
