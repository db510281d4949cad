import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { npyHeader, npyValues } from '../../src/cli/npy.js'
import { AmdimModel } from '../../src/index.js'
import { temporaryFolder, writePictures } from '../support/folder.js'
import { type Ended, runProgram } from '../support/run-program.js'
import { TINY_FLAGS } from '../support/tiny.js'

/** Pictures in train and test folders. */
function pictures(): string {
  const root = temporaryFolder()
  writePictures(join(root, 'train'), { perClass: 8 })
  writePictures(join(root, 'test'), { perClass: 3 })
  return root
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('amdim train', () => {
  it('writes its result to standard output and lines of progress to standard error', async () => {
    const out = join(temporaryFolder(), 'run')
    const ended = await runProgram([
      'train',
      '--data',
      pictures(),
      ...TINY_FLAGS,
      '--updates',
      '3',
      '--log-every-steps',
      '1',
      '--out',
      out,
    ])
    expect(ended.code, ended.err).toBe(0)
    expect(ended.out).toContain(join(out, 'model.safetensors'))
    expect(ended.out).toContain('finished after 3 updates')
    expect(ended.err.match(/update \d/g)).toEqual(['update 1', 'update 2', 'update 3'])
    expect(ended.err).not.toContain('\u001b')
  })

  it('trains a residual network, goes on with it, and its model embeds by its own maps', async () => {
    const [data, out] = [pictures(), join(temporaryFolder(), 'run')]
    const flags = [
      '--encoder-kind',
      'resnet18',
      '--base-width',
      '2',
      '--embedding-dim',
      '8',
      '--batch-size',
      '8',
    ]
    const common = ['train', '--data', data, '--log-every-steps', '1', '--json', '--quiet']
    const first = await runProgram([...common, ...flags, '--updates', '2', '--out', out])
    expect(first.code, first.err).toBe(0)
    const step = jsonLines(first.out).find(({ type }) => type === 'step')
    expect(Object.keys(step.terms)).toEqual(['1->4', '1->8', '4->4'])
    const second = await runProgram([...common, '--resume', out, '--updates', '3'])
    expect(jsonLines(second.out).at(-1)).toMatchObject({ type: 'result', update: 3 })

    const model = join(out, 'model.safetensors')
    const { config, tensors } = JSON.parse((await runProgram(['inspect', model, '--json'])).out)
    expect(config.encoder).toMatchObject({ kind: 'resnet18', baseWidth: 2, localMaps: [4, 8] })
    const names = tensors.map(({ name }: { name: string }) => name)
    expect(names).toContain('encoder.module.layer2.0.downsample.0.weight')
    const embed = ['embed', model, join(data, 'test'), '--json', '--layer']
    const [vector] = jsonLines((await runProgram([...embed, 'local8'])).out)
    expect(vector.shape).toEqual([8, 8, 8])
    const missing = await runProgram([...embed, 'local5'])
    expect(missing.err).toContain('layer: expected one of global, local4, local8, got "local5"')
  })

  it('writes events as JSON lines, and nothing else when quiet', async () => {
    const args = [
      '--updates',
      '2',
      '--log-every-steps',
      '1',
      '--out',
      join(temporaryFolder(), 'run'),
      '--json',
      '--quiet',
    ]
    const ended = await runProgram(['train', '--data', pictures(), ...TINY_FLAGS, ...args])
    expect(ended).toMatchObject({ code: 0, err: '' })
    const events = jsonLines(ended.out)
    expect(events[0].type).toBe('start')
    expect(events.filter(({ type }) => type === 'step')).toHaveLength(2)
    expect(events.at(-1)).toMatchObject({ type: 'result', cancelled: false, update: 2 })
  })

  it('stops cleanly on Ctrl-C, with a checkpoint to resume from', async () => {
    const data = pictures()
    const out = join(temporaryFolder(), 'run')
    let isStopped = false
    const onOutput = (text: string, kill: (signal: NodeJS.Signals) => void) => {
      if (isStopped || !text.includes('update 2')) return
      isStopped = true
      kill('SIGINT')
    }
    const common = ['train', '--data', data, '--log-every-steps', '1']
    const ended = await runProgram([...common, ...TINY_FLAGS, '--updates', '100000', '--out', out], {
      onOutput,
    })
    expect(ended.code, ended.err).toBe(130)
    expect(ended.out).toContain('stopped early')
    expect(ended.err).toContain(`--resume ${out}`)
    expect(existsSync(join(out, 'checkpoint.safetensors'))).toBe(true)

    const inspected = await runProgram(['inspect', join(out, 'checkpoint.safetensors'), '--json'])
    const { update } = JSON.parse(inspected.out).position
    const resumed = await runProgram([...common, '--resume', out, '--updates', String(update + 2), '--json'])
    expect(resumed.code, resumed.err).toBe(0)
    expect(jsonLines(resumed.out).at(-1)).toMatchObject({ cancelled: false, update: update + 2 })
  })

  it('takes batches in parts, and keeps checkpoints of which the best is chosen', async () => {
    const [data, out] = [pictures(), join(temporaryFolder(), 'run')]
    const parts = ['--chunk-size', '4', '--statistics-frozen']
    const keep = ['--checkpoint-minutes', '1e-9', '--keep-checkpoints', '2']
    const args = ['train', '--data', data, ...TINY_FLAGS, ...parts, ...keep, '--updates', '3', '--out', out]
    const ended = await runProgram(args)
    expect(ended.code, ended.err).toBe(0)
    const kept = readdirSync(out).filter((name) => name.startsWith('checkpoint-'))
    expect(kept.sort()).toEqual(['checkpoint-0000000002.safetensors', 'checkpoint-0000000003.safetensors'])
    const inspected = await runProgram(['inspect', join(out, kept[0] ?? ''), '--json'])
    expect(JSON.parse(inspected.out)).toMatchObject({
      config: { chunkSize: 4, statisticsFrozen: true },
      position: { update: 2 },
    })
    const paths = kept.map((name) => join(out, name))
    const measured = await runProgram(['measure', ...paths, '--data', data, '--json'])
    expect(measured.code, measured.err).toBe(0)
    expect(paths).toContain(JSON.parse(measured.out).best)
  })

  it('names its own run folder', async () => {
    const cwd = temporaryFolder()
    const ended = await runProgram(
      ['train', '--data', pictures(), ...TINY_FLAGS, '--updates', '1', '--json'],
      {
        cwd,
      },
    )
    expect(ended.code, ended.err).toBe(0)
    const { paths } = jsonLines(ended.out).at(-1)
    expect(paths.runFolder).toMatch(/^runs[\\/].*-tiny$/)
    expect(existsSync(join(cwd, paths.model))).toBe(true)
  })
})

describe('with a model', () => {
  const folder = mkdtempSync(join(tmpdir(), 'amdim-model-'))
  const model = join(folder, 'model.safetensors')
  beforeAll(async () => {
    const config = { encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 } }
    using untrained = await AmdimModel.create({ config, device: 'cpu' })
    await untrained.save(model)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const ok = (ended: Ended) => expect(ended.code, ended.err).toBe(0)

  it('amdim inspect shows configuration, tensors and position', async () => {
    const text = await runProgram(['inspect', model, '--tensors'])
    ok(text)
    for (const part of ['parameters ', 'position ', 'encoder ', '"baseWidth":4', 'tensor '])
      expect(text.out).toContain(part)
    const json = await runProgram(['inspect', model, '--json'])
    ok(json)
    using loaded = await AmdimModel.load(model)
    expect(JSON.parse(json.out)).toEqual(loaded.info())
  })

  it('amdim embed writes .npy with names and labels, JSON lines, or .npy to a pipe', async () => {
    const data = pictures()
    const npy = join(temporaryFolder(), 'features.npy')
    ok(await runProgram(['embed', model, data, '--split', 'test', '--out', npy]))
    const file = readFileSync(npy)
    const start = 10 + file.readUInt16LE(8)
    expect(file.toString('latin1', 10, start)).toContain("'shape': (6, 16)")
    expect(file.length).toBe(start + 6 * 16 * 4)
    const notes = JSON.parse(readFileSync(npy.replace('.npy', '.json'), 'utf8'))
    expect(notes).toMatchObject({ shape: [6, 16], labels: [0, 0, 0, 1, 1, 1], layer: 'global' })
    expect(notes.model).toBe(createHash('sha256').update(readFileSync(model)).digest('hex'))
    expect(notes.names).toHaveLength(6)

    const json = await runProgram(['embed', model, data, '--split', 'test', '--json'])
    ok(json)
    const rows = jsonLines(json.out)
    expect(rows.map(({ label }) => label)).toEqual([0, 0, 0, 1, 1, 1])
    expect(Math.fround(rows[1].embedding[3])).toBe(file.readFloatLE(start + (16 + 3) * 4))

    const picture = join(data, 'test', 'red', '000.png')
    const pipe = await runProgram(['embed', model, picture, '--layer', 'local5'])
    ok(pipe)
    expect(pipe.out).toContain("'shape': (1, 16, 5, 5)")
  })

  it('amdim search finds pictures like given ones, in pictures or in features of them', async () => {
    const [data, npy] = [pictures(), join(temporaryFolder(), 'album.npy')]
    const query = join(data, 'train', 'red', '003.png')
    const fresh = await runProgram(['search', model, query, '--in', data, '--in-split', 'train', '--json'])
    ok(fresh)
    const [line, ...others] = jsonLines(fresh.out)
    expect([line.name, line.neighbours.length, others]).toEqual([query, 10, []])
    // A picture is most like itself, and what is less like it comes later.
    expect(line.neighbours[0].name).toBe(join('red', '003.png'))
    expect(line.neighbours[0].similarity).toBeCloseTo(1, 5)
    const similarities: number[] = line.neighbours.map(({ similarity }: { similarity: number }) => similarity)
    expect(similarities).toEqual([...similarities].sort((a, b) => b - a))

    ok(await runProgram(['embed', model, data, '--split', 'train', '--out', npy]))
    const known = await runProgram(['search', model, query, '--in', npy, '--json'])
    expect(known.out).toBe(fresh.out)
    const text = await runProgram(['search', model, data, '--split', 'test', '--in', npy, '--k', '2'])
    ok(text)
    expect(text.out.split('\n')).toHaveLength(6 * 3 + 1)
    expect(text.out).toMatch(/^blue.000\.png\n +\d\.\d{3} {2}\w+.\d{3}\.png\n/)
  })

  it('amdim search embeds queries as its features were, and refuses those of another model', async () => {
    const [data, folder] = [pictures(), temporaryFolder()]
    const [npy, second] = [join(folder, 'album.npy'), join(folder, 'second.safetensors')]
    const query = join(data, 'train', 'blue', '000.png')
    ok(await runProgram(['embed', model, data, '--split', 'train', '--layer', 'local5', '--out', npy]))
    const maps = await runProgram(['search', model, query, '--in', npy, '--k', '1', '--json'])
    ok(maps)
    expect(jsonLines(maps.out)[0].neighbours[0].name).toBe(join('blue', '000.png'))

    const config = { seed: 2, encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 } }
    using other = await AmdimModel.create({ config, device: 'cpu' })
    await other.save(second)
    expect(await runProgram(['search', second, query, '--in', npy])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/features of another model .*\[AMDIM_CHECKPOINT\]/),
    })
    // Nothing says what a file of NumPy's was made with: its rows have numbers, and must have as many values.
    rmSync(npy.replace('.npy', '.json'))
    expect(await runProgram(['search', model, query, '--in', npy])).toMatchObject({
      code: 1,
      err: expect.stringContaining('[AMDIM_SHAPE]'),
    })
    const split = await runProgram(['search', model, query, '--in', data])
    expect(split).toMatchObject({
      code: 2,
      err: expect.stringContaining('--in-split train, --in-split test'),
    })
  })

  it('amdim embed writes a Parquet table', async () => {
    const parquet = join(temporaryFolder(), 'features.parquet')
    const ended = await runProgram(['embed', model, pictures(), '--split', 'test', '--out', parquet])
    ok(ended)
    expect(ended.out).toContain('6 rows, embedding [16]')
    expect(readFileSync(parquet).toString('latin1', 0, 4)).toBe('PAR1')
  })

  it("amdim export and import go to the authors' form and back", async () => {
    const folder = temporaryFolder()
    const [pth, back] = [join(folder, 'amdim_cpt.pth'), join(folder, 'back.safetensors')]
    const exported = await runProgram(['export', model, '--out', pth])
    ok(exported)
    expect(exported.out).toBe(`${pth}\n`)
    const imported = await runProgram(['import', pth, '--out', back, '--classes', 'a,b', '--json'])
    ok(imported)
    expect(JSON.parse(imported.out)).toMatchObject({
      path: back,
      config: { encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 } },
      classes: ['a', 'b'],
    })
    const onnx = join(folder, 'encoder.onnx')
    const graph = await runProgram(['export', back, '--out', onnx, '--layers', 'global,local7', '--json'])
    ok(graph)
    expect(JSON.parse(graph.out)).toMatchObject({ files: [onnx] })
    const wrong = await runProgram(['export', back, '--out', onnx, '--layers', 'local6'])
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('one of global, local5, local7') })
    const missing = await runProgram(['import', pth])
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('--out is missing') })
  })

  it('amdim embed and classify take the model that ships where none is named', async () => {
    const args = [pictures(), '--split', 'test', '--json']
    const env = { AMDIM_PRETRAINED: model }
    const embedded = await runProgram(['embed', ...args], { env })
    expect(embedded).toMatchObject({ code: 0, out: (await runProgram(['embed', model, ...args])).out })
    expect(embedded.err).toContain(`model: ${model}`)
    const classified = await runProgram(['classify', ...args], { env })
    expect(classified.err).toContain((await runProgram(['classify', model, ...args])).err)
    const missing = await runProgram(['embed', ...args], { env: { AMDIM_PRETRAINED: 'nowhere.safetensors' } })
    expect(missing.code).toBe(1)
    expect(missing.err).toContain('nowhere.safetensors')
  })

  it('amdim embed asks which split', async () => {
    const ended = await runProgram(['embed', model, pictures(), '--json'])
    expect(ended).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('--split train, --split test'),
    })
  })

  it('amdim evaluate prints a table beside its baselines, or JSON', async () => {
    const data = pictures()
    const common = ['evaluate', model, '--data', data, '--heads', 'linear,knn', '--k', '3', '--baselines']
    const text = await runProgram([...common, '--per-class'])
    ok(text)
    for (const row of ['raw pixels ', 'untrained encoder ', 'trained encoder ', 'chance 50.0 %', 'blue '])
      expect(text.out).toContain(row)
    const json = await runProgram([...common, '--json', '--quiet'])
    expect(json).toMatchObject({ code: 0, err: '' })
    const reports = JSON.parse(json.out)
    expect(Object.keys(reports)).toEqual(['rawPixels', 'untrained', 'model'])
    expect(reports.rawPixels.heads.linear).toMatchObject({ top1: 1, count: 6 })
  })

  it('amdim measure prints a table and the best of several, or JSON', async () => {
    const common = ['measure', model, model, '--data', pictures(), '--measures', 'rankMe,retrieval']
    const text = await runProgram([...common, '--recall-at', '1,2'])
    ok(text)
    for (const part of ['RankMe', 'mAP', '% at 2', '6 pictures, 16 values each', `best by rankMe: ${model}`])
      expect(text.out).toContain(part)
    const searched = await runProgram([...common, '--gallery', pictures(), '--json'])
    expect(JSON.parse(searched.out).models[0].report.retrieval).toMatchObject({ queries: 6, gallery: 16 })
    const json = await runProgram([...common, '--by', 'nmi', '--json', '--quiet'])
    expect(json).toMatchObject({ code: 0, err: '' })
    const { best, by, models } = JSON.parse(json.out)
    expect({ best, by, count: models.length }).toEqual({ best: model, by: 'nmi', count: 2 })
    expect(models[0].report.clustering).toMatchObject({ clusters: 2 })
  })

  it('amdim compare prints a table of paired tests, or JSON', async () => {
    const common = ['compare', 'rawPixels', model, '--data', pictures(), '--heads', 'knn', '--k', '3']
    const text = await runProgram([...common, '--resamples', '200'])
    ok(text)
    for (const part of ['difference', 'only second', 'knn']) expect(text.out).toContain(part)
    const json = await runProgram([...common, '--json', '--quiet'])
    expect(json).toMatchObject({ code: 0, err: '' })
    const { heads, first } = JSON.parse(json.out)
    expect(heads.knn.both + heads.knn.onlyFirst + heads.knn.onlySecond + heads.knn.neither).toBe(6)
    expect(first.heads.knn.top1).toBe(1)
  })

  it('amdim duplicates prints pairs and counts, or JSON', async () => {
    const common = ['duplicates', '--data', pictures(), '--similarity', '0.99']
    const text = await runProgram(common)
    ok(text)
    expect(text.out).toContain('of 6 test pictures')
    const json = await runProgram([...common, '--json', '--quiet'])
    expect(json).toMatchObject({ code: 0, err: '' })
    const { exact, near, pairs, testSize } = JSON.parse(json.out)
    expect({ pairs: pairs.length, testSize }).toEqual({ pairs: exact + near, testSize: 6 })
  })
})

describe('amdim estimate', () => {
  it('stops on Ctrl-C', async () => {
    const features = join(temporaryFolder(), 'features.npy')
    const data = Float32Array.from({ length: 400 }, (_, row) => Math.sin(row))
    writeFileSync(features, Buffer.concat([npyHeader([400, 1]), npyValues(data)]))
    let isStopped = false
    const onOutput = (text: string, kill: (signal: NodeJS.Signals) => void) => {
      if (isStopped || !text.includes('update 50')) return
      isStopped = true
      kill('SIGINT')
    }
    const ended = await runProgram(['estimate', features, features, '--updates', '100000000'], { onOutput })
    expect(ended).toMatchObject({ code: 130, out: '' })
    expect(ended.err).toContain('stopping after this update')
    expect(ended.err).toContain('[AMDIM_CANCELLED]')
  })
})

describe('amdim doctor and bench', () => {
  it('doctor says what is there', async () => {
    const text = await runProgram(['doctor', '--device', 'cpu'])
    expect(text.code, text.err + text.out).toBe(0)
    for (const part of ['addon ', 'device ', 'threads ', 'ok ']) expect(text.out).toContain(part)
    const json = await runProgram(['doctor', '--device', 'cpu', '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ ok: true })
  })

  it('bench ends with one JSON object', async () => {
    const flags =
      '--size 32 --ndf 4 --rkhs 16 --depth 1 --batch 4 --steps 2 --warmup 1 --mode train --threads 1'
    const ended = await runProgram([
      'bench',
      ...flags.split(' '),
      '--precision',
      'f32',
      '--executor',
      'auto',
      '--device',
      'cpu',
    ])
    expect(ended.code, ended.err).toBe(0)
    const result = JSON.parse(ended.out.trimEnd().split('\n').at(-1) ?? '')
    expect(result).toMatchObject({ steps: 2, threads: 1 })
    for (const key of ['images_per_s', 'median_s', 'max_rss_mb']) expect(result[key]).toBeGreaterThan(0)
  })
})
