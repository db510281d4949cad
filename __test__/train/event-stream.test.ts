import { describe, expect, it } from 'vitest'
import { EventStream } from '../../src/train/event-stream.js'

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list = []
  for await (const value of values) list.push(value)
  return list
}

describe('EventStream', () => {
  it('gives every reader every value since it began, and none to late readers', async () => {
    const stream = new EventStream<number>()
    stream.push(0)
    const [a, b] = [stream.read(), stream.read()]
    stream.push(1)
    const late = stream.read()
    stream.push(2)
    stream.end({})
    expect(await all(a)).toEqual([1, 2])
    expect(await all(b)).toEqual([1, 2])
    expect(await all(late)).toEqual([2])
    expect(await all(stream.read())).toEqual([])
  })

  it('wakes readers that wait, in order', async () => {
    const stream = new EventStream<number>()
    const reading = all(stream.read())
    for (let i = 0; i < 100; i++) {
      stream.push(i)
      if (i % 7 === 0) await Promise.resolve()
    }
    stream.end({})
    expect(await reading).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it('ends with the error after the last value', async () => {
    const stream = new EventStream<number>()
    const seen: number[] = []
    const reading = (async () => {
      for await (const value of stream.read()) seen.push(value)
    })()
    stream.push(1)
    stream.end({ error: new Error('broke') })
    await expect(reading).rejects.toThrow('broke')
    expect(seen).toEqual([1])
  })

  it('lets a reader leave early', async () => {
    const stream = new EventStream<number>()
    const other = stream.read()
    const reader = stream.read()
    stream.push(1)
    stream.push(2)
    for await (const value of reader) {
      expect(value).toBe(1)
      break
    }
    stream.end({})
    expect(await all(other)).toEqual([1, 2])
  })
})
