import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { detectSources } from '../../src/data/detect.js'
import { temporaryFolder, write } from '../support/folder.js'
import { encodeTar } from '../support/tar.js'

const nothing = new Uint8Array(0)

function folderOf(...paths: string[]): string {
  const root = temporaryFolder()
  for (const path of paths) {
    if (path.endsWith('/')) mkdirSync(join(root, path), { recursive: true })
    else write(join(root, path), nothing)
  }
  return root
}

function archiveOf(...paths: string[]): string {
  const archive = encodeTar(Object.fromEntries(paths.map((path) => [path, nothing])))
  return write(join(temporaryFolder(), 'a.tar.gz'), gzipSync(archive))
}

const pictures = (path: string, subfolder: string | null) => ({
  kind: 'imageFolder',
  path,
  subfolder,
  labels: 'auto',
})

describe('detectSources', () => {
  it.each([
    [['cat/1.jpg', 'dog/1.jpg'], null, undefined],
    [['1.jpg', '2.jpg'], null, undefined],
    [['train/cat/1.jpg', 'test/cat/1.jpg'], 'train', 'test'],
    [['train/cat/1.jpg', 'val/cat/1.jpg'], 'train', 'val'],
    [['train/cat/1.jpg'], 'train', undefined],
    // A class named like a split is a class.
    [['test/1.jpg', 'other/1.jpg'], null, undefined],
  ])('finds the splits of %j', async (paths, train, test) => {
    for (const path of [folderOf(...paths), archiveOf(...paths)])
      expect(await detectSources(path)).toEqual({
        train: pictures(path, train),
        test: test === undefined ? null : pictures(path, test),
      })
  })

  it('looks into the folder that wraps an archive', async () => {
    const path = archiveOf('data/', 'data/train/cat/1.jpg', 'data/test/cat/1.jpg')
    expect(await detectSources(path)).toEqual({
      train: pictures(path, 'data/train'),
      test: pictures(path, 'data/test'),
    })
  })

  it.each([
    ['cifar10', ['data_batch_1.bin', 'test_batch.bin'], { split: 'train' }],
    ['cifar100', ['train.bin', 'test.bin', 'fine_label_names.txt'], { split: 'train', labels: 'fine' }],
    ['stl10', ['train_X.bin', 'test_X.bin', 'unlabeled_X.bin'], { split: 'train' }],
  ])('recognises %s by its file names', async (kind, files, rest) => {
    const wrapped = files.map((file) => `binary/${file}`)
    for (const path of [folderOf(...files), archiveOf(...wrapped)])
      expect(await detectSources(path)).toEqual({
        train: { kind, path, ...rest },
        test: { kind, path, ...rest, split: 'test' },
      })
  })

  it('recognises MNIST, with labels where there are some', async () => {
    const path = folderOf(
      'train-images-idx3-ubyte.gz',
      'train-labels-idx1-ubyte.gz',
      't10k-images-idx3-ubyte',
    )
    expect(await detectSources(path)).toEqual({
      train: {
        kind: 'idx',
        images: join(path, 'train-images-idx3-ubyte.gz'),
        labels: join(path, 'train-labels-idx1-ubyte.gz'),
      },
      test: { kind: 'idx', images: join(path, 't10k-images-idx3-ubyte'), labels: null },
    })
    const one = join(path, 'train-images-idx3-ubyte.gz')
    expect(await detectSources(one)).toMatchObject({ train: { kind: 'idx', images: one }, test: null })
  })

  it('says when there is nothing, or something else', async () => {
    await expect(detectSources(join(temporaryFolder(), 'none'))).rejects.toMatchObject({ code: 'AMDIM_IO' })
    const path = write(join(temporaryFolder(), 'a.txt'), 'text')
    await expect(detectSources(path)).rejects.toMatchObject({ code: 'AMDIM_DATA' })
  })
})
