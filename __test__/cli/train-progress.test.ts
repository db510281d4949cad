import { describe, expect, it } from 'vitest'
import { Terminal } from '../../src/cli/terminal.js'
import { TrainProgress } from '../../src/cli/train-progress.js'
import type { StartEvent, StepEvent } from '../../src/index.js'
import { MemoryStream } from '../support/memory-stream.js'

const start: StartEvent = {
  type: 'start',
  runFolder: 'runs/a',
  device: 'cpu',
  executor: 'cpu',
  precision: 'f32',
  kernel: 'avx2',
  threads: 2,
  trainSize: 5000,
  testSize: 1000,
  classes: 10,
  parameters: 1_258_816,
  updatesPerEpoch: 78,
  totalUpdates: null,
  chanceLevel: { '1->5': 7.38, '1->7': 8.05 },
  resumedFrom: 0,
}
const step: StepEvent = {
  type: 'step',
  update: 1234,
  epoch: 3,
  pairs: 78_976,
  seconds: 400,
  pairsPerSecond: 197.44,
  learningRate: 2e-4,
  loss: 14.21,
  terms: { '1->5': 5.3, '1->7': 6.1 },
  penalty: 0.1,
  nceTop1: {},
  scoreMean: 0,
  scoreStd: 1,
  scoreMax: 9,
  posteriorEntropy: null,
  gradientNorm: 1,
  classifier: { linearLoss: 1, linearTop1: 0.456, mlpLoss: 1, mlpTop1: 0.5 },
  progress: 0.42,
  etaSeconds: 723,
}

function show(isTTY: boolean, env: NodeJS.ProcessEnv = {}) {
  const [out, err] = [new MemoryStream(), new MemoryStream()]
  const terminal = new Terminal(out, Object.assign(err, { isTTY, columns: 300 }), env)
  return { out, err, terminal, progress: new TrainProgress(terminal) }
}

describe('TrainProgress', () => {
  it('writes lines into a pipe, with rate, time to go and chance levels, on standard error only', () => {
    const { out, err, progress } = show(false)
    progress.show(start)
    progress.show(step)
    progress.show({ type: 'evaluation', epoch: 4, update: 1300, linearTop1: 0.45, mlpTop1: 0.47 })
    progress.show({ type: 'warning', code: 'X', message: 'mind this' })
    expect(out.text).toBe('')
    expect(err.text.split('\n')).toEqual([
      '5,000 pictures, 1,000 to test, 10 classes; encoder of 1,258,816 parameters',
      'device cpu, executor cpu, f32 with avx2, 2 threads; 78 updates an epoch',
      'run folder runs/a',
      '42.0 %  epoch 3  update 1,234  197.4 pairs/s  ETA 12m03s  loss 14.210  1->5 5.30/7.38  1->7 6.10/8.05  online 45.6 %',
      'epoch 4: online test accuracy linear 45.0 %, MLP 47.0 %',
      'warning: mind this',
      '',
    ])
  })

  it('draws a bar in place on a terminal and clears it before other lines', () => {
    const { err, progress } = show(true)
    progress.show(step)
    progress.show({ type: 'warning', code: 'X', message: 'mind this' })
    expect(err.text).toContain('\r\u001b[2K[########------------] 42.0 %')
    expect(err.text.endsWith('\r\u001b[2Kwarning: mind this\n')).toBe(true)
  })

  it('says nothing when quiet', () => {
    const { err, terminal, progress } = show(false)
    terminal.quiet = true
    progress.show(start)
    progress.show(step)
    expect(err.text).toBe('')
  })
})

describe('Terminal', () => {
  it('uses colours on a terminal only, and not with NO_COLOR', () => {
    expect(show(true).terminal.red('x')).not.toBe('x')
    expect(show(true, { NO_COLOR: '1' }).terminal.red('x')).toBe('x')
    expect(show(false).terminal.red('x')).toBe('x')
  })
})
