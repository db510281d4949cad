import { dotPlot } from '../plot/dot-plot.js'
import { pathPlot } from '../plot/path-plot.js'
import type { Curve } from './experiment.js'
import type { ExperimentRecord } from './record.js'

/** The record as an SVG picture: a panel a measure, a dot a seed; of an experiment with a plane the curves of each row. */
export function chart({ title, rows, measures, plane }: ExperimentRecord): string {
  if (plane !== undefined) {
    const panels = new Map<string, Curve[]>()
    for (const row of rows)
      for (const curve of row.seeds.flatMap(({ curves = [] }) => curves)) {
        const panel = curve.panel ?? row.title
        panels.set(panel, [...(panels.get(panel) ?? []), curve])
      }
    return pathPlot(
      title,
      plane,
      [...panels].map(([title, paths]) => ({ title, paths })),
    )
  }
  const panels = measures.map(({ name, title, isShare }) => ({
    title,
    format: (value: number) => (isShare ? `${Number((value * 100).toFixed(1))} %` : String(value)),
    series: rows.map((row) => ({
      row: row.title,
      values: row.seeds.flatMap(({ measures }) => measures[name] ?? []),
    })),
  }))
  return dotPlot(
    title,
    rows.map((row) => row.title),
    panels.filter(({ series }) => series.some(({ values }) => values.length > 0)),
  )
}
