// Compiles src into dist: node tools/build-ts.mjs
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { binOf, root, run } from './lib/process.mjs'

// Files whose sources are gone would be packed.
rmSync(join(root, 'dist'), { recursive: true, force: true })
process.exitCode = await run(process.execPath, [binOf('typescript', 'tsc'), '-p', 'tsconfig.build.json'])
