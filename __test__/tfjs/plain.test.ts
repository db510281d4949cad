// amdim/tfjs with plain @tensorflow/tfjs, which computes in JavaScript.
import * as tf from '@tensorflow/tfjs'
import { describeEncoder } from './suites/encoder.js'
import { describeFiles } from './suites/files.js'
import { describeProbes } from './suites/probes.js'
import { describeTensors } from './suites/tensors.js'

const load = async () => tf
describeTensors(load)
describeEncoder(load)
describeProbes(load)
describeFiles(load)
