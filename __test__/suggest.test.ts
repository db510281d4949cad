import { describe, expect, it } from 'vitest'
import { didYouMean, editDistance, suggest } from '../src/suggest.js'

/** The definition of the optimal string alignment distance, slow and recursive. */
function slowDistance(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length
  const [x, y] = [a.slice(0, -1), b.slice(0, -1)]
  const options = [
    slowDistance(x, b) + 1,
    slowDistance(a, y) + 1,
    slowDistance(x, y) + (a.at(-1) === b.at(-1) ? 0 : 1),
  ]
  if (a.length > 1 && b.length > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1))
    options.push(slowDistance(a.slice(0, -2), b.slice(0, -2)) + 1)
  return Math.min(...options)
}

describe('editDistance', () => {
  it('equals its definition on every pair of short words', () => {
    const words = ['', 'a', 'b', 'ab', 'ba', 'abc', 'acb', 'cab', 'bbb', 'abca']
    for (const a of words)
      for (const b of words) expect(editDistance(a, b), `${a} ${b}`).toBe(slowDistance(a, b))
  })
})

describe('suggest', () => {
  const known = ['learningRate', 'batchSize', 'seed', 'epochs']
  it.each([
    ['learningrate', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['batchSzie', 'batchSize'],
    ['epoch', 'epochs'],
    ['sede', 'seed'],
    ['batch', 'batchSize'],
    ['rate', 'learningRate'],
  ])('%s -> %s', (word, expected) => {
    expect(suggest(word, known)).toBe(expected)
  })

  it('stays silent when nothing is near', () => {
    expect(suggest('colour', known)).toBeUndefined()
    expect(didYouMean('colour', known)).toBe('')
    expect(didYouMean('epoch', known)).toBe('did you mean "epochs"?')
  })
})
