import { colourOf, round, svgPicture, svgText, ticks } from './svg.js'

/** A place in a plane. */
export type Point = readonly [x: number, y: number]

/** A path through a plane. */
export interface Path {
  /** What it is of; paths of one name have one colour. */
  readonly name: string
  /** Points in the order in which it goes through them. */
  readonly points: readonly Point[]
  /** What its points are means of: these have the dots then, and its end is no goal and has none. */
  readonly values?: readonly Point[]
}

/** What the axes of all panels are. */
export interface PlotAxes {
  /** What lies across. */
  readonly x: string
  /** What lies up. */
  readonly y: string
  /** Whether the scale up is of each panel's own values, in place of everyone's. */
  readonly isOwnUp?: boolean
}

/** A panel: paths that are looked at together. */
export interface PathPanel {
  /** Head of the panel. */
  readonly title: string
  readonly paths: readonly Path[]
}

const SIDE = 260
const GAP = 70
const LEFT = 70
const TOP = 64
const BOTTOM = 52
const PANELS_A_ROW = 3
const KEY_WIDTH = 130

/** Paths through one plane, a panel beside the other: each ends in a large dot, or is the mean of small ones. */
export function pathPlot(title: string, axes: PlotAxes, panels: readonly PathPanel[]): string {
  const names = [...new Set(panels.flatMap(({ paths }) => paths.map(({ name }) => name)))]
  const columns = Math.min(PANELS_A_ROW, Math.max(1, panels.length))
  const rows = Math.ceil(panels.length / columns)
  const width = LEFT + columns * (SIDE + GAP) + KEY_WIDTH
  const height = rows * (TOP + SIDE + BOTTOM)
  const across = scaleOf(pointsOf(panels).map(([x]) => x))
  const up = (own: readonly PathPanel[]) => scaleOf(pointsOf(own).map(([, y]) => y))
  return svgPicture(width, height, title, [
    svgText(16, 26, title, { size: 15, bold: true }),
    ...names.flatMap((name, i) => [
      `<circle cx="${width - KEY_WIDTH}" cy="${TOP + 20 * i}" r="4.5" fill="${colourOf(i)}"/>`,
      svgText(width - KEY_WIDTH + 12, TOP + 4 + 20 * i, name),
    ]),
    ...panels.flatMap((panel, i) => {
      const left = LEFT + (i % columns) * (SIDE + GAP)
      const top = TOP + Math.floor(i / columns) * (TOP + SIDE + BOTTOM)
      const scales = [across, up(axes.isOwnUp ? [panel] : panels)] as const
      return drawPanel(panel, { left, top }, axes, scales, names)
    }),
  ])
}

interface Scale {
  readonly marks: readonly number[]
  /** Where a value lies between the first and the last mark, 0..1. */
  share(value: number): number
}

/** All that is drawn in panels. */
function pointsOf(panels: readonly PathPanel[]): Point[] {
  return panels.flatMap(({ paths }) => paths.flatMap(({ points, values = [] }) => [...points, ...values]))
}

/** An axis on which all values are. */
function scaleOf(values: readonly number[]): Scale {
  const marks = values.length === 0 ? [0, 1] : ticks(Math.min(...values), Math.max(...values), 4)
  const [low, high] = [marks[0] as number, marks.at(-1) as number]
  return { marks, share: (value) => (value - low) / (high - low || 1) }
}

function drawPanel(
  { title, paths }: PathPanel,
  { left, top }: { left: number; top: number },
  axes: PlotAxes,
  [across, up]: readonly [Scale, Scale],
  names: readonly string[],
): string[] {
  const x = (value: number) => left + across.share(value) * SIDE
  const y = (value: number) => top + (1 - up.share(value)) * SIDE
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    `<line x1="${round(x1)}" x2="${round(x2)}" y1="${round(y1)}" y2="${round(y2)}" stroke="#ddd"/>`
  return [
    svgText(left, top - 12, title, { bold: true }),
    ...across.marks.flatMap((mark) => [
      line(x(mark), top, x(mark), top + SIDE),
      svgText(x(mark), top + SIDE + 16, String(mark), { anchor: 'middle', size: 11 }),
    ]),
    ...up.marks.flatMap((mark) => [
      line(left, y(mark), left + SIDE, y(mark)),
      svgText(left - 6, y(mark) + 4, String(mark), { anchor: 'end', size: 11 }),
    ]),
    svgText(left + SIDE / 2, top + SIDE + 34, axes.x, { anchor: 'middle' }),
    svgText(left, top - 28, axes.y, { size: 11 }),
    ...paths.flatMap(({ name, points, values }) => {
      const colour = colourOf(names.indexOf(name))
      const last = points.at(-1)
      if (last === undefined) return []
      const stroke = values === undefined ? 'stroke-opacity="0.6"' : 'stroke-width="2"'
      const corners = points.map((point) => `${round(x(point[0]))},${round(y(point[1]))}`)
      const dot = (point: Point, radius: number, opacity = '') =>
        `<circle cx="${round(x(point[0]))}" cy="${round(y(point[1]))}" r="${radius}" fill="${colour}"${opacity}/>`
      return [
        `<polyline points="${corners.join(' ')}" fill="none" stroke="${colour}" ${stroke}/>`,
        ...(values?.map((value) => dot(value, 2.5, ' fill-opacity="0.55"')) ?? [
          ...points.map((point) => dot(point, 2)),
          dot(last, 4.5),
        ]),
      ]
    }),
  ]
}
