import { describe, expect, it } from 'vitest'
import { fromPictures, type Picture } from '../../src/index.js'
import { noisyPixels } from '../support/folder.js'
import { encodePng } from '../support/png.js'

const image = (label: number, side = 32) => ({
  data: noisyPixels(side, label, 0),
  width: side,
  height: side,
  channels: 3,
})
const png = (label: number) => encodePng(32, 32, 3, noisyPixels(32, label, 0))

describe('fromPictures', () => {
  it.each<[string, unknown, string]>([
    ['no iterable', 3, 'pictures: expected an iterable'],
    ['no picture', [{ label: 1 }], 'pictures[0]: expected a path, a Uint8Array'],
    [
      'two forms',
      [png(0), 'a.jpg'],
      'pictures[1]: expected a Uint8Array as in the first picture, got "a.jpg"',
    ],
    [
      'two sizes',
      [image(0), image(1, 16)],
      'pictures[1]: expected 32 x 32 x 3 as in the first picture, got "16 x 16 x 3"',
    ],
    [
      'classes without labels',
      { pictures: [png(0)], classes: ['a'] },
      'classes: expected labels beside them',
    ],
  ])('refuses %s', async (_, input, message) => {
    const { pictures = input, ...options } = input as { pictures?: Picture[] }
    const failure = fromPictures(pictures as Picture[], 'pictures' in Object(input) ? options : {})
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(message)
  })

  it('refuses pixels that do not fill their shape', async () => {
    await expect(fromPictures([{ ...image(0), width: 31 }])).rejects.toMatchObject({ code: 'AMDIM_SHAPE' })
  })

  it('refuses none at all', async () => {
    await expect(fromPictures([])).rejects.toMatchObject({ code: 'AMDIM_DATA' })
  })

  it('stops reading an endless iterable', async () => {
    const abort = new AbortController()
    async function* endless() {
      for (let i = 0; ; i++) {
        if (i === 10) abort.abort()
        yield png(i)
      }
    }
    await expect(fromPictures(endless(), { signal: abort.signal })).rejects.toMatchObject({
      code: 'AMDIM_CANCELLED',
    })
  })

  it('passes the error of the iterable on', async () => {
    async function* broken() {
      yield png(0)
      throw new Error('line went dead')
    }
    await expect(fromPictures(broken())).rejects.toThrow('line went dead')
  })

  it('takes labels, and names of classes', async () => {
    async function* pictures() {
      for (const label of [0, 1, 0]) yield { data: png(label), label }
    }
    using dataset = await fromPictures(pictures(), { classes: ['cat', 'dog'] })
    expect(dataset).toMatchObject({ length: 3, labelled: true, classes: ['cat', 'dog'] })
  })

  it('takes pixels without labels', async () => {
    using dataset = await fromPictures([image(0), { data: image(1) }])
    expect(dataset).toMatchObject({ length: 2, labelled: false, classes: [] })
  })
})
