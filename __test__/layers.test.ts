import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What each crate must not depend on, as in docs/design/layout.md. */
const FORBIDDEN: Record<string, RegExp> = {
  'amdim-network': /^(amdim-|candle|napi|rayon|image)/,
  'amdim-kernels': /^(amdim-|candle|napi|image)/,
  'amdim-cpu': /^(amdim-(?!network|kernels)|candle|napi|image)/,
  'amdim-core': /^(amdim-(?!network|cpu|kernels|random)|napi|image|zune)/,
  'amdim-data': /^(amdim-(?!random|kernels)|candle|napi)/,
  'amdim-files': /^(amdim-(?!network)|candle|napi|image|zune)/,
  'amdim-random': /^./,
  'amdim-eval': /^(amdim-(?!random)|candle|napi|image|zune)/,
  'amdim-train': /^(amdim-(node|parity)|napi)/,
  'amdim-parity': /^(amdim-node|napi)/,
}

/** Names under [dependencies] of a crate; those of its tests are free. */
function dependenciesOf(crate: string): string[] {
  const manifest = readFileSync(join(root, 'crates', crate, 'Cargo.toml'), 'utf8')
  const [, section = ''] = /^\[dependencies\]\n([^[]*)/m.exec(manifest) ?? []
  return [...section.matchAll(/^([\w-]+)/gm)].map(([, name = '']) => name)
}

describe('crates', () => {
  it('are all listed here, the glue aside, which may use every one', () => {
    const crates = readdirSync(join(root, 'crates')).filter((name) => name !== 'amdim-node')
    expect(crates.sort()).toEqual(Object.keys(FORBIDDEN).sort())
  })

  it('are read with what they depend on', () => {
    expect(dependenciesOf('amdim-core')).toContain('candle-core')
  })

  it.each(Object.entries(FORBIDDEN))('%s depends on nothing above or beside it', (crate, forbidden) => {
    expect(dependenciesOf(crate).filter((name) => forbidden.test(name))).toEqual([])
  })
})

describe('src', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )
  const textOf = (path: string) => readFileSync(join(root, 'src', path), 'utf8')

  it('imports the addon in one file only', () => {
    const importers = files.filter((path) => textOf(path).includes('native/index.cjs'))
    expect(importers).toEqual(['native.ts'])
  })

  it('does not use the command line from the library', () => {
    const library = files.filter((path) => !path.startsWith('cli'))
    expect(library.length).toBeGreaterThan(0)
    expect(library.filter((path) => /from '[^']*\/cli\//.test(textOf(path)))).toEqual([])
  })
})
