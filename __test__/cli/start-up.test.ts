import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { PROGRAM, runAny } from '../support/run-program.js'

// Loading any native addon fails in a process that runs this first.
const WITHOUT_ADDONS = `data:text/javascript,${encodeURIComponent(
  'process.dlopen = () => { throw new Error("an addon was loaded") }',
)}`
const LIBRARY = pathToFileURL(PROGRAM.replace('cli/main.js', 'index.js')).href

function run(...args: string[]) {
  return runAny(process.execPath, ['--import', WITHOUT_ADDONS, ...args])
}

describe('start-up', () => {
  it.each([['--help'], ['--version'], ['train', '--help'], ['plan', '--help']])(
    'amdim %s %s does not load the addon',
    async (...args) => {
      const ended = await run(PROGRAM, ...args)
      expect(ended.err).toBe('')
      expect(ended.code).toBe(0)
    },
  )

  it('importing the package does not load the addon, using it does', async () => {
    const script = (use: string) => `const { imageFolder } = await import('${LIBRARY}'); ${use}`
    expect((await run('--input-type=module', '-e', script(''))).code).toBe(0)
    const ended = await run('--input-type=module', '-e', script("await imageFolder('nowhere')"))
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('AMDIM_ADDON')
  })
})
