import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, evaluate, imageFolder, inspect, type TrainOptions, trainAmdim } from '../src/index.js'
import { noisyPixels, temporaryFolder, write, writePictures } from './support/folder.js'
import { encodePng } from './support/png.js'
import { PROGRAM, runAny, runProgram } from './support/run-program.js'
import { sampleJpeg } from './support/sample.js'
import { colours, SHORT, TINY, TINY_FLAGS } from './support/tiny.js'

const output = () => join(temporaryFolder(), 'run')
const train = (data: TrainOptions['data'], options: Partial<TrainOptions> = {}) =>
  trainAmdim({ data, ...SHORT, output: output(), ...options })
const code = (pattern: RegExp) => ({ name: 'AmdimError', code: expect.stringMatching(pattern) })

/** A folder of good pictures and one more file. */
function folderWith(name: string, content: string | Uint8Array): string {
  const root = writePictures(temporaryFolder(), { perClass: 8 })
  write(join(root, 'red', name), content)
  return root
}

describe('a picture that cannot be used', () => {
  const cases: [string, string, () => string | Uint8Array, RegExp][] = [
    [
      'a truncated JPEG',
      '900.jpg',
      () => sampleJpeg().subarray(0, sampleJpeg().length / 2),
      /^AMDIM_DECODE$/,
    ],
    ['a text file named .png', '900.png', () => 'this is text', /^AMDIM_DECODE$/],
    ['an empty file', '900.jpg', () => '', /^AMDIM_DECODE$/],
    ['a picture of 1 x 1', '900.png', () => encodePng(1, 1, 3, new Uint8Array(3)), /^AMDIM_(DATA|DECODE)$/],
  ]

  it.each(cases)('%s is an error that names it', async (_, name, content, expected) => {
    // Enough updates to draw every picture, though each epoch drops its last, incomplete batch.
    const failure = train(folderWith(name, content()), { updates: 40 })
    await expect(failure).rejects.toMatchObject(code(expected))
    await expect(failure).rejects.toThrow(name)
  })

  it.each(cases)('%s is counted and listed when it is to be skipped', async (_, name, content, expected) => {
    const data = folderWith(name, content())
    const run = train(data, { onBadImage: 'skip', updates: 40 })
    const listed: string[] = []
    for await (const event of run) if (event.type === 'skipped') listed.push(event.name)
    const { skipped, cancelled } = await run
    expect(cancelled).toBe(false)
    expect(skipped).toEqual([
      {
        name: expect.stringContaining(name),
        code: expect.stringMatching(expected),
        message: expect.any(String),
      },
    ])
    expect(listed).toEqual(skipped.map((picture) => picture.name))
  })

  it('8000 x 8000 pixels are no problem', async () => {
    const side = 8000
    const large = encodePng(side, side, 1, new Uint8Array(side * side).fill(90))
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    const { shape, data } = await model.embed([large])
    expect(shape).toEqual([1, 16])
    expect(data.every(Number.isFinite)).toBe(true)
  })
})

describe('a data set that cannot be used', () => {
  it('an empty folder', async () => {
    await expect(train(temporaryFolder())).rejects.toMatchObject(code(/^AMDIM_DATA$/))
    await expect(imageFolder(temporaryFolder())).rejects.toMatchObject(code(/^AMDIM_DATA$/))
  })

  it('a folder with one picture', async () => {
    const root = writePictures(temporaryFolder(), { classes: ['only'], perClass: 1 })
    const failure = train(root)
    await expect(failure).rejects.toMatchObject(code(/^AMDIM_INVALID_ARGUMENT$/))
    await expect(failure).rejects.toThrow('training needs at least two pictures')
  })

  it('a batch larger than the data set', async () => {
    using data = await colours(16)
    const failure = train(data, { config: { ...TINY, batchSize: 17 } })
    await expect(failure).rejects.toMatchObject({
      ...code(/^AMDIM_INVALID_ARGUMENT$/),
      details: { expected: 16, actual: 17 },
    })
  })

  it('a path that is not there', async () => {
    const path = join(temporaryFolder(), 'none')
    for (const open of [() => train(path), () => imageFolder(path)])
      await expect(open()).rejects.toMatchObject(code(/^AMDIM_IO$/))
  })

  it('a truncated archive', async () => {
    const path = write(join(temporaryFolder(), 'a.tar.gz'), Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0))
    await expect(train(path)).rejects.toMatchObject(code(/^AMDIM_(DATA|IO)$/))
  })

  it('a missing label, where labels are needed', async () => {
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    const flat = writePictures(temporaryFolder(), { classes: ['one'], perClass: 4 })
    const unlabelled = join(flat, 'one')
    await expect(evaluate(model, { train: unlabelled, test: unlabelled })).rejects.toMatchObject(
      code(/^AMDIM_DATA$/),
    )
  })
})

describe('a bad option', () => {
  it.each<[string, Partial<TrainOptions>]>([
    ['an unknown one', { learningrate: 1 } as Partial<TrainOptions>],
    ['NaN as learning rate', { config: { optimizer: { learningRate: Number.NaN } } }],
    ['a length of 0', { updates: 0 }],
  ])('%s', async (_, options) => {
    using data = await colours(16)
    await expect(train(data, options)).rejects.toMatchObject(code(/^AMDIM_INVALID_ARGUMENT$/))
  })

  it('a device that is not there', async () => {
    using data = await colours(16)
    await expect(train(data, { device: 'cuda:99' })).rejects.toMatchObject(code(/^AMDIM_DEVICE$/))
  })
})

describe('a file of weights that cannot be used', () => {
  async function checkpoint(): Promise<{ path: string; bytes: Uint8Array }> {
    using data = await colours(16)
    const { paths, model } = await train(data)
    model.dispose()
    const path = paths.checkpoint ?? ''
    return { path, bytes: readFileSync(path) }
  }

  it('a truncated checkpoint, cut anywhere', async () => {
    using data = await colours(16)
    const { bytes } = await checkpoint()
    for (const length of [0, 7, 100, bytes.length / 2, bytes.length - 1]) {
      const path = write(join(temporaryFolder(), 'checkpoint.safetensors'), bytes.subarray(0, length))
      for (const use of [
        () => AmdimModel.load(path),
        () => inspect(path),
        () => train(data, { resume: path, config: {} }),
      ])
        await expect(use()).rejects.toMatchObject(code(/^AMDIM_CHECKPOINT$/))
    }
  })

  it('a checkpoint of another shape', async () => {
    using data = await colours(16)
    const { path } = await checkpoint()
    const config = { ...TINY, encoder: { ...TINY.encoder, embeddingDim: 32 } }
    await expect(train(data, { continueFrom: path, preset: 'tiny', config })).rejects.toMatchObject(
      code(/^AMDIM_CHECKPOINT$/),
    )
  })

  it('a file that is no checkpoint', async () => {
    const path = write(join(temporaryFolder(), 'a.safetensors'), noisyPixels(32, 0, 0))
    await expect(AmdimModel.load(path)).rejects.toMatchObject(code(/^AMDIM_CHECKPOINT$/))
  })
})

describe.skipIf(process.platform === 'win32')('a disk that is full', () => {
  it('ends the run with an error, and what was written before stays', async () => {
    const data = writePictures(temporaryFolder(), { perClass: 8 })
    const out = output()
    const args = ['train', '--data', data, ...TINY_FLAGS, '--out', out]
    const first = await runProgram([...args, '--updates', '2'])
    expect(first.code, first.err).toBe(0)
    const checkpoint = join(out, 'checkpoint.safetensors')
    const [before, size] = [await inspect(checkpoint), statSync(checkpoint).size]

    // No file may become larger than 8 KiB, far below a checkpoint.
    expect(size).toBeGreaterThan(16 * 1024)
    const command = [process.execPath, PROGRAM, 'train', '--data', data, '--resume', out, '--updates', '4']
    const ended = await runAny('bash', ['-c', 'ulimit -f 8; exec "$0" "$@"', ...command])
    expect(ended.signal).toBeNull()
    expect(ended.code, ended.err).toBe(1)
    expect(ended.err).toContain('[AMDIM_IO]')
    expect(await inspect(checkpoint)).toEqual(before)
    expect(statSync(checkpoint).size).toBe(size)
  })
})

// The superuser may do anything, so the program runs as nobody then, if nobody may reach Node and this folder.
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const isReachable = spawnSync(process.execPath, [PROGRAM, 'doctor'], user).status === 0

describe.skipIf(process.platform === 'win32' || !isReachable)('no permission', () => {
  it('to read the pictures', async () => {
    const data = writePictures(temporaryFolder(), { perClass: 8 })
    chmodSync(data, 0o000)
    const ended = await runProgram(
      ['train', '--data', data, ...TINY_FLAGS, '--updates', '1', '--out', output()],
      user,
    )
    chmodSync(data, 0o700)
    expect(ended.code, ended.err).toBe(1)
    expect(ended.err).toContain('[AMDIM_IO]')
  })

  it('to write the run folder', async () => {
    const data = writePictures(temporaryFolder(), { perClass: 8 })
    const locked = temporaryFolder()
    mkdirSync(join(locked, 'in'), { mode: 0o555 })
    for (const path of [data, locked]) chmodSync(path, 0o755)
    const out = join(locked, 'in', 'run')
    const ended = await runProgram(
      ['train', '--data', data, ...TINY_FLAGS, '--updates', '1', '--out', out],
      user,
    )
    expect(ended.code, ended.err).toBe(1)
    expect(ended.err).toContain('[AMDIM_IO]')
    expect(existsSync(out)).toBe(false)
  })
})
