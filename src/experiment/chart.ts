import { dotPlot } from '../plot/dot-plot.js'
import { type PathPanel, type Point, pathPlot } from '../plot/path-plot.js'
import type { Axes } from './experiment.js'
import type { ExperimentRecord } from './record.js'

/** The record as an SVG picture: a panel a measure, a dot a seed; of an experiment with a plane the curves in it. */
export function chart(record: ExperimentRecord): string {
  const { title, rows, measures, plane } = record
  if (plane !== undefined) return pathPlot(title, plane, planePanels(record, plane))
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

/** The panels of a plane: curves that rows gave on their way, and those through the means of rows that have a position. */
function planePanels(record: ExperimentRecord, plane: Axes): PathPanel[] {
  const given = record.rows.flatMap(({ title, seeds }) =>
    seeds.flatMap(({ curves = [] }) => curves.map((curve) => ({ panel: title, ...curve }))),
  )
  const paths = [...given, ...curvesOfMeasures(record, plane)]
  const panels = new Set(paths.map(({ panel }) => panel))
  return [...panels].map((title) => ({ title, paths: paths.filter(({ panel }) => panel === title) }))
}

/** A curve through rows. */
interface MeasureCurve {
  name: string
  panel: string
  /** Means over seeds. */
  points: Point[]
  /** A value a seed. */
  values: Point[]
}

function curvesOfMeasures({ rows, measures }: ExperimentRecord, { measures: names }: Axes): MeasureCurve[] {
  const drawn = names?.flatMap((name) => measures.find((measure) => measure.name === name) ?? []) ?? measures
  const curves: MeasureCurve[] = []
  for (const { position, seeds, summary } of rows) {
    if (position === undefined) continue
    for (const measure of drawn) {
      const { x, curve: name = measure.title, panel = measure.title } = position
      const mean = summary[measure.name]?.mean
      if (mean === undefined) continue
      const point = (value: number): Point => [x, measure.isShare ? value * 100 : value]
      const known = curves.find((curve) => curve.name === name && curve.panel === panel)
      const curve = known ?? { name, panel, points: [], values: [] }
      if (known === undefined) curves.push(curve)
      curve.points.push(point(mean))
      curve.values.push(...seeds.flatMap(({ measures }) => measures[measure.name] ?? []).map(point))
    }
  }
  return curves
}
