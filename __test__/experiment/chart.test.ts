import { describe, expect, it } from 'vitest'
import { chart } from '../../src/experiment/chart.js'
import type { Axes, Measure, Position, Row } from '../../src/experiment/experiment.js'
import { mine } from '../../src/experiment/mine.js'
import { negatives } from '../../src/experiment/negatives.js'
import { addResult, type ExperimentRecord, emptyRecord } from '../../src/experiment/record.js'

const MEASURES: readonly Measure[] = [
  { name: 'share', title: 'Share', isShare: true },
  { name: 'nats', title: 'Nats', isShare: false },
]

/** A record of rows, each with its position and its values under one seed after the other. */
function recordOf(
  plane: Axes | undefined,
  rows: readonly (readonly [Position | undefined, readonly Record<string, number>[]])[],
): ExperimentRecord {
  const experiment = { name: 'x', title: 'X', description: '', measures: MEASURES, rows: async () => [] }
  const record = emptyRecord({ ...experiment, ...(plane && { plane }) }, 'tiny')
  const all = rows.map(
    ([position], i): Row => ({
      name: `row-${i}`,
      title: `Row ${i}`,
      ...(position && { position }),
      data: [],
      settings: {},
      run: () => Promise.reject(new Error('not here')),
      dryRun: () => Promise.reject(new Error('not here')),
    }),
  )
  for (const [i, [, results]] of rows.entries())
    for (const [seed, measures] of results.entries())
      addResult(record, all, all[i] as Row, {
        seed,
        measures,
        pairs: 1,
        trainMinutes: 1,
        minutes: 1,
        commit: null,
        version: '0',
      })
  return record
}

const linesOf = (svg: string) =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, corners = '']) => corners.split(' ').length)
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text)

describe('chart', () => {
  const values = (share: number) => [
    { share, nats: 10 * share },
    { share: share + 0.2, nats: 9 },
  ]

  it('draws a panel a measure with a curve a name, through rows that name the curve', () => {
    const plane = { x: 'across', y: 'up' }
    const svg = chart(
      recordOf(plane, [
        [{ x: 0, curve: 'one' }, values(0.1)],
        [{ x: 1, curve: 'one' }, values(0.2)],
        [{ x: 2, curve: 'one' }, values(0.4)],
        [{ x: 0, curve: 'two' }, values(0.5)],
        [{ x: 1, curve: 'two' }, values(0.6)],
        [undefined, values(0.9)],
      ]),
    )
    expect(linesOf(svg)).toEqual([3, 2, 3, 2])
    expect(svg.match(/r="2.5"/g)).toHaveLength(2 * 2 * 5)
    const texts = textsOf(svg)
    expect(texts).toEqual(expect.arrayContaining(['one', 'two', 'Share', 'Nats', 'across', 'up']))
    // Shares go up to 80 percent.
    expect(texts).toContain('80')
    expect(texts).not.toContain('Row 0')
  })

  it('draws a curve a measure, of those that the plane names, in the panels that rows name', () => {
    const rows = [0, 1].flatMap((panel) =>
      [0, 1, 2].map((x) => [{ x, panel: `panel ${panel}` }, values(0.1 * x)] as const),
    )
    const whole = chart(recordOf({ x: 'x', y: 'y' }, rows))
    expect(linesOf(whole)).toEqual([3, 3, 3, 3])
    const svg = chart(recordOf({ x: 'x', y: 'y', measures: ['nats'] }, rows))
    expect(linesOf(svg)).toEqual([3, 3])
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['panel 0', 'panel 1', 'Nats']))
    expect(textsOf(svg)).not.toContain('Share')
  })

  it('leaves out what a row has not measured', () => {
    const svg = chart(
      recordOf({ x: 'x', y: 'y' }, [
        [{ x: 0, curve: 'one' }, [{ share: 0.5 }]],
        [{ x: 1, curve: 'one' }, [{ share: 0.5, nats: 1 }]],
      ]),
    )
    expect(linesOf(svg)).toEqual([2, 1])
  })

  it('draws curves that rows recorded on their way, a panel a row by default', () => {
    const record = recordOf({ x: 'x', y: 'y' }, [
      [undefined, [{}]],
      [undefined, [{}, {}]],
    ])
    for (const { seeds } of record.rows)
      for (const result of seeds)
        Object.assign(result, {
          curves: [
            {
              name: 'way',
              updates: [1, 2],
              points: [
                [0, 0],
                [1, 1],
              ],
            },
          ],
        })
    const svg = chart(record)
    expect(linesOf(svg)).toEqual([2, 2, 2])
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['Row 0', 'Row 1']))
  })

  it('draws dots by row where there is no plane', () => {
    const svg = chart(recordOf(undefined, [[undefined, values(0.5)]]))
    expect(linesOf(svg)).toEqual([])
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['Row 0', 'Share', 'Nats']))
  })
})

describe('rows of figures', () => {
  /** How far across the rows of each panel and curve lie. */
  async function curvesOf({ rows }: typeof mine): Promise<Record<string, number[]>> {
    const curves: Record<string, number[]> = {}
    for (const { position } of await rows('tiny')) {
      const name = position?.curve ?? position?.panel ?? ''
      curves[name] = [...(curves[name] ?? []), position?.x ?? Number.NaN]
    }
    return curves
  }

  it('lie at the logarithm of their negatives, a curve a bound', async () => {
    const logs = [1, 3, 7, 15, 31, 63].map(Math.log2)
    expect(await curvesOf(negatives)).toEqual({ DV: logs, JSD: logs, InfoNCE: logs })
  })

  it('lie at their correlation, a panel a number of dimensions', async () => {
    const curves = await curvesOf(mine)
    expect(Object.keys(curves)).toEqual(['2 dimensions', '20 dimensions'])
    for (const across of Object.values(curves)) {
      expect(across).toEqual([...across].sort((a, b) => a - b))
      expect([across[0], across.at(-1)]).toEqual([-0.99, 0.99])
    }
  })
})
