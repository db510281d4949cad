import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/folder.js'
import { runAny } from '../support/run-program.js'
import { WITHOUT_TFJS_NODE } from '../support/tfjs-node.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

/** What tfjs-node misses on Node 24 and later. */
const missing = `import util from 'node:util'
util.isNullOrUndefined ??= (value) => value == null
util.isArray ??= Array.isArray`

it.skipIf(WITHOUT_TFJS_NODE)('examples/tfjs.ts makes a classifier of TensorFlow.js alone', async () => {
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.examples.json'], { cwd: root, stdio: 'pipe' })
  const picture = 'crates/amdim-data/tests/pictures/baseline.jpg'
  const folder = join(temporaryFolder(), 'classifier')
  const program = [
    '--import',
    `data:text/javascript,${encodeURIComponent(missing)}`,
    join(root, 'build/examples/tfjs.js'),
    picture,
    folder,
  ]
  const { code, out, err } = await runAny(process.execPath, program, { cwd: root })
  expect(code, err).toBe(0)
  expect(out).toMatch(/epoch 10: loss \d\.\d\d nats/)
  expect(out).toMatch(/baseline\.jpg: \w+, probability 0\.\d\d/)
  expect(existsSync(join(folder, 'model.json'))).toBe(true)
})
