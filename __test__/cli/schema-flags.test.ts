import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../src/cli/flags.js'
import { flagsOf, optionsFrom, type SchemaFlag } from '../../src/cli/schema-flags.js'
import type { SchemaNode } from '../../src/config/json-schema.js'
import { type ConfigOverrides, jsonSchema, resolveConfig } from '../../src/index.js'

const flags = flagsOf((await jsonSchema('config')) as SchemaNode, ['length'])
const options = (...args: string[]) => optionsFrom(flags, parseCommandLine('train', args, flags))

/** A flag with its default value as a user would write it. */
function written({ name, node, negatable }: SchemaFlag): string[] {
  const { default: value } = node
  if (negatable) return [value ? `--${name}` : `--no-${name}`]
  return [`--${name}=${value === null ? 'none' : String(value)}`]
}

describe('flags of the schema', () => {
  it('have names of their own', () => {
    const names = flags.flatMap(({ name, aliases = [] }) => [name, ...aliases])
    expect(new Set(names).size).toBe(names.length)
  })

  it('reach every option by its path', () => {
    expect(flags.map(({ path }) => path.join('.'))).toEqual(
      expect.arrayContaining(['encoder.baseWidth', 'augment.crop', 'augment.crop.scale', 'seed']),
    )
    for (const { name, aliases, path } of flags)
      expect([name, ...(aliases ?? [])]).toContain(
        path.join('.').replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`),
      )
  })

  it('give the default configuration when every default is written out', async () => {
    const scalar = flags.filter(
      ({ node }) => typeof node.default !== 'object' || Array.isArray(node.default) || node.default === null,
    )
    const args = scalar.filter(({ path }) => !['crop', 'mixture'].includes(path[1] ?? '')).flatMap(written)
    expect(args.length).toBeGreaterThan(40)
    expect(await resolveConfig({ config: options(...args) as ConfigOverrides })).toEqual(
      await resolveConfig(),
    )
  })

  it('convert what they take', () => {
    expect(options('--base-width', '64', '--encoder.block-depth=2', '--batch-norm')).toEqual({
      encoder: { baseWidth: 64, blockDepth: 2, batchNorm: true },
    })
    expect(
      options('--augment.crop.scale', '0.5,1', '--augment.translate', 'none', '--gradient-clip', 'none'),
    ).toEqual({
      augment: { crop: { scale: [0.5, 1] }, translate: null },
      optimizer: { gradientClip: null },
    })
    expect(options('--local-maps', '4, 8')).toEqual({ encoder: { localMaps: [4, 8] } })
    expect(options('--local-maps', 'none')).toEqual({ encoder: { localMaps: null } })
    expect(options('--terms', '1->5, 1->7', '--learning-rate', '1e-3')).toEqual({
      objective: { terms: ['1->5', '1->7'] },
      optimizer: { learningRate: 1e-3 },
    })
  })

  it('leave what does not fit to the check, which names it', async () => {
    const config = options('--learning-rate', 'fast') as ConfigOverrides
    await expect(resolveConfig({ config })).rejects.toThrow(
      'optimizer.learningRate: expected a number > 0 and <= 10, got "fast"',
    )
  })
})
