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

const shards = (...paths: string[]) => ({ kind: 'webDataset', shards: paths, labels: 'auto', classes: null })

const parquets = (...files: string[]) => ({
  kind: 'parquet',
  files,
  imageColumn: null,
  labelColumn: null,
  labels: 'auto',
})

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
  ])('recognises %s by its file names', async (kind, files, rest) => {
    const wrapped = files.map((file) => `binary/${file}`)
    for (const path of [folderOf(...files), archiveOf(...wrapped)])
      expect(await detectSources(path)).toEqual({
        train: { kind, path, ...rest },
        test: { kind, path, ...rest, split: 'test' },
      })
  })

  it('recognises STL-10, with the pictures that it keeps apart', async () => {
    const path = folderOf('train_X.bin', 'test_X.bin', 'unlabeled_X.bin')
    const split = (split: string) => ({ kind: 'stl10', path, split })
    expect(await detectSources(path)).toEqual({
      train: split('train'),
      test: split('test'),
      withUnlabeled: split('train+unlabeled'),
    })
  })

  it.each([
    // The reference's names (datasets.py), and those of the archives' usual folders.
    ['ILSVRC2012_img_train', 'ILSVRC2012_img_val'],
    ['places205_256_train', 'places205_256_val'],
    ['train', 'val'],
  ])("recognises the reference's folders %s and %s", async (train, test) => {
    const path = folderOf(`${train}/n01440764/1.JPEG`, `${test}/n01440764/2.JPEG`)
    expect(await detectSources(path)).toEqual({ train: pictures(path, train), test: pictures(path, test) })
  })

  it('takes a test folder before val, unless only val has classes', async () => {
    const both = folderOf('train/cat/1.jpg', 'val/cat/1.jpg', 'test/cat/1.jpg')
    expect(await detectSources(both)).toMatchObject({ test: { subfolder: 'test' } })
    const imagenet = folderOf('train/cat/1.jpg', 'val/cat/1.jpg', 'test/1.jpg')
    expect(await detectSources(imagenet)).toMatchObject({ test: { subfolder: 'val' } })
  })

  it('recognises shards, and their splits by the words in their names', async () => {
    const tars = folderOf('set-train-0.tar', 'set-train-1.tar', 'set-validation-0.tar')
    expect(await detectSources(tars)).toEqual({
      train: shards(join(tars, 'set-train-0.tar'), join(tars, 'set-train-1.tar')),
      test: shards(join(tars, 'set-validation-0.tar')),
    })
    const plain = folderOf('b.tar', 'a.tar')
    expect(await detectSources(plain)).toEqual({
      train: shards(join(plain, 'a.tar'), join(plain, 'b.tar')),
      test: null,
    })
    write(join(plain, 'classes.txt'), 'ant\nbee\n\n')
    expect(await detectSources(join(plain, '{a,b}.tar'))).toMatchObject({
      train: { kind: 'webDataset', classes: ['ant', 'bee'] },
    })
    const folders = folderOf('train/0.tar', 'val/0.tar')
    expect(await detectSources(folders)).toEqual({
      train: shards(join(folders, 'train/0.tar')),
      test: shards(join(folders, 'val/0.tar')),
    })
    // Archives beside class folders are where the pictures came from.
    const unpacked = folderOf('n01440764.tar', 'n01440764/1.JPEG')
    expect(await detectSources(unpacked)).toMatchObject({ train: { kind: 'imageFolder' } })
  })

  it('recognises a single shard by its label files', async () => {
    const archive = encodeTar({ 'a.jpg': nothing, 'a.cls': Buffer.from('1') })
    const path = write(join(temporaryFolder(), 'a.tar'), archive)
    expect(await detectSources(path)).toEqual({ train: shards(path), test: null })
  })

  it('recognises Parquet files, at the top or in one folder', async () => {
    const files = (root: string, ...names: string[]) => names.map((name) => join(root, name))
    const names = [
      'train-00000-of-00002.parquet',
      'train-00001-of-00002.parquet',
      'test-00000-of-00001.parquet',
    ]
    for (const below of ['', 'data/']) {
      const path = folderOf('README.md', ...names.map((name) => below + name))
      expect(await detectSources(path)).toEqual({
        train: parquets(...files(join(path, below), names[0] ?? '', names[1] ?? '')),
        test: parquets(...files(join(path, below), names[2] ?? '')),
      })
    }
    const stl = folderOf('train-0.parquet', 'unlabeled-0.parquet')
    expect(await detectSources(stl)).toEqual({
      train: parquets(join(stl, 'train-0.parquet')),
      test: null,
      withUnlabeled: parquets(join(stl, 'train-0.parquet'), join(stl, 'unlabeled-0.parquet')),
    })
    const one = join(stl, 'train-0.parquet')
    expect(await detectSources(one)).toEqual({ train: parquets(one), test: null })
  })

  it.each([
    [
      ['train-00000-of-00003.parquet', 'train-00002-of-00003.parquet'],
      'train-00001-of-00003.parquet is missing',
    ],
    [['train-0.tar', 'extra-0.tar'], 'extra-0.tar: expected train, test or validation'],
    [['a/train-0.parquet', 'b/train-0.parquet'], 'several folders'],
  ])('loses none of the shards %j in silence', async (paths, message) => {
    const failure = detectSources(folderOf(...paths))
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_DATA' })
    await expect(failure).rejects.toThrow(message)
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
