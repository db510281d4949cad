// Draws accuracy over minutes of training from files of tools/learning-curve.mjs, with other people's points beside:
//   node tools/plot-curves.mjs --out curves.svg --title TITLE NAME=curve.json[,curve.json...] ... NAME=5:50.6:46.2,10:57.3:53.6
// Each NAME is a colour: files (the median over them is the line, each a dot) or points minutes:linear:kNN in percent.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { out: { type: 'string' }, title: { type: 'string', default: '' } },
  allowPositionals: true,
})
if (values.out === undefined || positionals.length === 0) {
  console.error(
    'usage: node tools/plot-curves.mjs --out FILE.svg [--title TITLE] NAME=FILE,... NAME=M:L:K,...',
  )
  process.exit(2)
}
const COLOURS = ['#0b6e99', '#c8553d', '#5b8c3a', '#7b5ea7']
const HEADS = ['linear', 'knn']
const LABELS = { linear: 'linear probe', knn: 'kNN (k 20)' }
const WIDTH = 360
const HEIGHT = 260
const MARGIN = { left: 46, top: 44, right: 14, bottom: 40 }

const isPoints = (text) => /^[\d.]+:/.test(text)
const readPoint = (text) => {
  const [minutes, linear, knn] = text.split(':').map(Number)
  return { minutes, linear, knn }
}
const readFile = (path) =>
  JSON.parse(readFileSync(path, 'utf8')).curve.map(({ seconds, linear, knn }) => ({
    minutes: seconds / 60,
    linear: linear * 100,
    knn: knn * 100,
  }))
const median = (numbers) => numbers.toSorted((x, y) => x - y)[Math.floor(numbers.length / 2)]

/** Name, colour, all dots, and the line through the medians of dots at (nearly) the same minute. */
const curves = positionals.map((positional, index) => {
  const [name, text] = positional.split('=')
  const parts = text.split(',')
  const dots = isPoints(parts[0]) ? parts.map(readPoint) : parts.flatMap(readFile)
  const groups = new Map()
  for (const dot of dots) {
    const key = Math.round(dot.minutes * 4)
    groups.set(key, [...(groups.get(key) ?? []), dot])
  }
  const line = [...groups.values()]
    .map((group) => ({
      minutes: median(group.map((dot) => dot.minutes)),
      linear: median(group.map((dot) => dot.linear)),
      knn: median(group.map((dot) => dot.knn)),
    }))
    .toSorted((x, y) => x.minutes - y.minutes)
  return { name, colour: COLOURS[index % COLOURS.length], dots, line }
})

const all = curves.flatMap(({ dots }) => dots)
const lastMinute = Math.ceil(Math.max(...all.map(({ minutes }) => minutes)) / 5) * 5
const lowest = Math.floor(Math.min(...all.flatMap(({ linear, knn }) => [linear, knn])) / 10) * 10
const highest = Math.ceil(Math.max(...all.flatMap(({ linear, knn }) => [linear, knn])) / 10) * 10

const panel = (head, index) => {
  const left = MARGIN.left + index * (WIDTH + MARGIN.left + MARGIN.right)
  const x = (minutes) => (left + (minutes / lastMinute) * WIDTH).toFixed(1)
  const y = (percent) => (MARGIN.top + (1 - (percent - lowest) / (highest - lowest)) * HEIGHT).toFixed(1)
  const parts = []
  for (let percent = lowest; percent <= highest; percent += 10)
    parts.push(
      `<line x1="${x(0)}" x2="${x(lastMinute)}" y1="${y(percent)}" y2="${y(percent)}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${y(percent)}" dy="4" text-anchor="end">${percent} %</text>`,
    )
  for (let minute = 0; minute <= lastMinute; minute += 5)
    parts.push(`<text x="${x(minute)}" y="${MARGIN.top + HEIGHT + 18}" text-anchor="middle">${minute}</text>`)
  parts.push(
    `<text x="${left + WIDTH / 2}" y="${MARGIN.top + HEIGHT + 34}" text-anchor="middle">minutes of training</text>`,
    `<text x="${left}" y="${MARGIN.top - 10}" font-weight="bold">${LABELS[head]}</text>`,
  )
  for (const { colour, dots, line } of curves) {
    const path = line.map((dot) => `${x(dot.minutes)},${y(dot[head])}`).join(' ')
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    for (const dot of dots)
      parts.push(`<circle cx="${x(dot.minutes)}" cy="${y(dot[head])}" r="3" fill="${colour}"/>`)
  }
  curves.forEach(({ name, colour }, row) => {
    const at = MARGIN.top + HEIGHT - 12 - 18 * (curves.length - 1 - row)
    parts.push(
      `<rect x="${left + WIDTH - 190}" y="${at - 9}" width="12" height="4" fill="${colour}"/>`,
      `<text x="${left + WIDTH - 172}" y="${at - 3}">${name}</text>`,
    )
  })
  return parts.join('\n')
}

const width = 2 * (MARGIN.left + WIDTH + MARGIN.right)
const height = MARGIN.top + HEIGHT + MARGIN.bottom
writeFileSync(
  values.out,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="${width}" height="${height}" fill="white"/>
<text x="${MARGIN.left}" y="18" font-size="14">${values.title}</text>
${HEADS.map(panel).join('\n')}
</svg>
`,
)
