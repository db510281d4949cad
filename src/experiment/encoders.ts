import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale } from './experiment.js'
import { cifarRun, HEAD_MEASURES, headsOn } from './scales.js'

/** Widths at which a picture costs about as many multiply-adds as in the authors' encoder of the scale. */
const WIDTHS: Record<ExperimentScale, { resnet18: number; resnet34: number; resnet50: number }> = {
  tiny: { resnet18: 6, resnet34: 4, resnet50: 4 },
  paper: { resnet18: 57, resnet34: 40, resnet50: 34 },
}

/** The authors' encoder beside residual networks. */
export const encoders: Experiment = {
  name: 'encoders',
  title: 'Encoders at equal multiply-adds on CIFAR-10',
  description:
    "The authors' padding-free encoder beside ResNets as torchvision builds them, so narrow that a picture costs them as many " +
    'multiply-adds (within a seventh). The ResNets compare their 1x1, 4x4 and 8x8 maps. He, Zhang, Ren, Sun 2016, arXiv ' +
    '1512.03385.',
  measures: HEAD_MEASURES,
  async rows(scale) {
    const { preset, config } = cifarRun(scale)
    const row = (name: string, title: string, encoder: ConfigOverrides['encoder'] = {}) =>
      encoderRow({
        name,
        title,
        data: 'cifar10',
        preset,
        config: [config, { encoder }],
        heads: [headsOn('cifar10', scale)],
      })
    const residual = (kind: keyof (typeof WIDTHS)['tiny'], title: string) => {
      const baseWidth = WIDTHS[scale][kind]
      // The depth that the scale has for the authors' encoder means nothing here.
      return row(kind, `${title}, width ${baseWidth}`, { kind, baseWidth, blockDepth: null })
    }
    return [
      row('amdim', "authors' encoder"),
      residual('resnet18', 'ResNet-18'),
      residual('resnet34', 'ResNet-34'),
      residual('resnet50', 'ResNet-50'),
    ]
  },
}
