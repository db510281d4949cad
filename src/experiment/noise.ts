import type { Dataset } from '../data/dataset.js'
import { fromArrays } from '../data/from-arrays.js'
import type { DataName } from './experiment.js'

/** Number of classes of each data set. */
const CLASSES: Readonly<Record<DataName, number>> = {
  cifar10: 10,
  cifar100: 100,
  stl10: 10,
  mnist: 10,
  imagenet: 1000,
  places205: 205,
}

/** Labelled pictures of noise, as stand-ins for a data set that is not there: the same noise each time. */
export async function noise(count: number, pixels: number, data: DataName): Promise<Dataset> {
  const values = new Uint8Array(count * pixels * pixels * 3)
  // A linear congruential generator (Numerical Recipes): good enough for pictures that show nothing.
  let state = 1
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    values[i] = state >>> 24
  }
  const classes = Array.from({ length: CLASSES[data] }, (_, i) => `class ${i}`)
  const labels = Array.from({ length: count }, (_, i) => i % classes.length)
  return fromArrays(values, [count, pixels, pixels, 3], { labels, classes })
}
