// A picture classifier that needs TensorFlow.js alone: a linear probe on the features of the embedded sample of CIFAR-10,
// joined with the encoder, saved, loaded and used. After `npm run build` and `node tools/install-tfjs-node.mjs`:
//   npx tsc -p tsconfig.examples.json && node build/examples/tfjs.js PICTURE FOLDER [MODEL]
import { readFile } from 'node:fs/promises'
import * as tf from '@tensorflow/tfjs-node'
import { AmdimModel, openDataset } from 'amdim'
import { encoderToLayersModel, trainLinearProbe } from 'amdim/tfjs'

const [picture, folder, path] = process.argv.slice(2)
if (picture === undefined || folder === undefined) throw new Error('usage: tfjs.js PICTURE FOLDER [MODEL]')

// Without a trained model an untrained one shows how it is done, but not how good it gets.
const small = { encoder: { baseWidth: 8, embeddingDim: 64, blockDepth: 1 } } as const
const model = path ? await AmdimModel.load(path) : await AmdimModel.create({ config: small })
const { train } = await openDataset('data/cifar10-sample.tar.gz')
const features = await model.embed(train)
const probe = await trainLinearProbe(tf, features, features.labels, {
  epochs: 10,
  onEpoch: ({ epoch, loss }) => console.log(`epoch ${epoch}: loss ${loss.toFixed(2)} nats`),
})

const encoder = await encoderToLayersModel(tf, model)
const classes = probe.apply(encoder.outputs) as tf.SymbolicTensor
await tf.model({ inputs: encoder.inputs, outputs: classes }).save(`file://${folder}`)
model.dispose()

// From here on amdim is not needed.
const classifier = await tf.loadLayersModel(`file://${folder}/model.json`)
const bytes = await readFile(picture)
const probabilities = tf.tidy(() => {
  const [, height = 0, width = 0] = classifier.inputs[0]?.shape ?? []
  const decoded = tf.node.decodeImage(bytes, 3).expandDims<tf.Tensor4D>(0)
  const resized = tf.image.resizeBilinear(decoded, [height ?? 0, width ?? 0])
  return (classifier.predict(resized) as tf.Tensor).dataSync()
})
const best = probabilities.indexOf(Math.max(...probabilities))
console.log(`${picture}: ${train.classes[best]}, probability ${probabilities[best]?.toFixed(2)}`)
