import { describe, expect, it } from 'vitest'
import { dotPlot } from '../../src/plot/dot-plot.js'
import { pathPlot } from '../../src/plot/path-plot.js'
import { escapeText, ticks } from '../../src/plot/svg.js'

describe('ticks', () => {
  it.each([
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.58, 0.63, [0.58, 0.6, 0.62, 0.64]],
    [-3, 12, [-5, 0, 5, 10, 15]],
    [5, 5, [5, 6, 7, 8, 9, 10]],
    [0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    // What the eye cannot tell from an end gets no step of its own.
    [-0.001, 0.95, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.05, 1.001, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [-0.01, 1, [-0.5, 0, 0.5, 1]],
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

/** Where the lines of a picture go through. */
function cornersOf(svg: string): [x: number, y: number][][] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, corners = '']) =>
    corners.split(' ').map((corner) => corner.split(',').map(Number) as [number, number]),
  )
}

/** Where dots of a radius are. */
function placesOf(svg: string, radius: string): [x: number, y: number][] {
  return [...svg.matchAll(/<circle cx="([^"]*)" cy="([^"]*)" (r="[^"]*")/g)].flatMap(([, x, y, r]) =>
    r === radius ? [[Number(x), Number(y)] as [number, number]] : [],
  )
}

describe('pathPlot', () => {
  it('draws a path a curve, in one colour a name, each with a large dot at its end', () => {
    const points: [number, number][] = [
      [1, 0.5],
      [3, 2],
      [2, 1],
    ]
    const panel = (title: string) => ({
      title,
      paths: [
        { name: 'a<b', points },
        { name: 'other', points },
      ],
    })
    const svg = pathPlot('Plane', { x: 'x', y: 'y' }, [panel('one'), panel('two')])
    expect(svg.match(/<polyline/g)).toHaveLength(4)
    expect(svg.match(/r="4.5"/g)).toHaveLength(4 + 2)
    expect(svg).toContain('a&lt;b')
    const [first] = cornersOf(svg)
    const [from, top, end] = first as [[number, number], [number, number], [number, number]]
    expect(from[0]).toBeLessThan(end[0])
    expect(end[0]).toBeLessThan(top[0])
    // Up is less in pictures.
    expect(from[1]).toBeGreaterThan(end[1])
    expect(end[1]).toBeGreaterThan(top[1])
  })

  it('draws a path of means with a dot a value in place of its own', () => {
    const path = {
      name: 'a',
      points: [
        [0, 2],
        [1, 5],
      ] as const,
      values: [
        [0, 1],
        [0, 3],
        [1, 4],
        [1, 5],
        [1, 6],
      ] as const,
    }
    const svg = pathPlot('Means', { x: 'x', y: 'y' }, [{ title: 'one', paths: [path] }])
    const [dots, corners] = [placesOf(svg, 'r="2.5"'), cornersOf(svg)]
    expect(corners).toHaveLength(1)
    expect(dots).toHaveLength(5)
    // The key's.
    expect(svg.match(/r="4.5"/g)).toHaveLength(1)
    const [[low, first], [high, last]] = corners[0] as [[number, number], [number, number]]
    expect(dots.map(([x]) => x)).toEqual([low, low, high, high, high])
    expect(((dots[0]?.[1] ?? 0) + (dots[1]?.[1] ?? 0)) / 2).toBeCloseTo(first, 0)
    expect(dots[3]?.[1]).toBe(last)
  })

  it('takes dots into its scales', () => {
    const path = { name: 'a', points: [[0, 0]] as const, values: [[0, 900]] as const }
    const svg = pathPlot('Means', { x: 'x', y: 'y' }, [{ title: 'one', paths: [path] }])
    expect(svg).toContain('>1000</text>')
  })

  it('has one scale up for all panels, or one for each', () => {
    const panel = (factor: number) => ({
      title: `times ${factor}`,
      paths: [
        {
          name: 'a',
          points: [
            [0, 0],
            [1, factor],
          ] as const,
        },
      ],
    })
    const ends = (isOwnUp: boolean) =>
      cornersOf(pathPlot('Sizes', { x: 'x', y: 'y', isOwnUp }, [panel(1), panel(10)])).map(
        (corners) => corners[1]?.[1] ?? Number.NaN,
      )
    const [small, large] = ends(false) as [number, number]
    expect(small).toBeGreaterThan(large + 100)
    expect(ends(true)).toEqual([large, large])
  })

  it('is whole without paths', () => {
    expect(pathPlot('Nothing', { x: 'x', y: 'y' }, [])).toContain('</svg>')
  })
})
