import { cpSync, existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { platformPackage, unwrap, unwrapJson } from '../src/native.js'
import { temporaryFolder } from './support/folder.js'
import { PROGRAM, runAny } from './support/run-program.js'

const root = fileURLToPath(new URL('..', import.meta.url))

describe('unwrap', () => {
  const failure = (code: string, details: string) => ({
    failure: true as const,
    code,
    message: 'no',
    details,
  })

  it('passes values on and throws failures', () => {
    expect(unwrap(null)).toBeNull()
    expect(unwrapJson('{"a":1}')).toEqual({ a: 1 })
    expect(() => unwrap(failure('AMDIM_DATA', '{"path":"x"}'))).toThrow(
      expect.objectContaining({ code: 'AMDIM_DATA', message: 'no', details: { path: 'x' } }),
    )
  })

  it('takes a code or details that it does not know for a defect, and keeps them', () => {
    expect(() => unwrap(failure('EIO', 'no json'))).toThrow(
      expect.objectContaining({ code: 'AMDIM_INTERNAL', details: { details: 'no json' } }),
    )
  })
})

describe('loading the addon', () => {
  it.each([
    ['RAYON_NUM_THREADS', undefined, availableParallelism()],
    ['RAYON_NUM_THREADS', 3, 3],
    ['CANDLE_NUM_THREADS', undefined, 1],
    ['CANDLE_NUM_THREADS', 3, 3],
  ])('with %s %s leaves it at %s', async (variable, given, expected) => {
    const script = `delete process.env.${variable}
      ${given === undefined ? '' : `process.env.${variable} = '${given}'`}
      const { addon } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/native.js')))})
      addon()
      console.log(process.env.${variable})`
    const ended = await runAny(process.execPath, ['--input-type=module', '-e', script])
    expect(ended.code, ended.err).toBe(0)
    expect(ended.out.trim()).toBe(String(expected))
  })
})

describe('without the addon', () => {
  /** The compiled package alone: no binary, no dependencies. */
  function bare(): string {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run "npm run build" first`)
    const folder = temporaryFolder()
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(folder, 'package.json'))
    return folder
  }

  it('importing the package and amdim --help load neither the addon nor a dependency', async () => {
    const folder = bare()
    const help = await runAny(process.execPath, [join(folder, 'dist/cli/main.js'), '--help'])
    expect(help.code, help.err).toBe(0)
    const url = pathToFileURL(join(folder, 'dist/index.js'))
    const imported = await runAny(process.execPath, [
      '--input-type=module',
      '-e',
      `import ${JSON.stringify(url)}`,
    ])
    expect(imported.code, imported.err).toBe(0)
  })

  it('names the package to install', async () => {
    const folder = bare()
    const script = `import { inspect } from ${JSON.stringify(pathToFileURL(join(folder, 'dist/index.js')))}
      await inspect('model').catch(({ code, message }) => console.log(code, message))`
    const ended = await runAny(process.execPath, ['--input-type=module', '-e', script])
    expect(ended.code, ended.err).toBe(0)
    expect(ended.out).toContain(
      `AMDIM_ADDON the native binary of amdim for this platform could not be loaded`,
    )
    expect(ended.out).toContain(`npm install ${platformPackage()}`)
  })
})
