/**
 * Information of data: entropy, relative entropy and mutual information of discrete variables, and of continuous samples
 * by bins, Gaussian kernels and nearest neighbours.
 *
 * @packageDocumentation
 */
export { AmdimError, type AmdimErrorCode, type ErrorDetails } from '../errors.js'
export type { Features } from '../evaluate/search.js'
export {
  type BinningOptions,
  binnedEntropy,
  binnedMutualInformation,
  type EdgeInformationOptions,
  edgeMutualInformation,
  type InformationBounds,
  type KdeOptions,
  type KnnInformationOptions,
  kdeEntropy,
  kdeInformation,
  knnMutualInformation,
  type LayerInformation,
  type SampleOptions,
} from './continuous.js'
export {
  conditionalEntropy,
  conditionalMutualInformation,
  crossEntropy,
  entropy,
  jointEntropy,
  mutualInformation,
  relativeEntropy,
} from './discrete.js'
export {
  type DiscreteSamples,
  type Distribution,
  distributionOf,
  type JointDistribution,
  jointDistributionOf,
} from './distribution.js'
export {
  type LinearGaussianNetwork,
  linearGaussianInformation,
  type Matrix,
} from './linear-gaussian.js'
export type { Unit } from './unit.js'
