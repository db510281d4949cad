import { describe, expect, it } from 'vitest'
import { expectPositionals, type Flag, parseCommandLine } from '../../src/cli/flags.js'
import { UsageError } from '../../src/cli/usage-error.js'

const flags: Flag[] = [
  { name: 'data', value: 'PATH', description: '' },
  { name: 'base-width', aliases: ['encoder.base-width'], value: 'N', description: '' },
  { name: 'batch-norm', negatable: true, description: '' },
  { name: 'json', description: '' },
]
const parse = (...args: string[]) => parseCommandLine('train', args, flags)

describe('parseCommandLine', () => {
  it('reads values, switches, aliases and positionals; the last one counts', () => {
    const { flags, positionals } = parse(
      'a',
      '--data',
      'x',
      '--json',
      '--encoder.base-width=3',
      '--data=y',
      'b',
      '--no-batch-norm',
    )
    expect(Object.fromEntries(flags)).toEqual({
      data: 'y',
      json: true,
      'base-width': '3',
      'batch-norm': false,
    })
    expect(positionals).toEqual(['a', 'b'])
  })

  it('takes negative numbers, a lone dash and empty texts as values', () => {
    expect(parse('--base-width=-3').flags.get('base-width')).toBe('-3')
    expect(parse('--data', '-').flags.get('data')).toBe('-')
    expect(parse('--data=').flags.get('data')).toBe('')
  })

  it('passes on what follows --', () => {
    expect(parse('--', '--json').positionals).toEqual(['--json'])
  })

  it.each([
    [['--dat', 'x'], 'unknown option --dat for "amdim train"; did you mean --data?'],
    [['--base_width', '3'], 'unknown option --base_width for "amdim train"; did you mean --base-width?'],
    [['--colour'], 'unknown option --colour for "amdim train"'],
    [['-x'], 'unknown option -x for "amdim train"'],
    [['--no-json'], 'unknown option --no-json for "amdim train"'],
    [['--data'], '--data needs a value: --data PATH'],
    [['--data', '--json'], '--data needs a value: --data PATH'],
    [['--json=yes'], '--json takes no value, got "yes"'],
  ])('refuses %j', (args, message) => {
    const attempt = () => parse(...args)
    expect(attempt).toThrow(UsageError)
    expect(attempt).toThrow(message)
  })
})

describe('expectPositionals', () => {
  it('counts', () => {
    expect(() => expectPositionals('embed', parse('m'), ['MODEL', 'PICTURES...'])).toThrow(
      'PICTURES... is missing',
    )
    expect(() => expectPositionals('embed', parse('m', 'a', 'b'), ['MODEL', 'PICTURES...'])).not.toThrow()
    expect(() => expectPositionals('embed', parse('a'), ['[MODEL]', 'PICTURES...'])).not.toThrow()
    expect(() => expectPositionals('embed', parse(), ['[MODEL]', 'PICTURES...'])).toThrow('PICTURES...')
    expect(() => expectPositionals('inspect', parse('m', 'a'), ['FILE'])).toThrow('unexpected argument "a"')
  })
})
