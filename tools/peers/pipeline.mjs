// The input pipeline beside the authors' (torchvision on Pillow), one thread each, in alternation; bench-peers.mjs prints
// the section.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { lastLine } from '../lib/measure.mjs'
import { root } from '../lib/process.mjs'

const GOALS = { cifar: 8, jpegs: 3 }
const NAMES = {
  cifar: 'CIFAR-10, decoded in memory, two views of 32 pixels',
  jpegs: 'JPEG files from disk, two views of 128 pixels',
}

/** Times both sides on the given files (`cifar`: an archive, `jpegs`: a folder) and returns the page's section. */
export function comparePipeline(python, reference, { cifar, jpegs }, rounds) {
  const example = ['build', '--release', '--package', 'amdim-data', '--example', 'data_speed']
  execFileSync('cargo', example, { cwd: root, stdio: 'inherit' })
  const files = [...(cifar ? ['--cifar', cifar] : []), ...(jpegs ? ['--jpegs', jpegs] : [])]
  const { versions, cases } = lastLine(python, [
    join(root, 'tools/peers/data.py'),
    ...['--reference', reference, '--ours', join(root, 'target/release/examples/data_speed')],
    ...['--rounds', String(rounds), '--decode', 'exact', 'fast', ...files],
  ])
  const row = (result) => {
    const { decode, ratio, pairs_per_s: ours, reference_pairs_per_s: theirs } = result
    const goal = GOALS[result.case]
    return (
      `| ${NAMES[result.case]} | ${decode} | ${ours.toFixed(0)} | ${theirs.toFixed(0)} | ` +
      `**${ratio.toFixed(1)}** | ${goal} | ${ratio >= goal ? 'goal' : 'below'} |`
    )
  }
  return [
    '## Input pipeline',
    '',
    `Beside torchvision ${versions.torchvision} on Pillow ${versions.pillow} doing the authors’ transforms on the same files, one`,
    `thread each, in alternation; medians of ${rounds} rounds, pairs of views a second. What \`fast\` changes is measured in`,
    '[decoding](../design/decoding.md).',
    '',
    '| pictures | decode | amdim, /s | torchvision, /s | ratio | goal | reached |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...cases.map(row),
    '',
  ]
}
