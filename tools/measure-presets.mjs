// Builds the paper's encoders and runs each forward: node tools/measure-presets.mjs [PRESET...]
//
// Prints a line of JSON a preset and batch: seconds of the clock, seconds of the processor (both threads together, and
// next to independent of what else the machine does), and the peak resident memory of the process so far.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AmdimModel } from '../dist/index.js'

const PRESETS = ['amdim-small', 'amdim-medium', 'amdim-large']
const BATCHES = [1, 8]
const SIDE = 128
const THREADS = 2

function measured(work) {
  const [clock, before] = [performance.now(), process.cpuUsage()]
  return work().then((result) => {
    const { user, system } = process.cpuUsage(before)
    const mebibytes = Math.round(process.resourceUsage().maxRSS / 1024)
    return [
      result,
      { seconds: (performance.now() - clock) / 1000, cpuSeconds: (user + system) / 1e6, mebibytes },
    ]
  })
}

/** One batch size a process, because the peak of memory only grows. */
async function measure(preset, batch) {
  const [model, created] = await measured(() =>
    AmdimModel.create({ preset, device: 'cpu', threads: THREADS }),
  )
  const { parameters } = model.info()
  const pictures = { data: new Uint8Array(batch * SIDE * SIDE * 3).fill(99), shape: [batch, SIDE, SIDE, 3] }
  // The first pass prepares the weights too.
  const [features, first] = await measured(() => model.embed(pictures, { threads: THREADS }))
  const [, again] = await measured(() => model.embed(pictures, { threads: THREADS }))
  const finite = features.data.every(Number.isFinite)
  console.log(
    JSON.stringify({ preset, batch, parameters, shape: features.shape, finite, created, first, again }),
  )
}

const [preset, batch] = process.argv.slice(2)
if (batch !== undefined && /^\d+$/.test(batch)) await measure(preset, Number(batch))
else {
  const names = process.argv.length > 2 ? process.argv.slice(2) : PRESETS
  for (const name of names)
    for (const count of BATCHES)
      execFileSync(process.execPath, [fileURLToPath(import.meta.url), name, String(count)], {
        stdio: 'inherit',
      })
}
