import { describe, expect, it } from 'vitest'
import { cell } from '../../src/experiment/markdown-table.js'
import { settingsHash, summarise } from '../../src/experiment/record.js'

describe('summarise', () => {
  it('gives mean, standard deviation and range', () => {
    expect(summarise([1, 2, 6])).toEqual({ mean: 3, std: Math.sqrt(7), min: 1, max: 6 })
    expect(summarise([4])).toEqual({ mean: 4, std: null, min: 4, max: 4 })
  })
})

describe('settingsHash', () => {
  it('depends on values, not on the order of keys', () => {
    expect(settingsHash({ a: 1, b: { c: [2, 3], d: null } })).toBe(
      settingsHash({ b: { d: null, c: [2, 3] }, a: 1 }),
    )
    expect(settingsHash({ a: [1, 2] })).not.toBe(settingsHash({ a: [2, 1] }))
    expect(settingsHash({ a: null })).not.toBe(settingsHash({}))
  })
})

describe('cell', () => {
  it('writes shares as percent, and leaves out what is not known', () => {
    const share = { name: 'a', title: 'a', isShare: true }
    expect(cell(share, { mean: 0.6131, std: 0.0042, min: 0, max: 1 })).toBe('61.3 ± 0.4 %')
    expect(cell(share, { mean: 0.5, std: null, min: 0, max: 1 })).toBe('50.0 %')
    expect(cell({ ...share, isShare: false }, { mean: 1.23456, std: 0.1, min: 0, max: 2 })).toBe(
      '1.235 ± 0.100',
    )
    expect(cell(share, undefined)).toBe('')
  })
})
