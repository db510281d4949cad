import { describe, expect, it } from 'vitest'
import { describeValue, invalidArgument } from '../src/errors.js'
import { AmdimError, ERROR_CODES } from '../src/index.js'

describe('AmdimError', () => {
  it('is an Error with a code, details and the cause', () => {
    const cause = new Error('underneath')
    const error = new AmdimError('AMDIM_IO', 'no file', { path: 'a' }, { cause })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'AmdimError', code: 'AMDIM_IO', details: { path: 'a' }, cause })
  })

  it('has codes with one prefix, each once', () => {
    expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
    for (const code of ERROR_CODES) expect(code).toMatch(/^AMDIM_[A-Z_]+$/)
  })
})

describe('invalidArgument', () => {
  it('says for which name what was expected, what came, and what to do', () => {
    const error = invalidArgument('k', 'a whole number >= 1', 0.5, 'try 20')
    expect(error.message).toBe('k: expected a whole number >= 1, got 0.5; try 20')
    expect(error.details).toEqual({ name: 'k', expected: 'a whole number >= 1', actual: '0.5' })
  })
})

describe('describeValue', () => {
  it.each([
    [Number.NaN, 'NaN'],
    ['text', '"text"'],
    [undefined, 'undefined'],
    [null, 'null'],
    [[1, 'a'], '[1, "a"]'],
    [new Array(100).fill(0), 'array of 100'],
    [{ a: 1, b: 2 }, 'object with keys a, b'],
    [{}, 'object with keys (none)'],
    [new Uint8Array(5), 'Uint8Array of 5 bytes'],
    [new Map(), 'Map'],
    ['x'.repeat(200), JSON.stringify(`${'x'.repeat(77)}...`)],
  ])('%o', (value, text) => {
    expect(describeValue(value)).toBe(text)
  })
})
