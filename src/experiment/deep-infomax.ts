import type { ConfigOverrides } from '../config/types.js'
import { encoderRow, type HeadsOn } from './encoder-row.js'
import type { Experiment, ExperimentScale, Measure } from './experiment.js'

/** Heads are fitted afterwards: the classifiers of a run would only cost time. */
const SHARED: ConfigOverrides = { classifiers: { enabled: false } }

/** The paper's sizes are those of the preset but for the batch and the length; a CPU's are smaller. */
const SCALED: Record<ExperimentScale, ConfigOverrides> = {
  tiny: { encoder: { baseWidth: 16 }, dim: { units: 256 }, vae: { units: 256 }, length: { epochs: 10 } },
  paper: { dim: { units: 2048 }, vae: { units: 2048 }, length: { epochs: 1000 } },
}

const LOCAL = { globalWeight: 0, localWeight: 1, priorWeight: 0.1 }

/** What each row changes. */
const ROWS: readonly { name: string; title: string; config: ConfigOverrides }[] = [
  {
    name: 'global',
    title: 'DIM(G), JSD',
    config: { dim: { globalWeight: 1, localWeight: 0, priorWeight: 1 } },
  },
  { name: 'local-dv', title: 'DIM(L), DV', config: { dim: { ...LOCAL, bound: 'dv' } } },
  { name: 'local-jsd', title: 'DIM(L), JSD', config: { dim: LOCAL } },
  { name: 'local-info-nce', title: 'DIM(L), InfoNCE', config: { dim: { ...LOCAL, bound: 'info-nce' } } },
  {
    name: 'local-concatenated',
    title: 'DIM(L), JSD, concatenate and convolve',
    config: { dim: { ...LOCAL, critic: 'concatenated', negatives: 1 } },
  },
  { name: 'local-no-prior', title: 'DIM(L), JSD, no prior', config: { dim: { ...LOCAL, priorWeight: 0 } } },
  {
    name: 'local-coordinates',
    title: 'DIM(L), InfoNCE, coordinate task',
    config: { dim: { ...LOCAL, bound: 'info-nce', coordinateWeight: 1 } },
  },
  { name: 'ae', title: 'autoencoder', config: { method: 'vae', vae: { beta: null } } },
  { name: 'vae', title: 'VAE', config: { method: 'vae', vae: { beta: 1 } } },
  { name: 'beta-vae', title: 'beta-VAE, beta 4', config: { method: 'vae', vae: { beta: 4 } } },
  { name: 'supervised', title: 'supervised', config: { supervised: true, classifiers: { enabled: true } } },
]

/** Layers that Table 1 of the paper classifies from, and the name of their measure. */
const LAYERS = [
  { layer: 'conv', measure: 'conv', title: 'conv, MLP' },
  { layer: 'fc', measure: 'fc', title: 'fc, MLP' },
  { layer: 'global', measure: 'y', title: 'Y, MLP' },
] as const

const MEASURES: readonly Measure[] = [
  ...LAYERS.map(({ measure, title }) => ({ name: measure, title, isShare: true })),
  { name: 'linear', title: 'Y, linear', isShare: true },
  { name: 'knn', title: 'Y, kNN', isShare: true },
]

/** The paper's classifier has one hidden layer of 200 units. */
function heads(scale: ExperimentScale): HeadsOn[] {
  const classifierTask = { hiddenUnits: 200, ...(scale === 'tiny' && { epochs: 10, milestones: [8] }) }
  const mlps = LAYERS.map(
    ({ layer, measure }): HeadsOn => ({
      data: 'cifar10',
      measures: { mlp: measure },
      options: { layer, classifierTask },
    }),
  )
  return [...mlps, { data: 'cifar10', measures: { linear: 'linear', knn: 'knn' } }]
}

/** Deep InfoMax on CIFAR-10. */
export const deepInfomax: Experiment = {
  name: 'deep-infomax',
  title: 'Deep InfoMax on CIFAR-10',
  description:
    'Accuracy from the last convolution, the fully connected layer and the vector Y of encoders trained by global and local ' +
    'Deep InfoMax with different bounds. Hjelm et al. 2019, arXiv 1808.06670, table 1.',
  measures: MEASURES,
  async rows(scale) {
    return ROWS.map(({ name, title, config }) =>
      encoderRow({
        name,
        title,
        data: 'cifar10',
        preset: 'dim',
        config: [SHARED, SCALED[scale], config],
        heads: heads(scale),
      }),
    )
  },
}
