import { dotPlot } from '../plot/dot-plot.js'
import type { ExperimentRecord } from './record.js'

/** The record as an SVG picture: a panel a measure, a dot a seed. */
export function chart({ title, rows, measures }: ExperimentRecord): string {
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
