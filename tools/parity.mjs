// Compares the shipped training step with a folder of reference values: node tools/parity.mjs [DIR] [flags]
// Flags (--executor, --device) go to crates/amdim-parity; without DIR it runs the repository's own values.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from './lib/process.mjs'
import { requireTools } from './lib/toolchain.mjs'

requireTools('build the comparison')
const { values, positionals } = parseArgs({
  options: { executor: { type: 'string' }, device: { type: 'string' } },
  allowPositionals: true,
})
// npm runs scripts in the package's folder; a relative DIR is meant from where the command was given.
const from = process.env.INIT_CWD ?? process.cwd()
const folders = positionals.length
  ? positionals.map((path) => resolve(from, path))
  : ['crates/amdim-core/tests/golden/amdim']
const flags = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value])
const program = ['run', '--release', '--quiet', '--package', 'amdim-parity', '--']
process.exitCode = await run('cargo', [...program, ...folders, ...flags])
