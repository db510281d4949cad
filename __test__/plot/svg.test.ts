import { describe, expect, it } from 'vitest'
import { dotPlot } from '../../src/plot/dot-plot.js'
import { escapeText, ticks } from '../../src/plot/svg.js'

describe('ticks', () => {
  it.each([
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.58, 0.63, [0.58, 0.6, 0.62, 0.64]],
    [-3, 12, [-5, 0, 5, 10, 15]],
    [5, 5, [5, 6, 7, 8, 9, 10]],
    [0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  ])('covers %f to %f in round steps', (low, high, expected) => {
    expect(ticks(low, high)).toEqual(expected)
  })
})

describe('dotPlot', () => {
  it('has a dot a value and a bar a row, at places in the order of the values', () => {
    const svg = dotPlot(
      'A <b> & c',
      ['one', 'two'],
      [
        {
          title: 'share',
          format: String,
          series: [
            { row: 'one', values: [0.1, 0.3] },
            { row: 'two', values: [0.5] },
          ],
        },
      ],
    )
    expect(svg).toContain(escapeText('A <b> & c'))
    const places = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x))
    expect(places).toHaveLength(3)
    expect(places).toEqual([...places].sort((a, b) => a - b))
    expect(svg.match(/stroke-width="2"/g)).toHaveLength(2)
  })

  it('is empty but whole without values', () => {
    expect(dotPlot('none', [], [])).toMatch(/^<svg.*<\/svg>\n$/s)
  })
})
