import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cifar10, idx, imageFolder, mnist, openDataset, stl10 } from '../../src/index.js'
import { temporaryFolder, write, writePictures } from '../support/folder.js'
import { SAMPLE } from '../support/sample.js'

describe('openDataset', () => {
  it('opens both splits of the embedded sample', async () => {
    const { train, test } = await openDataset(SAMPLE)
    expect(train).toMatchObject({ length: 5000, labelled: true })
    expect(test).toMatchObject({ length: 1000, labelled: true })
    expect(train.classes).toEqual([
      'airplane',
      'automobile',
      'bird',
      'cat',
      'deer',
      'dog',
      'frog',
      'horse',
      'ship',
      'truck',
    ])
    expect(test?.classes).toEqual(train.classes)
  })

  it('opens folders with and without classes', async () => {
    const classes = writePictures(temporaryFolder(), { classes: ['a', 'b', 'c'], perClass: 2 })
    write(join(classes, 'a', 'notes.txt'), 'no picture')
    expect((await openDataset(classes)).train).toMatchObject({
      length: 6,
      labelled: true,
      classes: ['a', 'b', 'c'],
      ignoredFiles: 1,
    })
    const flat = join(classes, 'a')
    expect(await openDataset(flat)).toMatchObject({ train: { length: 2, labelled: false }, test: null })
  })
})

describe('imageFolder', () => {
  it('opens a subfolder, and leaves labels out on demand', async () => {
    const root = temporaryFolder()
    writePictures(join(root, 'train'), { perClass: 3 })
    expect(await imageFolder(root, { subfolder: 'train' })).toMatchObject({ length: 6, labelled: true })
    expect(await imageFolder(root, { subfolder: 'train', labels: 'none' })).toMatchObject({
      length: 6,
      labelled: false,
    })
  })

  it('refuses bad arguments', async () => {
    await expect(imageFolder('')).rejects.toThrow('path: expected a path, got ""')
    await expect(imageFolder('x', { labels: 'folder' as 'folders' })).rejects.toThrow(
      'did you mean "folders"?',
    )
    await expect(imageFolder('x', { subfolders: 'train' } as object)).rejects.toThrow(
      'did you mean "subfolder"?',
    )
    await expect(cifar10('x', { split: 'val' as 'test' })).rejects.toThrow(
      'split: expected one of train, test, got "val"',
    )
    await expect(stl10('x', { split: 'unlabelled' as 'unlabeled' })).rejects.toThrow(
      'did you mean "unlabeled"?',
    )
  })
})

describe('idx', () => {
  const images = Buffer.concat([
    Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]),
    Buffer.alloc(2 * 28 * 28, 7),
  ])
  const labels = Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 3, 1])

  it('reads pictures and labels, and MNIST by its folder', async () => {
    const folder = temporaryFolder()
    const path = write(join(folder, 'train-images-idx3-ubyte'), images)
    const labelPath = write(join(folder, 'train-labels-idx1-ubyte'), labels)
    expect(await idx(path)).toMatchObject({ length: 2, labelled: false })
    expect(await idx(path, labelPath)).toMatchObject({ length: 2, labelled: true })
    expect(await mnist(folder)).toMatchObject({ length: 2, labelled: true })
  })

  it('says which file is missing', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'sub'))
    await expect(mnist(folder, { split: 'test' })).rejects.toThrow('t10k-images-idx3-ubyte or')
  })
})
