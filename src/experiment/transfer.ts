import type { ConfigOverrides, PresetName } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { DataName, Experiment, ExperimentScale } from './experiment.js'
import { cifarRun, headsOn } from './scales.js'

/** Where the encoder learns, and where its heads do. */
function sizes(scale: ExperimentScale): {
  source: DataName
  target: DataName
  preset: PresetName
  config: ConfigOverrides
} {
  return scale === 'tiny'
    ? { source: 'cifar10', target: 'mnist', ...cifarRun(scale) }
    : { source: 'imagenet', target: 'places205', preset: 'imagenet128', config: {} }
}

/** An encoder of one data set under heads of another. */
export const transfer: Experiment = {
  name: 'transfer',
  title: 'Transfer to another data set',
  description:
    'An encoder that saw one data set, self-supervised or from its labels, tested by heads on the same and on another: ImageNet ' +
    'and Places205 at the scale of the paper (arXiv 1906.00910, section 4), CIFAR-10 and MNIST at tiny scale.',
  measures: [
    { name: 'source.linear', title: 'same data, linear', isShare: true },
    { name: 'source.mlp', title: 'same data, MLP', isShare: true },
    { name: 'target.linear', title: 'other data, linear', isShare: true },
    { name: 'target.mlp', title: 'other data, MLP', isShare: true },
  ],
  async rows(scale) {
    const { source, target, preset, config } = sizes(scale)
    const heads = [
      twoHeads(source, 'source.', scale, preset),
      twoHeads(target, 'target.', scale, targetPreset(scale)),
    ]
    const row = { data: source, preset, heads }
    return [
      encoderRow({ ...row, name: 'amdim', title: 'AMDIM', config: [config] }),
      encoderRow({ ...row, name: 'supervised', title: 'supervised', config: [config, { supervised: true }] }),
      encoderRow({
        ...row,
        name: 'untrained',
        title: 'untrained (one update)',
        config: [config, { length: { updates: 1 } }],
      }),
    ]
  },
}

/** The classifier task's schedule is that of the data set. */
function targetPreset(scale: ExperimentScale): PresetName {
  return scale === 'tiny' ? 'tiny' : 'places205'
}

function twoHeads(data: DataName, prefix: string, scale: ExperimentScale, preset: PresetName) {
  const { measures, options, ...rest } = headsOn(data, scale, prefix)
  const { linear, mlp } = measures
  return {
    ...rest,
    measures: { linear: linear as string, mlp: mlp as string },
    options: { ...options, preset },
  }
}
