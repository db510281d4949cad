import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => JSON.parse(readFileSync(`${root}/${path}`, 'utf8'))
const manifest = read('package.json')

/** Paths that `npm pack` would put into the main package. */
function packedFiles(): string[] {
  const text = execFileSync('npm', ['pack', '--dry-run', '--json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    shell: process.platform === 'win32',
  })
  return JSON.parse(text)[0].files.map(({ path }: { path: string }) => path)
}

describe('the packed main package', () => {
  const files = packedFiles()

  it('has every file that the manifest points to', () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry as Record<string, string>),
    )
    const named = [...targets, manifest.types, ...Object.values<string>(manifest.bin)]
    for (const path of named) expect(files).toContain(path.replace(/^\.\//, ''))
  })

  it('has the loader but no binary, which platform packages carry', () => {
    expect(files).toContain('native/index.cjs')
    expect(files.filter((path) => path.endsWith('.node'))).toEqual([])
  })

  it('has compiled code with its types, licence and README, and nothing else', () => {
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']))
    const other = files.filter((path) => !/^(dist\/.*(\.js|\.d\.ts)|models\/.*)$/.test(path))
    expect(other.sort()).toEqual(['LICENSE', 'README.md', 'native/index.cjs', 'package.json'])
  })

  it('has the model that ships with it and its card, and no other model', () => {
    const models = files.filter((path) => path.startsWith('models/'))
    expect(models.sort()).toEqual(['models/README.md', 'models/tiny-cifar10.safetensors'])
    for (const path of models) expect(statSync(`${root}/${path}`).size).toBeLessThanOrEqual(10e6)
  })

  it('states types first in every entry, which resolvers read in order', () => {
    const entries = Object.values(manifest.exports).filter((entry) => typeof entry === 'object')
    expect(entries.length).toBeGreaterThan(0)
    for (const entry of entries) expect(Object.keys(entry as object)[0]).toBe('types')
  })

  it('runs no script at install time', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare']
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([])
  })
})

describe('the command line program', () => {
  it('starts with the line that makes it executable', () => {
    const source = `${root}/${manifest.bin.amdim}`
    expect(existsSync(source)).toBe(true)
    expect(readFileSync(source, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })
})

describe('the lock file', () => {
  const { packages } = read('package-lock.json') as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
  }

  it('names no registry but the default one', () => {
    const resolved = Object.values(packages).flatMap((entry) => entry.resolved ?? [])
    expect(resolved.length).toBeGreaterThan(0)
    expect(resolved.filter((url) => !url.startsWith('https://registry.npmjs.org/'))).toEqual([])
  })

  it('lists the platform packages of every system, so that npm ci works on each', () => {
    const missing = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies).filter((name) => !(`node_modules/${name}` in packages)),
    )
    expect(missing).toEqual([])
  })
})

describe('versions', () => {
  it('are the same in package.json and Cargo.toml', () => {
    const cargo = readFileSync(`${root}/Cargo.toml`, 'utf8')
    expect(/\[workspace\.package\]\s+version = "(.*)"/.exec(cargo)?.[1]).toBe(manifest.version)
  })
})
