import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment } from './experiment.js'
import { cifarRun, HEAD_MEASURES, headsOn } from './scales.js'

/** What each row changes. */
const ROWS: readonly { name: string; title: string; config: ConfigOverrides }[] = [
  { name: 'amdim', title: 'AMDIM', config: {} },
  {
    name: 'strong-augmentation',
    title: '+ strong augmentation',
    config: { augment: { policy: 'fast-autoaugment-cifar10' } },
  },
  { name: 'no-color-jitter', title: '- colour jitter', config: { augment: { colorJitter: null } } },
  { name: 'no-grayscale', title: '- random gray', config: { augment: { grayscaleProbability: 0 } } },
  { name: 'no-crop', title: '- random crop (no translation)', config: { augment: { translate: null } } },
  { name: 'no-multiscale', title: '- multiscale (1->7 alone)', config: { objective: { terms: ['1->7'] } } },
  {
    name: 'no-stabilise',
    title: '- stabilise (no penalty, no clip)',
    config: { objective: { logitPenalty: 0, scoreClip: null } },
  },
]

/** The ablations of the paper on CIFAR-10. */
export const ablation: Experiment = {
  name: 'ablation',
  title: 'Ablation of AMDIM on CIFAR-10',
  description:
    'What each part of AMDIM is worth: one part is left out (or strong augmentation added) a row, everything else is as in the ' +
    'first row. Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910, section 4 (ablations). On CIFAR the random crop is a ' +
    'random translation.',
  measures: HEAD_MEASURES,
  async rows(scale) {
    const { preset, config } = cifarRun(scale)
    return ROWS.map((row) =>
      encoderRow({
        name: row.name,
        title: row.title,
        data: 'cifar10',
        preset,
        config: [config, row.config],
        heads: [headsOn('cifar10', scale)],
      }),
    )
  },
}
