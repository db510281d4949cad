// Resident memory of opening and training on sets of 50,000 and 300,000 pictures, in every layout:
//
//   python tools/make-large-set.py cifar10-jpeg.tar.gz FOLDER && node tools/measure-memory.mjs FOLDER
//
// Prints a line of JSON a layout and size, and at the end the table of docs/results/memory.md. Each is measured in a
// process of its own, because the peak of memory only grows.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openDataset, trainAmdim } from '../dist/index.js'
import { lastLine } from './lib/measure.mjs'

const LAYOUTS = ['folder', 'set.tar', 'shards', 'parquet']
const SIZES = [50_000, 300_000]
const BATCH = 250

/** Resident memory now, MiB; what V8 has not yet collected is collected first. */
function resident() {
  globalThis.gc()
  const [, pages] = readFileSync('/proc/self/statm', 'utf8').split(' ')
  return Math.round((Number(pages) * 4096) / 2 ** 20)
}

async function measure(path) {
  const [before, start] = [resident(), performance.now()]
  const { train } = await openDataset(path)
  const seconds = (performance.now() - start) / 1000
  const opened = resident()
  // One epoch: every picture is read once.
  const updates = Math.floor(train.length / BATCH)
  const output = mkdtempSync(join(tmpdir(), 'amdim-memory-'))
  const run = trainAmdim({
    data: { train, test: null },
    config: { encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 }, batchSize: BATCH },
    updates,
    device: 'cpu',
    output,
  })
  const samples = []
  for await (const event of run) if (event.type === 'step') samples.push([event.update, resident()])
  const { model } = await run
  model.dispose()
  rmSync(output, { recursive: true })
  const half = samples.filter(([update]) => update <= updates / 2).at(-1)?.[1]
  const peak = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(
    JSON.stringify({ pictures: train.length, before, opened, seconds, half, end: samples.at(-1)?.[1], peak }),
  )
}

const [folder, path] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: node tools/measure-memory.mjs FOLDER')
if (path !== undefined) await measure(path)
else {
  const self = fileURLToPath(import.meta.url)
  const rows = []
  for (const layout of LAYOUTS)
    for (const size of SIZES) {
      const found = lastLine(process.execPath, [
        '--expose-gc',
        self,
        folder,
        join(folder, String(size), layout),
      ])
      console.log(JSON.stringify({ layout, ...found }))
      rows.push({ layout, ...found })
    }
  console.log(
    '\n| layout | pictures | opened in, s | opened, MiB | half an epoch, MiB | an epoch, MiB | peak, MiB |',
  )
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const { layout, pictures, seconds, opened, half, end, peak } of rows)
    console.log(
      `| ${layout} | ${pictures.toLocaleString('en')} | ${seconds.toFixed(2)} | ${opened} | ${half} | ${end} | ${peak} |`,
    )
}
