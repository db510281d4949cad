import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AugmentPolicy, type ConfigOverrides, loadPolicy, resolveConfig } from '../../src/index.js'
import { temporaryFolder, write } from '../support/folder.js'

const OWN: AugmentPolicy = [
  [['Rotate', 0.5, 1]],
  [
    ['Invert', 0.25, 0],
    ['Cutout', 1, 0.5],
  ],
]

const resolved = async (policy: unknown) =>
  (await resolveConfig({ config: { augment: { policy } } as ConfigOverrides })).augment.policy

describe('augment.policy', () => {
  it('is null, a name or a policy, which the configuration holds whole', async () => {
    expect((await resolveConfig()).augment.policy).toBeNull()
    expect(await resolved('fast-autoaugment-imagenet')).toBe('fast-autoaugment-imagenet')
    expect(await resolved(OWN)).toEqual(OWN)
  })

  it.each<[unknown, string]>([
    ['fast-autoaugment', 'got "fast-autoaugment"; did you mean "fast-autoaugment-cifar10"?'],
    [[[['Sheer', 1, 1]]], 'augment.policy.0.0.0: expected one of ShearX, ShearY'],
    [[[['shearX', 1, 1]]], 'did you mean "ShearX"?'],
    [[[['Rotate', 1.5, 1]]], 'augment.policy.0.0.1: expected a number >= 0 and <= 1, got 1.5'],
    [[[['Rotate', 1, Number.NaN]]], 'augment.policy.0.0.2: expected a number >= 0 and <= 1'],
    [[[]], 'augment.policy.0: expected 1 to 16 operations'],
    [[], 'augment.policy: expected 1 to 10000 sub-policies'],
    [{ name: 'x' }, 'lists of [operation, probability, level], or null'],
  ])('refuses %j', async (policy, message) => {
    await expect(resolved(policy)).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    })
  })
})

describe('loadPolicy', () => {
  it.each([
    ['policy.json', JSON.stringify(OWN)],
    ['policy.yaml', '- [[Rotate, 0.5, 1]]\n- [[Invert, 0.25, 0], [Cutout, 1, 0.5]]\n'],
  ])('reads %s', async (name, text) => {
    expect(await loadPolicy(write(join(temporaryFolder(), name), text))).toEqual(OWN)
  })

  it.each([
    ['bad.json', '[[["Rotate", 0.5]]]', 'AMDIM_INVALID_ARGUMENT', 'bad.json.0.0'],
    ['unknown.json', '[[["Flip", 0.5, 1]]]', 'AMDIM_INVALID_ARGUMENT', 'unknown.json.0.0.0: expected one of'],
    ['cut.json', '[[["Rotate", 0.5', 'AMDIM_INVALID_ARGUMENT', 'is not valid JSON'],
    ['policy.txt', '[]', 'AMDIM_INVALID_ARGUMENT', 'policy file: expected a file named'],
  ])('refuses %s', async (name, text, code, message) => {
    const path = write(join(temporaryFolder(), name), text)
    await expect(loadPolicy(path)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })

  it('says which file is missing', async () => {
    const path = join(temporaryFolder(), 'none.json')
    await expect(loadPolicy(path)).rejects.toMatchObject({ code: 'AMDIM_IO', details: { path } })
  })
})
