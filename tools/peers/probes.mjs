// Probes and search beside scikit-learn, in alternation on the same features; bench-peers.mjs prints the section. Alone on
// the machine, it takes about four minutes.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { lastLine, median } from '../lib/measure.mjs'
import { root } from '../lib/process.mjs'

/** What both sides may differ by: relative in the objective; in the similarities and the share of neighbours. */
const TOLERATED = { objective: 1e-5, similarity: 2e-6, neighbours: 1e-4 }
const GOAL = 1

/** Times both probes on both sides, checks that the results are of one quality, and returns the page's section. */
export async function compareProbes(python, rounds) {
  // The public package fits probes on pictures only; on features as they are, an example of the crate does.
  const example = ['build', '--release', '--package', 'amdim-eval', '--example', 'linear_speed']
  execFileSync('cargo', example, { cwd: root, stdio: 'inherit' })
  const folder = mkdtempSync(join(tmpdir(), 'amdim-probes-'))
  try {
    const peer = (command, threads = 2) =>
      lastLine(python, [join(root, 'tools/peers/probes.py'), command, folder, '--threads', String(threads)])
    const sizes = peer('make')
    const threads = fasterThreads(peer)
    const pairs = { linear: [], neighbours: [] }
    for (let round = 0; round < rounds; round++) {
      pairs.linear.push([fitOurs(folder, sizes), peer('linear', threads)])
      pairs.neighbours.push([await searchOurs(folder, sizes), peer('neighbours')])
    }
    const quality = peer('check')
    assertEqualQuality(quality)
    return section({ ...sizes, threads }, pairs, quality)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Where others use the cores too, two of its threads wait for each other: the faster number counts. */
function fasterThreads(peer) {
  const [one, two] = [1, 2].map((threads) => peer('linear', threads).seconds)
  return one < two ? 1 : 2
}

function fitOurs(folder, { dim, classes, l2, tolerance, max_iterations }) {
  const options = [dim, classes, l2, tolerance, max_iterations].map(String)
  return lastLine(join(root, 'target/release/examples/linear_speed'), [folder, ...options])
}

async function searchOurs(folder, { rows, queries, dim, k }) {
  const { searchNeighbours } = await import('../../dist/index.js')
  const read = (name, count) => {
    const { buffer, byteOffset } = readFileSync(join(folder, `${name}.f32`))
    return { data: new Float32Array(buffer, byteOffset, count * dim), shape: [count, dim] }
  }
  const [asked, base] = [read('test', queries), read('train', rows)]
  const began = performance.now()
  const { indices, similarities } = await searchNeighbours(asked, base, { k })
  const seconds = (performance.now() - began) / 1000
  writeFileSync(join(folder, 'ours.indices'), indices)
  writeFileSync(join(folder, 'ours.similarities'), similarities)
  return { seconds }
}

function assertEqualQuality({ linear: { ours, theirs }, neighbours: { same, difference } }) {
  if (!(ours.objective <= theirs.objective * (1 + TOLERATED.objective)))
    throw new Error(`probes: our objective ${ours.objective} is above theirs, ${theirs.objective}`)
  if (!(difference <= TOLERATED.similarity && same >= 1 - TOLERATED.neighbours))
    throw new Error(`probes: ${same} of the neighbours are the same, similarities differ by ${difference}`)
}

function section({ rows, queries, dim, classes, k, l2, tolerance, threads }, pairs, { linear, neighbours }) {
  const count = (number) => number.toLocaleString('en-US')
  const row = (name, pairs) => {
    const of = (side) => median(pairs.map((pair) => pair[side].seconds)).toFixed(2)
    const ratio = median(pairs.map(([ours, theirs]) => theirs.seconds / ours.seconds))
    return `| ${name} | ${of(0)} | ${of(1)} | **${ratio.toFixed(2)}** | ${GOAL} | ${ratio >= GOAL ? 'goal' : 'below'} |`
  }
  const [[ours, theirs]] = pairs.linear
  return [
    '## Probes and search',
    '',
    `Beside scikit-learn ${theirs.sklearn}, on 2 threads, runs in alternation; medians of ${pairs.linear.length} pairs of`,
    `runs. ${count(rows)} features of ${count(dim)} values, ${classes} classes that overlap, variances that decay as 1 / rank.`,
    '',
    '| task | amdim, s | scikit-learn, s | ratio | goal | reached |',
    '| --- | --- | --- | --- | --- | --- |',
    row('linear probe to convergence, standardising included', pairs.linear),
    row(`${k} nearest of ${count(rows)} for ${count(queries)} queries, cosine, exact`, pairs.neighbours),
    '',
    `Linear: both minimise the mean cross-entropy plus ${l2} times the squared weights until no value of the gradient is`,
    `above ${tolerance}. Objective, computed in f64 apart from both: ours ${linear.ours.objective.toFixed(7)} after`,
    `${ours.iterations} iterations, theirs (LogisticRegression, lbfgs, in f64 and with ${threads} of 1 and 2 threads, where it is faster)`,
    `${linear.theirs.objective.toFixed(7)} after ${theirs.iterations}; test accuracy ${(100 * linear.ours.accuracy).toFixed(1)} % and`,
    `${(100 * linear.theirs.accuracy).toFixed(1)} %. Search: beside NearestNeighbors (brute, cosine), ${(100 * neighbours.same).toFixed(3)} % of the`,
    `neighbours are the same and similarities differ by ${neighbours.difference.toExponential(0)} at most: the order of what is equal in f32.`,
    '',
  ]
}
