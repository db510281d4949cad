// amdim/tfjs with @tensorflow/tfjs-node, which computes in libtensorflow. tools/install-tfjs-node.mjs puts it in place.
import { describe, expect, it } from 'vitest'
import { loadTfjsNode, WITHOUT_TFJS_NODE } from '../support/tfjs-node.js'
import { describeEncoder } from './suites/encoder.js'
import { describeFiles } from './suites/files.js'
import { describeProbes, describeProbesBesideHeads } from './suites/probes.js'
import { describeTensors } from './suites/tensors.js'

describe.skipIf(WITHOUT_TFJS_NODE)('tfjs-node', () => {
  it('is the one that computes', async () => {
    const tf = await loadTfjsNode()
    expect(tf.getBackend()).toBe('tensorflow')
  })

  describeTensors(loadTfjsNode)
  describeEncoder(loadTfjsNode)
  describeProbes(loadTfjsNode)
  // In plain JavaScript these take minutes.
  describeProbesBesideHeads(loadTfjsNode)
  describeFiles(loadTfjsNode)
})
