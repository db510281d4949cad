import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, resolveConfig } from '../../src/index.js'
import { temporaryFolder, write } from '../support/folder.js'

const file = (name: string, content: string) => write(join(temporaryFolder(), name), content)

describe('loadConfig', () => {
  it('reads YAML and JSON alike', async () => {
    const expected = { preset: 'cifar10', config: { encoder: { baseWidth: 64 }, length: { epochs: 3 } } }
    expect(
      await loadConfig(file('a.yaml', 'preset: cifar10\nencoder:\n  baseWidth: 64\nlength: { epochs: 3 }\n')),
    ).toEqual(expected)
    const json = JSON.stringify({ preset: 'cifar10', ...expected.config })
    expect(await loadConfig(file('a.json', json))).toEqual(expected)
  })

  it("takes the configuration of a run folder's config.json", async () => {
    const config = await resolveConfig({ preset: 'stl10' })
    const request = { config, preset: 'stl10', device: 'cpu', output: 'runs/a' }
    expect(await loadConfig(file('config.json', JSON.stringify(request)))).toEqual({
      preset: 'stl10',
      config,
    })
  })

  it.each([
    ['a.yaml', 'encoder: { baseWith: 3 }', 'did you mean "baseWidth"?'],
    ['a.yaml', 'preset: cifar11', 'preset: expected one of tiny'],
    ['a.yaml', 'encoder: [', 'is not valid YAML'],
    ['a.json', '{', 'is not valid JSON'],
    ['a.json', '[]', 'expected an object of options'],
    ['a.toml', '', 'expected a file named *.json, *.yaml or *.yml'],
  ])('refuses %s holding %s', async (name, content, message) => {
    const failure = loadConfig(file(name, content))
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(message)
  })

  it('names the file that is missing', async () => {
    const path = join(temporaryFolder(), 'none.yaml')
    await expect(loadConfig(path)).rejects.toMatchObject({ code: 'AMDIM_IO', details: { path } })
  })
})
