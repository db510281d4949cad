// Runs every test, Rust's and TypeScript's, and ends with one line: N passed, N failed.
// node tools/test.mjs [vitest arguments]; npm test builds first.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binOf, run, runKeepingOutput } from './lib/process.mjs'
import { installTfjsNode } from './lib/tfjs-node.mjs'
import { requireTools } from './lib/toolchain.mjs'

/** cargo test prints one "test result" line for every test binary. */
async function rustTests() {
  // The addon's crate is glue that only Node can load; the TypeScript tests are its tests.
  const args = ['test', '--release', '--workspace', '--exclude', 'amdim-node', '--no-fail-fast']
  const { status, output } = await runKeepingOutput('cargo', args)
  const totals = { passed: 0, failed: 0 }
  for (const [, passed, failed] of output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)) {
    totals.passed += Number(passed)
    totals.failed += Number(failed)
  }
  return { name: 'cargo test', status, ...totals }
}

async function typescriptTests(extra) {
  const folder = mkdtempSync(join(tmpdir(), 'amdim-test-'))
  const report = join(folder, 'report.json')
  const args = [
    binOf('vitest'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...extra,
  ]
  const status = await run(process.execPath, args)
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
    return { name: 'vitest', status, passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { name: 'vitest', status, passed: 0, failed: 0 } // it broke before its report; the status says so
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The tests of amdim/tfjs need it; where it can't be had they fail and say so, and all others run. */
async function prepareTfjsNode() {
  if (process.env.AMDIM_WITHOUT_TFJS_NODE === '1') return
  try {
    console.log(`tfjs-node ${await installTfjsNode()}`)
  } catch (error) {
    console.error(`@tensorflow/tfjs-node can't be put in place: ${error.message}`)
  }
}

requireTools('run the Rust tests')
await prepareTfjsNode()
const results = [await rustTests(), await typescriptTests(process.argv.slice(2))]
let passed = 0
let failed = 0
for (const result of results) {
  passed += result.passed
  failed += result.failed
  // A crash, or a file that does not compile, fails without a failed test; it must show in the last line.
  if (result.status !== 0 && result.failed === 0) {
    console.error(`${result.name} exited with status ${result.status} though no test of its own failed`)
    failed += 1
  }
  if (result.passed + result.failed === 0) {
    console.error(`${result.name} ran no tests`)
    if (result.status === 0) failed += 1
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
