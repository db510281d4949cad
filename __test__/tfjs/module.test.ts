import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { AmdimModel } from '../../src/index.js'
import {
  encoderToLayersModel,
  featuresToTensor,
  loadLayersModel,
  picturesToTensor,
  saveLayersModel,
  trainLinearProbe,
  trainMlpProbe,
} from '../../src/tfjs/index.js'
import { temporaryFolder } from '../support/folder.js'
import { runAny } from '../support/run-program.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('without TensorFlow.js', () => {
  const features = { data: new Float32Array(4), shape: [2, 2] }

  it.each<[string, (tf: never) => unknown]>([
    ['picturesToTensor', (tf) => picturesToTensor(tf, { data: new Uint8Array(3), shape: [1, 1, 1, 3] })],
    ['featuresToTensor', (tf) => featuresToTensor(tf, features)],
    ['encoderToLayersModel', (tf) => encoderToLayersModel(tf, {} as AmdimModel)],
    ['trainLinearProbe', (tf) => trainLinearProbe(tf, features, [0, 1])],
    ['trainMlpProbe', (tf) => trainMlpProbe(tf, features, [0, 1])],
    ['saveLayersModel', (tf) => saveLayersModel(tf, {} as never, 'folder')],
    ['loadLayersModel', (tf) => loadLayersModel(tf, 'folder')],
  ])('%s says what to install and how to pass it', async (_, use) => {
    const calls = [undefined, null, 'tfjs', { tensor() {} }, { default: {} }].map(async (tf) =>
      use(tf as never),
    )
    for (const call of calls)
      await expect(call).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: expect.stringMatching(
          /^tf: expected the module @tensorflow\/tfjs or @tensorflow\/tfjs-node, got .*npm install @tensorflow\/tfjs"/,
        ),
      })
  })

  it('amdim/tfjs is imported all the same, and amdim has nothing of it', async () => {
    const dist = join(root, 'dist')
    if (!existsSync(join(dist, 'tfjs'))) throw new Error(`${dist} is old: run "npm run build:ts" first`)
    const folder = temporaryFolder()
    cpSync(dist, join(folder, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(folder, 'package.json'))
    const url = pathToFileURL(join(folder, 'dist/tfjs/index.js'))
    const script = `import { trainLinearProbe } from ${JSON.stringify(url)}
      await trainLinearProbe().catch(({ code }) => console.log(code))`
    const ended = await runAny(process.execPath, ['--input-type=module', '-e', script])
    expect([ended.code, ended.out.trim()], ended.err).toEqual([0, 'AMDIM_INVALID_ARGUMENT'])
  })
})

describe('src', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const sources = files.filter((path) => path.endsWith('.ts'))
  const textOf = (path: string) => readFileSync(join(root, 'src', path), 'utf8')

  it('takes types alone from TensorFlow.js, and those in tfjs/ alone', () => {
    const imports = sources.flatMap((path) =>
      [...textOf(path).matchAll(/^import (.*) from '@tensorflow/gm)].map(([, what = '']) => ({ path, what })),
    )
    expect(imports.length).toBeGreaterThan(3)
    expect(imports.filter(({ what }) => !what.startsWith('type '))).toEqual([])
    expect(imports.filter(({ path }) => !path.startsWith('tfjs'))).toEqual([])
  })

  it('does not use tfjs/ from elsewhere', () => {
    const users = sources.filter(
      (path) => !path.startsWith('tfjs') && /from '[^']*\/tfjs\//.test(textOf(path)),
    )
    expect(users).toEqual([])
  })
})
