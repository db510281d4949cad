// Everything that must hold before a commit besides the tests: node tools/check.mjs [name of a step ...]
import { parseArgs } from 'node:util'
import { binOf, capture, run } from './lib/process.mjs'
import { requireTools } from './lib/toolchain.mjs'

const node = (script, ...args) => run(process.execPath, [script, ...args])
const tool = (packageName, binName, ...args) => node(binOf(packageName, binName), ...args)
const cargo = (args, env = {}) => run('cargo', args, { env: { ...process.env, ...env } })

/** In order; a later step may use what an earlier one made. Release mode shares the test build's procedural macros. */
const STEPS = {
  format: async () =>
    (await tool('@biomejs/biome', 'biome', 'ci', '--error-on-warnings')) ||
    cargo(['fmt', '--all', '--check']),
  build: async () =>
    (await node('tools/build-addon.mjs')) || tool('typescript', 'tsc', '-p', 'tsconfig.build.json'),
  types: () => tool('typescript', 'tsc', '-p', 'tsconfig.json'),
  generated: unchangedGeneratedFiles,
  clippy: () => cargo(['clippy', '--release', '--workspace', '--all-targets', '--', '-D', 'warnings']),
  rustdoc: () => cargo(['doc', '--release', '--workspace', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' }),
  typedoc: () => tool('typedoc', 'typedoc', '--emit', 'none'),
  licences: () => node('tools/check-licences.mjs'),
  package: () => node('tools/check-package.mjs'),
}

/** What the build writes and the repository keeps must be the same as committed. */
async function unchangedGeneratedFiles() {
  const files = ['native/index.cjs', 'native/index.d.cts', 'Cargo.lock', 'package-lock.json']
  if (capture('git', ['rev-parse', '--git-dir']) === null) {
    console.log('generated: not a git checkout, nothing to compare with')
    return 0
  }
  return run('git', ['diff', '--exit-code', '--stat', '--', ...files])
}

const { positionals } = parseArgs({ allowPositionals: true })
const unknown = positionals.filter((name) => !(name in STEPS))
if (unknown.length) {
  console.error(`check: no step ${unknown.join(', ')}; there are ${Object.keys(STEPS).join(', ')}`)
  process.exit(2)
}
requireTools('check')
const failed = []
for (const name of positionals.length ? positionals : Object.keys(STEPS)) {
  console.log(`\n== ${name}`)
  if ((await STEPS[name]()) !== 0) failed.push(name)
}
console.log(failed.length ? `\ncheck failed: ${failed.join(', ')}` : '\ncheck passed')
process.exitCode = failed.length ? 1 : 0
