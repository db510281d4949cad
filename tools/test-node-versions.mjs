// Runs the TypeScript tests under other versions of Node, taken from npm's `node` package:
// node tools/test-node-versions.mjs [VERSION ...]   (default 22 24; npm run test:node-versions builds first)
import { binOf, capture, run } from './lib/process.mjs'

const versions = process.argv.slice(2)
const failed = []
for (const version of versions.length ? versions : ['22', '24']) {
  // The package puts its binary in place with an install script, which this repository's .npmrc switches off.
  const npx = ['npx', '--yes', '--ignore-scripts=false', `--package=node@${version}`]
  const found = capture(npx[0], [...npx.slice(1), '-c', 'node --version'])
  console.log(`\n== Node ${version}: ${found?.trim() ?? 'not to be had from npm'}`)
  const right = found?.startsWith(`v${version.split('.')[0]}.`)
  const vitest = `node ${JSON.stringify(binOf('vitest'))} run`
  if (!right || (await run(npx[0], [...npx.slice(1), '-c', vitest])) !== 0) failed.push(version)
}
console.log(failed.length ? `failed on Node ${failed.join(', ')}` : 'passed on every version')
process.exitCode = failed.length ? 1 : 0
