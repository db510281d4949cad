// Packs, then lets publint and "are the types wrong" look at the main package: node tools/check-package.mjs
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { manifest } from './lib/platform.mjs'
import { binOf, root, run } from './lib/process.mjs'

const node = (...args) => run(process.execPath, args)
const tarballOf = (name) =>
  join(
    root,
    'npm',
    readdirSync(join(root, 'npm')).find((file) => file.startsWith(name)),
  )

let status = await node('tools/pack.mjs')
if (status === 0) {
  const tarball = tarballOf(`${manifest.name}-${manifest.version}`)
  const lint = await node(binOf('publint'), 'run', '--strict', tarball)
  // ESM only: how CommonJS would see it is not asked.
  const types = await node(binOf('@arethetypeswrong/cli', 'attw'), tarball, '--profile', 'esm-only')
  status = lint || types
}
process.exitCode = status
