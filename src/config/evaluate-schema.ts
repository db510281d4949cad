/** The evaluation plan: which heads are fitted on frozen features, and how. */
import { z } from 'zod'
import { count, field, group, nonNegative, positive } from './field.js'
import { onBadImage, threads } from './run-schema.js'

const linear = group(
  {
    method: field(
      z.enum(['lbfgs', 'classifierTask']).default('lbfgs'),
      'lbfgs on standardised features, or the classifier task of the reference',
      'linear-method',
    ),
    l2: field(nonNegative().default(1e-4), 'lbfgs: weight of the squared weights', 'l2'),
    maxIterations: field(count().default(200), 'lbfgs: most iterations'),
    tolerance: field(positive().default(1e-5), 'lbfgs: gradient norm at which it has converged'),
  },
  'the linear head',
)

const classifierTask = group(
  {
    protocol: field(
      z.enum(['corrected', 'reference']).default('corrected'),
      'corrected, or the habits of the reference: batch statistics from test pictures, last batch dropped',
      'protocol',
    ),
    epochs: field(count().default(120), 'passes over the training pictures', 'epochs'),
    milestones: field(z.array(positive()).default([80, 110]), 'epochs after which the rate decays'),
    decay: field(positive().max(1).default(0.2), 'factor at each milestone'),
    learningRate: field(positive().max(10).default(2e-4), 'learning rate'),
    batchSize: field(z.int().min(2).default(200), 'pictures a step'),
    augmentTrain: field(
      z.boolean().nullable().default(null),
      'augment training pictures in each epoch; null: only with protocol reference',
    ),
    hiddenUnits: field(count().default(1024), 'hidden units of the MLP'),
    dropout: field(z.number().min(0).lt(1).default(0.2), 'dropout on input and hidden layer'),
    logitClip: field(positive().default(10), 'logits are soft-clipped to +-this'),
    logitPenalty: field(nonNegative().default(1e-3), 'weight of the mean squared logit'),
    beta1: field(z.number().min(0).lt(1).default(0.8), "Adam's decay of the mean gradient"),
    beta2: field(z.number().min(0).lt(1).default(0.999), "Adam's decay of the mean squared gradient"),
    epsilon: field(positive().default(1e-8), "Adam's epsilon"),
    weightDecay: field(nonNegative().default(1e-5), 'L2 penalty'),
  },
  'the classifier task (reference task_classifiers.py); always used for the MLP head',
)

const knn = group(
  {
    k: field(count().default(20), 'neighbours', 'k'),
    temperature: field(positive().default(0.1), 'a vote weighs exp(cosine / temperature)', 'temperature'),
  },
  'the k-nearest-neighbour head',
)

/** Options of `evaluate` and `amdim evaluate`, without model and data sets. */
export const evaluateSchema = z.strictObject({
  heads: field(
    z
      .array(z.enum(['linear', 'mlp', 'knn']))
      .min(1)
      .default(['linear', 'knn']),
    'heads to fit: linear, mlp, knn',
    'heads',
  ),
  layer: field(
    z
      .string()
      .regex(/^(global|local[1-9][0-9]*|mixture|conv|fc)$/, 'expected global, localN, mixture, conv or fc')
      .default('global'),
    'layer of the encoder that the heads see, a map as one vector: global, localN, mixture; conv or fc with kind dim',
    'layer',
  ),
  linear,
  classifierTask,
  knn,
  batchSize: field(count().max(65_536).default(256), 'pictures encoded at once', 'batch-size'),
  threads,
  seed: field(z.int().min(0).default(1), 'seed of subsets, head weights and their training', 'seed'),
  onBadImage,
  maxTrain: field(
    count().nullable().default(null),
    'use only this many training pictures, drawn by the seed; null: all',
    'max-train',
  ),
  predictions: field(
    z.boolean().default(false),
    'also list the predicted class of each test picture',
    'predictions',
  ),
})
