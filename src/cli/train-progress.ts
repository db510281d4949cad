import type { StartEvent, StepEvent, TrainEvent } from '../index.js'
import { bar, duration, grouped, percent } from './format.js'
import type { Terminal } from './terminal.js'

/** Shows a run's events to a person: a bar on a terminal, lines in a pipe. */
export class TrainProgress {
  readonly #terminal: Terminal
  #chance: Record<string, number> = {}

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Shows one event. */
  show(event: TrainEvent): void {
    const terminal = this.#terminal
    if (event.type === 'start') {
      this.#chance = event.chanceLevel
      for (const line of startLines(event)) terminal.note(line)
    } else if (event.type === 'step') {
      const line = stepLine(event, this.#chance)
      terminal.progress(line, `${bar(event.progress, 20)} ${line}`)
    } else {
      const line = otherLine(event)
      if (line !== undefined) terminal.note(line)
    }
  }
}

/** What is trained, where, and for how long. */
export function startLines(event: StartEvent): string[] {
  const classes = event.classes > 0 ? `, ${event.classes} classes` : ', no labels'
  const test = event.testSize === null ? '' : `, ${grouped(event.testSize)} to test`
  const length = event.totalUpdates === null ? '' : `, ${grouped(event.totalUpdates)} in all`
  const resumed = event.resumedFrom > 0 ? [`resumed after ${grouped(event.resumedFrom)} updates`] : []
  return [
    `${grouped(event.trainSize)} pictures${test}${classes}; encoder of ${grouped(event.parameters)} parameters`,
    `device ${event.device}, executor ${event.executor}, ${event.precision} with ${event.kernel}, ${event.threads} threads; ` +
      `${grouped(event.updatesPerEpoch)} updates an epoch${length}`,
    ...resumed,
    ...(event.runFolder === null ? [] : [`run folder ${event.runFolder}`]),
  ]
}

/** One line about the last steps: each term's loss stands beside its value at chance. */
export function stepLine(event: StepEvent, chance: Record<string, number>): string {
  const terms = Object.entries(event.terms).map(([name, loss]) => {
    const level = chance[name]
    return `${name} ${loss.toFixed(2)}${level === undefined ? '' : `/${level.toFixed(2)}`}`
  })
  const labels = event.classifier ? [`online ${percent(event.classifier.linearTop1)}`] : []
  const eta = event.etaSeconds === null ? [] : [`ETA ${duration(event.etaSeconds)}`]
  return [
    percent(event.progress),
    `epoch ${event.epoch}`,
    `update ${grouped(event.update)}`,
    `${event.pairsPerSecond.toFixed(1)} pairs/s`,
    ...eta,
    `loss ${event.loss.toFixed(3)}`,
    ...terms,
    ...labels,
  ].join('  ')
}

function otherLine(event: TrainEvent): string | undefined {
  switch (event.type) {
    case 'evaluation':
      return `epoch ${event.epoch}: online test accuracy linear ${percent(event.linearTop1)}, MLP ${percent(event.mlpTop1)}`
    case 'checkpoint':
      return `checkpoint after ${grouped(event.update)} updates: ${event.path}`
    case 'warning':
      return `warning: ${event.message}`
    case 'skipped':
      return `skipped ${event.name}: ${event.message}`
    default:
      return undefined
  }
}
