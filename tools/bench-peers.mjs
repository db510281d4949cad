// Compares training and encoding with the authors' PyTorch code, and the probes with scikit-learn, in alternation on
// this machine; `--help` says how. Needs a built package (npm run build).
import { existsSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { lastLine, median } from './lib/measure.mjs'
import { capture, root } from './lib/process.mjs'
import { compareInfomax } from './peers/infomax.mjs'
import { comparePipeline } from './peers/pipeline.mjs'
import { compareProbes } from './peers/probes.mjs'

/** `gflop`: of a step's convolutions and matrix products, for one pair; when encoding, of one picture's global vector. */
const CASES = [
  {
    name: 'a',
    gflop: 0.457,
    size: 32,
    ndf: 32,
    rkhs: 256,
    batch: 64,
    steps: 12,
    floor: { f32: 1.7, bf16: 3.8 },
    goal: { f32: 2, bf16: 5 },
  },
  {
    name: 'b',
    gflop: 1.772,
    size: 32,
    ndf: 64,
    rkhs: 512,
    batch: 64,
    steps: 5,
    floor: { f32: 1.4, bf16: 2.8 },
    goal: { f32: 1.7, bf16: 4.5 },
  },
  {
    name: 'c',
    gflop: 6.938,
    size: 32,
    ndf: 128,
    rkhs: 1024,
    batch: 32,
    steps: 3,
    floor: { f32: 1.2, bf16: 2.5 },
    goal: { f32: 1.5, bf16: 4 },
  },
  {
    name: 'd',
    gflop: 1.941,
    size: 64,
    ndf: 32,
    rkhs: 256,
    batch: 32,
    steps: 6,
    floor: { f32: 1.5, bf16: 2.5 },
    goal: { f32: 2, bf16: 4 },
  },
  {
    name: 'e',
    gflop: 2.413,
    size: 128,
    ndf: 32,
    rkhs: 256,
    batch: 16,
    steps: 8,
    floor: { f32: 1.5, bf16: 2 },
    goal: { f32: 2, bf16: 3 },
  },
  {
    name: 'encode-a',
    gflop: 0.0537,
    mode: 'encode',
    size: 32,
    ndf: 32,
    rkhs: 256,
    batch: 64,
    steps: 40,
    floor: { f32: 1.5, bf16: 3 },
    goal: { f32: 2, bf16: 4 },
  },
  {
    name: 'encode-b',
    gflop: 0.2116,
    mode: 'encode',
    size: 32,
    ndf: 64,
    rkhs: 512,
    batch: 64,
    steps: 20,
    floor: { f32: 1.3, bf16: 2.5 },
    goal: { f32: 1.7, bf16: 3.5 },
  },
]
const MEMORY = { f32: { floor: 0.9, goal: 0.6 }, bf16: { floor: 0.6, goal: 0.4 } }

const NAMES = [...CASES.map(({ name }) => name), 'pipeline', 'infomax', 'probes']
const PRECISIONS = ['f32', 'bf16']
const USAGE = `usage: AMDIM_REFERENCE=FOLDER AMDIM_PYTHON=python3 npm run bench:peers -- [options]

Compares training and encoding with the authors’ PyTorch code, local Deep InfoMax with PyTorch, and the probes with
scikit-learn, in alternation on this machine, and prints ratios. A run of all writes docs/results/speed.md. Alone on the
machine, all of it takes about 30 minutes.

options:
  --only NAME,...        some of ${NAMES.join(', ')} (default all)
  --rounds N             pairs of runs, of which the median counts (default 5)
  --precision f32|bf16   one of both (default both)
  --cifar ARCHIVE        pictures for the input pipeline ...
  --jpegs FOLDER         ... which is left out without any
  --help                 show this help`

function parsed() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string' },
        rounds: { type: 'string', default: '5' },
        precision: { type: 'string' },
        cifar: { type: 'string' },
        jpegs: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`)
  }
}

const values = parsed()
if (values.help) {
  console.log(USAGE)
  process.exit()
}
const rounds = Number(values.rounds)
if (!(Number.isInteger(rounds) && rounds > 0)) fail(`--rounds wants a number from 1 on, got ${values.rounds}`)
if (values.precision !== undefined && !PRECISIONS.includes(values.precision))
  fail(`--precision wants f32 or bf16, got ${values.precision}`)
const unknown = values.only?.split(',').filter((name) => !NAMES.includes(name)) ?? []
if (unknown.length) fail(`--only wants some of ${NAMES.join(', ')}, got ${unknown.join(', ')}`)
const isChosen = (name) => !values.only || values.only.split(',').includes(name)
const chosen = CASES.filter(({ name }) => isChosen(name))
const precisions = values.precision ? [values.precision] : PRECISIONS
const { AMDIM_REFERENCE: reference, AMDIM_PYTHON: python = 'python3' } = process.env
const cli = join(root, 'dist/cli/main.js')

function fail(message) {
  console.error(`bench:peers: ${message}`)
  process.exit(2)
}

if (!existsSync(cli)) fail('the package is not built: npm run build')
if (chosen.length && !existsSync(join(reference ?? '', 'model.py')))
  fail(
    'AMDIM_REFERENCE must be a folder of the authors’ code (github.com/Philip-Bachman/amdim-public), with the calls ' +
      'that need a GPU or apex taken out of it',
  )
for (const [name, isNeeded] of [
  ['torch', chosen.length || isChosen('infomax')],
  ['sklearn', isChosen('probes')],
])
  if (isNeeded && capture(python, ['-c', `import ${name}`]) === null)
    fail(
      `AMDIM_PYTHON (${python}) has no ${name}: make a virtual environment and pip install torch torchvision scikit-learn`,
    )

function flags({ mode = 'train', size, ndf, rkhs, batch, steps }, precision) {
  const options = { mode, size, ndf, rkhs, depth: 3, batch, steps, precision, threads: 2 }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
}

const ours = (which, precision) => lastLine(process.execPath, [cli, 'bench', ...flags(which, precision)])
const theirs = (which, precision, layout) =>
  lastLine(python, [join(root, 'tools/peers/train.py'), ...flags(which, precision), ...layout])

/** The faster of their two memory layouts counts, chosen by one run of each. */
function fasterLayout(which, precision) {
  const layouts = [[], ['--channels-last']]
  const [plain, last] = layouts.map((layout) => theirs(which, precision, layout).images_per_s)
  return plain > last ? layouts[0] : layouts[1]
}

function compare(which, precision) {
  const layout = fasterLayout(which, precision)
  const pairs = Array.from({ length: rounds }, () => [
    ours(which, precision),
    theirs(which, precision, layout),
  ])
  const of = (side, key) => median(pairs.map((pair) => pair[side][key]))
  return {
    name: which.name,
    gflops: of(0, 'images_per_s') * which.gflop,
    share: (of(0, 'images_per_s') * which.gflop) / limit[precision],
    precision,
    ours: of(0, 'images_per_s'),
    theirs: of(1, 'images_per_s'),
    ratio: median(pairs.map(([a, b]) => a.images_per_s / b.images_per_s)),
    floor: which.floor[precision],
    goal: which.goal[precision],
    memory: of(0, 'max_rss_mb') / of(1, 'max_rss_mb'),
    oursMb: of(0, 'max_rss_mb'),
    theirsMb: of(1, 'max_rss_mb'),
    layout: layout.length ? 'channels last' : 'channels first',
    kernel: pairs[0][0].kernel,
    torch: pairs[0][1].torch,
  }
}

function verdict(ratio, floor, goal, isBetter) {
  if (isBetter(ratio, goal)) return 'goal'
  return isBetter(ratio, floor) ? 'floor' : 'below'
}

function row(result) {
  const speed = verdict(result.ratio, result.floor, result.goal, (x, y) => x >= y)
  const { floor, goal } = MEMORY[result.precision]
  const memory = result.name.startsWith('encode')
    ? ''
    : ` ${verdict(result.memory, floor, goal, (x, y) => x <= y)}`
  return (
    `| ${result.name} | ${result.precision} | ${result.ours.toFixed(1)} | ${result.gflops.toFixed(0)} | ${(100 * result.share).toFixed(0)} % | ${result.theirs.toFixed(1)} (${result.layout}) | ` +
    `**${result.ratio.toFixed(2)}** | ${result.floor} / ${result.goal} | ${speed} | ` +
    `${result.oursMb.toFixed(0)} / ${result.theirsMb.toFixed(0)} = ${result.memory.toFixed(2)}${memory} |`
  )
}

const HEAD = [
  '| config | precision | amdim, /s | GFLOP/s | of the limit | PyTorch, /s | ratio | floor / goal | reached | memory, MiB |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
]
/** GFLOP/s that the shares are shares of. */
const limit = lastLine('cargo', [
  ...['run', '--release', '--quiet', '--package', 'amdim-kernels', '--example', 'limit'],
  ...['--manifest-path', join(root, 'Cargo.toml'), '--', '2'],
])
if (chosen.length) console.log(HEAD.join('\n'))
const results = []
for (const which of chosen)
  for (const precision of precisions) {
    results.push(compare(which, precision))
    console.log(row(results.at(-1)))
  }
const { cifar, jpegs } = values
const hasFiles = cifar !== undefined || jpegs !== undefined
if (isChosen('pipeline') && !hasFiles)
  console.error('bench:peers: the input pipeline is left out: give --cifar ARCHIVE or --jpegs FOLDER')
const pipeline =
  isChosen('pipeline') && hasFiles ? comparePipeline(python, reference, { cifar, jpegs }, rounds) : []
if (pipeline.length) console.log(['', ...pipeline].join('\n'))
const infomax = isChosen('infomax') ? await compareInfomax(python, rounds) : []
if (infomax.length) console.log(['', ...infomax].join('\n'))
const probes = isChosen('probes') ? await compareProbes(python, rounds) : []
if (probes.length) console.log(['', ...probes].join('\n'))

function page() {
  const [{ torch, kernel }] = results
  return [
    '# Speed beside the authors’ code',
    '',
    'Written by `npm run bench:peers`: the whole training step as shipped (two views, losses and diagnostics, penalty, online',
    'classifiers, running statistics, check for NaN, optimiser) and the authors’ step, on 2 threads, runs in alternation;',
    `medians of ${rounds} pairs of runs. Pairs of views (pictures when encoding) a second, peak resident memory of the process.`,
    '*Reached* compares the ratio with the floor and the goal that the project set itself.',
    '',
    `Machine: ${cpus()[0].model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB; kernel ${kernel}. ` +
      `Node ${process.versions.node}, torch ${torch}, ${new Date().toISOString().slice(0, 10)}.`,
    '',
    ...HEAD,
    ...results.map(row),
    '',
    'a, b, c: 32 pixels, baseWidth 32, 64, 128, embeddingDim 256, 512, 1024, batch 64, 64, 32. d, e: 64 and 128 pixels,',
    'baseWidth 32, embeddingDim 256, batch 32 and 16. All with blockDepth 3. Encoding makes global vectors; the authors’ code',
    'makes the local maps too, a quarter of the products, and hands out the vectors alone.',
    '',
    `Limit: ${limit.f32} GFLOP/s in f32 and ${limit.bf16} in bf16, products of our own kernel whose factors stay in the first`,
    'cache, on both threads. GFLOP/s count convolutions and matrix products, by torch’s counter (of ours alone when encoding).',
    '',
    ...pipeline,
    ...infomax,
    ...probes,
  ]
}

if (!values.only && !values.precision) writeFileSync(join(root, 'docs/results/speed.md'), page().join('\n'))
else console.log('docs/results/speed.md is written by a run of all configurations')
