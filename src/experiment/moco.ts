import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale } from './experiment.js'
import { cifarRun, HEAD_MEASURES, headsOn } from './scales.js'

const RESNET: Record<ExperimentScale, ConfigOverrides> = {
  // The depth that the scale has for the authors' encoder means nothing here.
  tiny: { encoder: { kind: 'resnet18', baseWidth: 8, embeddingDim: 128, blockDepth: null } },
  paper: { encoder: { kind: 'resnet18', embeddingDim: 128, blockDepth: null } },
}

/** What each row changes. */
function rows(scale: ExperimentScale): { name: string; title: string; config: ConfigOverrides }[] {
  const inBatch = { moco: { queueSize: null } }
  const queue = scale === 'tiny' ? {} : { moco: { queueSize: 65_536, momentum: 0.999 } }
  const resnet = RESNET[scale]
  return [
    { name: 'queue', title: "MoCo, the authors' encoder of AMDIM", config: queue },
    { name: 'in-batch', title: "in-batch InfoNCE, the authors' encoder of AMDIM", config: inBatch },
    { name: 'resnet18-queue', title: 'MoCo, ResNet-18', config: { ...resnet, ...queue } },
    {
      name: 'resnet18-shuffled',
      title: 'MoCo, ResNet-18, shuffled batch norm',
      config: { ...resnet, moco: { ...queue.moco, shuffleGroups: 4 } },
    },
    { name: 'resnet18-in-batch', title: 'in-batch InfoNCE, ResNet-18', config: { ...resnet, ...inBatch } },
  ]
}

/** Momentum contrast on CIFAR-10. */
export const momentumContrast: Experiment = {
  name: 'moco',
  title: 'Momentum contrast on CIFAR-10',
  description:
    'A queue of keys from a slowly moving encoder beside the negatives of the batch alone, on two encoders. He, Fan, Wu, Xie, ' +
    'Girshick 2020, arXiv 1911.05722.',
  measures: HEAD_MEASURES,
  async rows(scale) {
    const { config } = cifarRun(scale)
    return rows(scale).map((row) =>
      encoderRow({
        name: row.name,
        title: row.title,
        data: 'cifar10',
        preset: 'moco',
        config: [config, row.config],
        heads: [headsOn('cifar10', scale)],
      }),
    )
  },
}
