// Makes @tensorflow/tfjs-node loadable for the tests of amdim/tfjs: node tools/install-tfjs-node.mjs   (npm test runs it)
import { installTfjsNode } from './lib/tfjs-node.mjs'

try {
  console.log(`tfjs-node ${await installTfjsNode()}`)
} catch (error) {
  console.error(`install-tfjs-node: ${error.message}`)
  process.exitCode = 1
}
