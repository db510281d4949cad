// A training step of local Deep InfoMax beside the same model in PyTorch, in alternation; bench-peers.mjs prints the
// section.
import { join } from 'node:path'
import { lastLine, median } from '../lib/measure.mjs'
import { root } from '../lib/process.mjs'

const GOAL = 1.5
const [BATCH, WIDTH, UNITS, DIMENSIONS] = [64, 64, 512, 64]
/** Steps that are timed after the first ones. */
const [STEPS, WARM_UP] = [40, 10]

/** Times both sides and returns the page's section. */
export async function compareInfomax(python, rounds) {
  const peer = (layout) =>
    lastLine(python, [join(root, 'tools/peers/infomax.py'), '--steps', String(STEPS), ...layout])
  const layouts = [[], ['--channels-last']]
  const [plain, last] = layouts.map((layout) => peer(layout).images_per_s)
  const layout = plain > last ? layouts[0] : layouts[1]
  const pairs = []
  for (let round = 0; round < rounds; round++) pairs.push([await ours(), peer(layout)])
  const of = (side) => median(pairs.map((pair) => pair[side].images_per_s)).toFixed(0)
  const ratio = median(pairs.map(([own, theirs]) => own.images_per_s / theirs.images_per_s))
  return [
    '## Deep InfoMax',
    '',
    `A training step of local Deep InfoMax (32 pixels, batch ${BATCH}, baseWidth ${WIDTH}, JSD, dot product of projections to ${UNITS},`,
    `prior matching) in f32 beside the same model in PyTorch ${pairs[0][1].torch}, on 2 threads, runs in alternation; medians of`,
    `${pairs.length} pairs of runs. Ours is \`trainInfomax\` as a user calls it, with its input pipeline.`,
    '',
    '| amdim, pictures/s | PyTorch, pictures/s | ratio | goal | reached |',
    '| --- | --- | --- | --- | --- |',
    `| ${of(0)} | ${of(1)} (channels ${layout.length ? 'last' : 'first'}) | **${ratio.toFixed(2)}** | ${GOAL} | ${ratio >= GOAL ? 'goal' : 'below'} |`,
    '',
  ]
}

async function ours() {
  const { fromArrays, trainInfomax } = await import('../../dist/index.js')
  const { mkdtempSync, rmSync } = await import('node:fs')
  const { tmpdir } = await import('node:os')
  const count = 8 * BATCH
  const pixels = Uint8Array.from({ length: count * 32 * 32 * 3 }, (_, i) => (i * 7919 + i * i) % 253)
  const pictures = await fromArrays(pixels, [count, 32, 32, 3])
  const output = mkdtempSync(join(tmpdir(), 'amdim-infomax-'))
  try {
    const run = trainInfomax({
      method: 'dim',
      data: { train: pictures, test: null },
      config: {
        batchSize: BATCH,
        encoder: { baseWidth: WIDTH, embeddingDim: DIMENSIONS },
        dim: { units: UNITS },
      },
      updates: WARM_UP + STEPS,
      precision: 'f32',
      threads: 2,
      device: 'cpu',
      logEverySteps: 1,
      checkpointMinutes: null,
      output: join(output, 'run'),
    })
    const speeds = []
    for await (const event of run) if (event.type === 'step') speeds.push(event.pairsPerSecond)
    const { model } = await run
    model.dispose()
    return { images_per_s: median(speeds.slice(WARM_UP)) }
  } finally {
    pictures.dispose()
    rmSync(output, { recursive: true })
  }
}
