import { describe, expect, it } from 'vitest'
import { toLabels } from '../../src/data/labels.js'

describe('toLabels', () => {
  it('has -1 for none and names the classes', () => {
    expect(toLabels({ labels: [0, null, 2] }, 3)).toEqual({
      labels: Int32Array.of(0, -1, 2),
      classes: ['0', '1', '2'],
    })
    expect(toLabels({ labels: Uint8Array.of(1), classes: ['a', 'b'] }, 1)).toEqual({
      labels: Int32Array.of(1),
      classes: ['a', 'b'],
    })
    expect(toLabels({}, 3)).toEqual({})
  })

  it.each([
    [{ labels: [0, 1] }, 'labels: expected 3 labels'],
    [{ labels: [0, 1, -1] }, 'labels[2]: expected a class index'],
    [{ labels: [0, 1.5, 0] }, 'labels[1]: expected a class index'],
    [{ labels: [0, 1, 2], classes: ['a', 'b'] }, 'labels[2]: expected a class index below 2, or null, got 2'],
    [{ classes: ['a'] }, 'classes: expected labels beside them'],
  ])('refuses %j', (options, message) => {
    expect(() => toLabels(options, 3)).toThrow(message)
  })
})
