import type { Measure } from './experiment.js'
import type { ExperimentRecord, Summary } from './record.js'

/** The record as a Markdown page: what, how, and a table of means and standard deviations. */
export function markdownPage(record: ExperimentRecord): string {
  const { title, description, scale, command, machine, measures, rows } = record
  const seeds = new Set(rows.flatMap((row) => row.seeds.map(({ seed }) => seed)))
  const commits = new Set(rows.flatMap((row) => row.seeds.map(({ commit, version }) => commit ?? version)))
  const header = ['row', ...measures.map((measure) => measure.title), 'seeds', 'pairs', 'minutes']
  const lines = rows.map((row) => {
    const mean = (of: (result: (typeof row.seeds)[number]) => number) =>
      row.seeds.reduce((sum, result) => sum + of(result), 0) / row.seeds.length
    return [
      row.title,
      ...measures.map((measure) => cell(measure, row.summary[measure.name])),
      String(row.seeds.length),
      Math.round(mean(({ pairs }) => pairs)).toLocaleString('en-US'),
      mean(({ minutes }) => minutes).toFixed(1),
    ]
  })
  return [
    `# ${title}`,
    '',
    description,
    '',
    tableLine(header),
    tableLine(header.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...lines.map(tableLine),
    '',
    `Mean ± standard deviation over seeds (${[...seeds].sort((a, b) => a - b).join(', ')}); pairs of views seen and minutes of ` +
      'training and evaluation are means.',
    '',
    `- scale: ${scale}`,
    `- command: \`${command}\``,
    `- commit: ${[...commits].join(', ')}`,
    `- machine: ${Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    '',
  ].join('\n')
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`
}

/** `61.3 ± 0.4 %`. */
export function cell(measure: Measure, summary: Summary | undefined): string {
  const text = meanAndSpread(measure, summary)
  return measure.isShare && text !== '' ? `${text} %` : text
}

/** `61.3 ± 0.4`, shares in percent; nothing where there is no summary. */
export function meanAndSpread(measure: Measure, summary: Summary | undefined): string {
  if (summary === undefined) return ''
  const { mean, std } = summary
  const [scale, usual] = measure.isShare ? [100, 1] : [1, 3]
  const { digits = usual } = measure
  const spread = std === null ? '' : ` ± ${(std * scale).toFixed(digits)}`
  return `${(mean * scale).toFixed(digits)}${spread}`
}
