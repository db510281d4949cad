import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expandBraces, shardFiles } from '../../src/data/shard-files.js'
import { temporaryFolder, write } from '../support/folder.js'

describe('expandBraces', () => {
  it.each([
    ['a.tar', ['a.tar']],
    ['a-{08..11}.tar', ['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']],
    ['{a,b}-{0..1}', ['a-0', 'a-1', 'b-0', 'b-1']],
    ['x{,y}', ['x', 'xy']],
  ])('reads %s', (pattern, expected) => {
    expect(expandBraces('shards', pattern)).toEqual(expected)
  })

  it.each(['a{', 'a}', 'a{b}', '{3..1}', '{0..99999999}', '{0..9999}{0..9999}'])('refuses %s', (pattern) => {
    expect(() => expandBraces('shards', pattern)).toThrow(
      expect.objectContaining({ code: 'AMDIM_INVALID_ARGUMENT' }),
    )
  })
})

describe('shardFiles', () => {
  it('lists what wildcards mean by name, and each file once', async () => {
    const folder = temporaryFolder()
    for (const name of ['b-1.tar', 'b-0.tar', 'b-10.tar', '.b-2.tar', 'c.txt']) write(join(folder, name), '')
    const names = async (...patterns: string[]) =>
      (
        await shardFiles(
          'shards',
          patterns.map((pattern) => join(folder, pattern)),
        )
      ).map((path) => path.slice(folder.length + 1))
    expect(await names('*.tar')).toEqual(['b-0.tar', 'b-1.tar', 'b-10.tar'])
    expect(await names('b-?.tar', 'b-1.tar')).toEqual(['b-0.tar', 'b-1.tar'])
    expect(await names('{c,b-0}.t*')).toEqual(['c.txt', 'b-0.tar'])
    await expect(names('d*.tar')).rejects.toMatchObject({ code: 'AMDIM_IO' })
    await expect(shardFiles('shards', join(folder, 'no*', 'a.tar'))).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
    })
    for (const wrong of [[], '', [''], 3])
      await expect(shardFiles('shards', wrong as string[])).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
      })
  })
})
