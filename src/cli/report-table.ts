import type { EvaluationReport, HeadReport } from '../index.js'
import { percent, table } from './format.js'

const FEATURE_NAMES: Record<string, string> = {
  rawPixels: 'raw pixels',
  untrained: 'untrained encoder',
  model: 'trained encoder',
}

/** A table of accuracies: one row for each kind of features and each head. */
export function accuracyTable(reports: Record<string, EvaluationReport>): string {
  const rows = Object.entries(reports).flatMap(([name, report]) =>
    headsOf(report).map(([head, { top1, top1Interval, top5, balancedAccuracy }]) => [
      FEATURE_NAMES[name] ?? name,
      head,
      percent(top1),
      `${percent(top1Interval[0])} - ${percent(top1Interval[1])}`,
      percent(top5),
      percent(balancedAccuracy),
    ]),
  )
  return table([['features', 'head', 'top-1', '95 % interval', 'top-5', 'balanced'], ...rows])
}

/** A table of the accuracy of each class by each head. */
export function classTable(report: EvaluationReport): string {
  const heads = headsOf(report)
  const classes = heads[0]?.[1].perClass ?? []
  const rows = classes.map(({ name, count }, i) => [
    name,
    String(count),
    ...heads.map(([, { perClass }]) => percent(perClass[i]?.accuracy ?? Number.NaN)),
  ])
  return table([['class', 'pictures', ...heads.map(([head]) => head)], ...rows])
}

function headsOf({ heads }: EvaluationReport): [string, HeadReport][] {
  return Object.entries(heads).filter((entry): entry is [string, HeadReport] => entry[1] !== undefined)
}
