import { dotPlot } from '../plot/dot-plot.js'
import { pathPlot } from '../plot/path-plot.js'
import type { ExperimentRecord } from './record.js'

/** The record as an SVG picture: a panel a measure, a dot a seed; of an experiment with a plane the curves of each row. */
export function chart({ title, rows, measures, plane }: ExperimentRecord): string {
  if (plane !== undefined)
    return pathPlot(
      title,
      plane,
      rows.map((row) => ({ title: row.title, paths: row.seeds.flatMap(({ curves = [] }) => curves) })),
    )
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
