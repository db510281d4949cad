import { encoderRow } from './encoder-row.js'
import type { Experiment } from './experiment.js'
import { cifarRun, HEAD_MEASURES, headsOn } from './scales.js'

const DATA = [
  { name: 'cifar10', title: 'CIFAR-10' },
  { name: 'cifar100', title: 'CIFAR-100' },
] as const

/** CIFAR-10 and CIFAR-100, self-supervised and supervised. */
export const cifar: Experiment = {
  name: 'cifar',
  title: 'CIFAR-10 and CIFAR-100',
  description:
    'Accuracy of heads on frozen features of AMDIM, beside the same encoder trained from all labels. Bachman, Hjelm, ' +
    'Buchwalter 2019, arXiv 1906.00910, section 4 (CIFAR).',
  measures: HEAD_MEASURES,
  async rows(scale) {
    const { preset, config } = cifarRun(scale)
    return DATA.flatMap(({ name, title }) => [
      encoderRow({
        name,
        title: `${title}, AMDIM`,
        data: name,
        preset,
        config: [config],
        heads: [headsOn(name, scale)],
      }),
      encoderRow({
        name: `${name}-supervised`,
        title: `${title}, supervised`,
        data: name,
        preset,
        config: [config, { supervised: true }],
        heads: [headsOn(name, scale)],
      }),
    ])
  },
}
