import { colourOf, round, svgPicture, svgText, ticks } from './svg.js'

/** Values of one row under one measure. */
export interface DotSeries {
  /** Row that the dots belong to. */
  row: string
  /** One value a repetition; the mean gets a bar. */
  values: readonly number[]
}

/** A panel: one measure over all rows. */
export interface DotPanel {
  /** Head of the panel. */
  title: string
  /** Text of a value on the axis. */
  format: (value: number) => string
  series: readonly DotSeries[]
}

const ROW_HEIGHT = 26
const PANEL_WIDTH = 260
const GAP = 34
const LABELS = 210
const TOP = 64
const BOTTOM = 34

/** Rows against values: a dot for every repetition, a bar at the mean; one panel a measure. */
export function dotPlot(title: string, rows: readonly string[], panels: readonly DotPanel[]): string {
  const width = LABELS + panels.length * (PANEL_WIDTH + GAP)
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM
  const centre = (row: string) => TOP + (rows.indexOf(row) + 0.5) * ROW_HEIGHT
  return svgPicture(width, height, title, [
    svgText(16, 26, title, { size: 15, bold: true }),
    ...rows.map((row) => svgText(LABELS - 14, centre(row) + 4, row, { anchor: 'end' })),
    ...panels.flatMap((panel, index) => drawPanel(panel, index, rows.length, centre)),
  ])
}

function drawPanel(
  { title, format, series }: DotPanel,
  index: number,
  rowCount: number,
  centre: (row: string) => number,
): string[] {
  const values = series.flatMap((row) => row.values)
  if (values.length === 0) return []
  const marks = ticks(Math.min(...values), Math.max(...values), 4)
  const [low, high] = [marks[0] as number, marks.at(-1) as number]
  const left = LABELS + index * (PANEL_WIDTH + GAP)
  const x = (value: number) => left + ((value - low) / (high - low || 1)) * PANEL_WIDTH
  const bottom = TOP + rowCount * ROW_HEIGHT
  const colour = colourOf(index)
  return [
    svgText(left, TOP - 14, title, { bold: true }),
    ...marks.flatMap((mark) => [
      `<line x1="${round(x(mark))}" x2="${round(x(mark))}" y1="${TOP}" y2="${bottom}" stroke="#ddd"/>`,
      svgText(x(mark), bottom + 16, format(mark), { anchor: 'middle', size: 11 }),
    ]),
    ...series
      .filter((row) => row.values.length > 0)
      .flatMap((row) => {
        const y = centre(row.row)
        const mean = row.values.reduce((sum, value) => sum + value, 0) / row.values.length
        return [
          `<line x1="${round(x(mean))}" x2="${round(x(mean))}" y1="${round(y - 8)}" y2="${round(y + 8)}" stroke="${colour}" stroke-width="2"/>`,
          ...row.values.map(
            (value) =>
              `<circle cx="${round(x(value))}" cy="${round(y)}" r="3.5" fill="${colour}" fill-opacity="0.55"/>`,
          ),
        ]
      }),
  ]
}
