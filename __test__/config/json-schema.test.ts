import { describe, expect, it } from 'vitest'
import { expectation, leavesOf, nodeAt, type SchemaNode } from '../../src/config/json-schema.js'
import { jsonSchema, resolveConfig, type SchemaName } from '../../src/index.js'

const schema = async (name: SchemaName) => (await jsonSchema(name)) as SchemaNode

/** Groups that are null by default, and whose options then have no place. */
const OPTIONAL_GROUPS = ['crop', 'mixture']

describe('jsonSchema', () => {
  it.each(['config', 'run', 'evaluate', 'plan', 'measure', 'compare', 'duplicates', 'estimate'] as const)(
    'describes every option of %s',
    async (name) => {
      for (const { path, node } of leavesOf(await schema(name)))
        expect(node.description, path.join('.')).toBeTruthy()
    },
  )

  it('has the defaults that resolveConfig fills in', async () => {
    const config = await resolveConfig()
    const root = await schema('config')
    const leaves = leavesOf(root).filter(({ path }) => !OPTIONAL_GROUPS.includes(path[1] ?? ''))
    expect(leaves.length).toBeGreaterThan(40)
    for (const { path, node } of leaves) {
      const value = path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], config)
      expect(node.default, path.join('.')).toEqual(value)
    }
  })

  it('returns a copy each time', async () => {
    const first = await schema('config')
    first.properties = {}
    expect(Object.keys((await schema('config')).properties ?? {})).toContain('encoder')
  })

  it('refuses an unknown name', async () => {
    await expect(jsonSchema('other' as SchemaName)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
  })
})

describe('expectation', () => {
  it.each([
    ['encoder.encoderSize', 'one of 28, 32, 64, 128'],
    ['encoder.baseWidth', 'a whole number >= 1 and <= 4096'],
    ['optimizer.beta1', 'a number >= 0 and < 1'],
    ['optimizer.gradientClip', 'a number > 0, or null'],
    ['encoder.batchNorm', 'true or false'],
    ['augment.std', 'a list of at least 1, each a number > 0'],
    ['augment.crop.scale', '2 values, each a number > 0'],
    ['augment.crop', 'an object with scale, ratio, or null'],
  ])('%s takes %s', async (path, text) => {
    const node = nodeAt(await schema('config'), path.split('.'))
    expect(node && expectation(node)).toBe(text)
  })
})
