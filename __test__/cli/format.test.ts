import { describe, expect, it } from 'vitest'
import { bar, bytes, duration, grouped, percent, table } from '../../src/cli/format.js'

describe('format', () => {
  it.each([
    [0, '0s'],
    [59.6, '1m00s'],
    [75, '1m15s'],
    [3600 + 120, '1h02m'],
    [-1, '0s'],
  ])('duration(%d)', (seconds, text) => expect(duration(seconds)).toBe(text))

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [2_500_000, '2.5 MB'],
    [5e15, '5000.0 TB'],
  ])('bytes(%d)', (count, text) => expect(bytes(count)).toBe(text))

  it('numbers', () => {
    expect(grouped(1_234_567)).toBe('1,234,567')
    expect(percent(0.45678)).toBe('45.7 %')
  })

  it('bar', () => {
    expect(bar(0.5, 4)).toBe('[##--]')
    expect(bar(2, 4)).toBe('[####]')
    expect(bar(-1, 4)).toBe('[----]')
  })

  it('table', () => {
    expect(
      table([
        ['head', 'top-1'],
        ['linear', '45.7 %'],
        ['knn', '5.0 %'],
      ]),
    ).toBe(['head     top-1', '------  ------', 'linear  45.7 %', 'knn      5.0 %'].join('\n'))
  })
})
