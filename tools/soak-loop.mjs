// Trains on the embedded sample for a minute and measures how long the event loop is held up meanwhile.
// Fails when the 99th percentile of its delay, less the clock's resolution, reaches 20 ms.
// node tools/soak-loop.mjs [MINUTES]; npm run soak:loop builds first.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { trainAmdim } from '../dist/index.js'

const LIMIT_MS = 20
const RESOLUTION_MS = 10
const minutes = Number(process.argv[2] ?? 1)
if (!(minutes > 0)) {
  console.error(`MINUTES: expected a number > 0, got ${process.argv[2]}`)
  process.exit(2)
}

const output = await mkdtemp(join(tmpdir(), 'amdim-soak-'))
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
const data = fileURLToPath(new URL('../data/cifar10-sample.tar.gz', import.meta.url))
// A step event an update is more than any run asks for.
const run = trainAmdim({ data, minutes, output, logEverySteps: 1 })
delay.enable()
let updates = 0
for await (const event of run) if (event.type === 'step') updates = event.update
delay.disable()
const { model, pairsPerSecond } = await run
model.dispose()
await rm(output, { recursive: true })

const ms = (nanoseconds) => nanoseconds / 1e6 - RESOLUTION_MS
const p99 = ms(delay.percentile(99))
console.log(
  `${updates} updates, ${pairsPerSecond.toFixed(1)} pairs/s, ${delay.count} samples of the event loop`,
)
console.log(
  `delay less resolution: median ${ms(delay.percentile(50)).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${ms(delay.max).toFixed(2)} ms`,
)
if (updates === 0 || !(p99 < LIMIT_MS)) {
  console.error(`failed: expected updates and a p99 below ${LIMIT_MS} ms`)
  process.exitCode = 1
}
