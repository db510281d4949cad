import { invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'
import type { Experiment } from './experiment.js'

/** Names of the experiments. */
export type ExperimentName =
  | 'ablation'
  | 'cifar'
  | 'transfer'
  | 'encoders'
  | 'deep-infomax'
  | 'negatives'
  | 'moco'
  | 'mine'
  | 'mine-gan'
  | 'vib'
  | 'information-plane'
  | 'limits'

// Loaded when asked for: an experiment brings presets and schemas with it.
const CATALOGUE = {
  ablation: {
    summary: "AMDIM without one of its parts at a time (the paper's ablations)",
    load: async () => (await import('./ablation.js')).ablation,
  },
  cifar: {
    summary: "CIFAR-10 and CIFAR-100, with supervised rows (the paper's table 1)",
    load: async () => (await import('./cifar.js')).cifar,
  },
  transfer: {
    summary:
      "heads on one data set for an encoder of another, with supervised rows (the paper's tables 2 and 3)",
    load: async () => (await import('./transfer.js')).transfer,
  },
  encoders: {
    summary: "the authors' encoder beside ResNets at equal multiply-adds",
    load: async () => (await import('./encoders.js')).encoders,
  },
  'deep-infomax': {
    summary: 'global and local Deep InfoMax by different bounds (its table 1)',
    load: async () => (await import('./deep-infomax.js')).deepInfomax,
  },
  negatives: {
    summary: 'bounds of Deep InfoMax against the number of negatives (its figure 9)',
    load: async () => (await import('./negatives.js')).negatives,
  },
  moco: {
    summary: 'momentum contrast beside the negatives of the batch alone',
    load: async () => (await import('./moco.js')).momentumContrast,
  },
  mine: {
    summary: 'mutual information of correlated normal variables by MINE, beside the truth (its figure 1)',
    load: async () => (await import('./mine.js')).mine,
  },
  'mine-gan': {
    summary: 'a GAN on 25 normal distributions with and without MINE (its section 5.1)',
    load: async () => (await import('./mine-gan.js')).mineGan,
  },
  vib: {
    summary: 'the deep variational information bottleneck on MNIST (its table 1 and figure 1)',
    load: async () => (await import('./vib.js')).deepVib,
  },
  'information-plane': {
    summary: 'what layers share with picture and label over training, tanh against ReLU',
    load: async () => (await import('./information-plane.js')).plane,
  },
  limits: {
    summary: 'whether more mutual information of the halves of a picture makes better features',
    load: async () => (await import('./limits.js')).limits,
  },
} as const satisfies Record<ExperimentName, { summary: string; load: () => Promise<Experiment> }>

/** The experiments by name, each with one line about it. */
export const EXPERIMENTS: Readonly<Record<ExperimentName, string>> = Object.fromEntries(
  Object.entries(CATALOGUE).map(([name, { summary }]) => [name, summary]),
) as Record<ExperimentName, string>

/**
 * The experiment of a name.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown one
 */
export async function findExperiment(name: string): Promise<Experiment> {
  if (Object.hasOwn(CATALOGUE, name)) return CATALOGUE[name as ExperimentName].load()
  const names = Object.keys(CATALOGUE)
  throw invalidArgument('name', `one of ${names.join(', ')}`, name, didYouMean(String(name), names))
}
