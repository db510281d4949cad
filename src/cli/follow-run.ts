import type { TrainingRun, TrainOutcome } from '../index.js'
import { isOn, textOf } from './arguments.js'
import { EXIT } from './command.js'
import type { CommandLine } from './flags.js'
import { duration, grouped, percent } from './format.js'
import { Interrupt } from './interrupt.js'
import type { Terminal } from './terminal.js'
import { TrainProgress } from './train-progress.js'

/**
 * Follows a run to its end: events as JSON lines (`--json`) or for a person, then what it came to.
 *
 * @returns the exit code: interrupted for a run that was stopped, which can be gone on with
 */
export async function followRun(
  start: (signal: AbortSignal) => TrainingRun,
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  using interrupt = new Interrupt(terminal, 'stopping after this step, with a checkpoint')
  const run = start(interrupt.signal)
  const isJson = isOn(line, 'json')
  const progress = new TrainProgress(terminal)
  for await (const event of run) {
    if (isJson) terminal.out(JSON.stringify(event))
    else progress.show(event)
  }
  const outcome = await run
  if (isJson) terminal.out(JSON.stringify({ type: 'result', ...withoutModel(outcome) }))
  else for (const text of resultLines(outcome)) terminal.out(text)
  outcome.model.dispose()
  if (!outcome.cancelled) return EXIT.ok
  const { runFolder } = outcome.paths
  terminal.note(`to go on: amdim train --data ${textOf(line, 'data')} --resume ${runFolder}`)
  return EXIT.interrupted
}

function withoutModel({ model: _model, ...rest }: TrainOutcome) {
  return rest
}

function resultLines({
  cancelled,
  update,
  epoch,
  pairs,
  seconds,
  pairsPerSecond,
  metrics,
  paths,
  skipped,
}: TrainOutcome) {
  const { step, evaluation } = metrics
  return [
    `${cancelled ? 'stopped early' : 'finished'} after ${grouped(update)} updates (epoch ${epoch}), ${grouped(pairs)} pairs, ` +
      `${duration(seconds)}, ${pairsPerSecond.toFixed(1)} pairs/s`,
    ...(step ? [`loss        ${step.loss.toFixed(4)}`] : []),
    ...(evaluation
      ? [`online test accuracy: linear ${percent(evaluation.linearTop1)}, MLP ${percent(evaluation.mlpTop1)}`]
      : []),
    ...(skipped.length ? [`skipped     ${skipped.length} pictures`] : []),
    ...(paths.model ? [`model       ${paths.model}`] : []),
    ...(paths.checkpoint ? [`checkpoint  ${paths.checkpoint}`] : []),
    `metrics     ${paths.metrics}`,
  ]
}
