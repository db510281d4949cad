/**
 * amdim with TensorFlow.js: pictures and features to and from tensors, probes trained as `tf.LayersModel`, and the trained
 * encoder rebuilt as one. Imported as `amdim/tfjs`.
 *
 * The module (`@tensorflow/tfjs` or `@tensorflow/tfjs-node`) is an argument of every function that needs it; this package
 * never loads it.
 *
 * @packageDocumentation
 */
export { type EncoderOptions, encoderToLayersModel } from './encoder.js'
export { featuresFromTensor, featuresToTensor } from './features.js'
export { loadLayersModel, saveLayersModel } from './layers-model-file.js'
export { picturesFromTensor, picturesToTensor } from './pictures.js'
export type { MlpProbeOptions, ProbeOptions, ProbeProgress } from './probe-options.js'
export { trainLinearProbe, trainMlpProbe } from './probes.js'
export type { TensorFlow } from './tensorflow.js'
