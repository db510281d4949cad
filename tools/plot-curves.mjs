// Draws accuracy over minutes of training from files of tools/learning-curve.mjs, with other people's points beside:
//   node tools/plot-curves.mjs --out curves.svg --title TITLE NAME=curve.json[,curve.json...] ... NAME=5:50.6:46.2,10:57.3:53.6
// Each NAME is a colour: files, a path each, or the points of one path as minutes:linear:kNN in percent. Needs a built
// package (npm run build:ts).
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { pathPlot } from '../dist/plot/path-plot.js'

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

/** What is drawn under a name: the points of each run. */
const runs = positionals.flatMap((positional) => {
  const [name, text] = positional.split('=')
  const parts = text.split(',')
  const isPoints = /^[\d.]+:/.test(parts[0])
  return (isPoints ? [parts.map(readPoint)] : parts.map(readFile)).map((points) => ({ name, points }))
})
const panel = (head, title) => ({
  title,
  paths: runs.map(({ name, points }) => ({
    name,
    points: points.map((point) => [point.minutes, point[head]]),
  })),
})
const panels = [panel('linear', 'linear probe'), panel('knn', 'kNN (k 20)')]
writeFileSync(values.out, pathPlot(values.title, { x: 'minutes of training', y: 'accuracy, %' }, panels))
