import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { npyHeader, npyValues } from '../../src/cli/npy.js'
import { runCli } from '../../src/cli/run-cli.js'
import { Terminal } from '../../src/cli/terminal.js'
import { temporaryFolder, write, writePictures } from '../support/folder.js'
import { MemoryStream } from '../support/memory-stream.js'
import { TINY_FLAGS } from '../support/tiny.js'

async function run(...args: string[]) {
  const [out, err] = [new MemoryStream(), new MemoryStream()]
  const code = await runCli(args, new Terminal(out, err, {}))
  return { code, out: out.text, err: err.text }
}

const COMMANDS = [
  ...['train', 'embed', 'evaluate', 'measure', 'compare', 'duplicates', 'inspect', 'import', 'export'],
  ...['augment', 'experiment', 'train-classifiers', 'classify', 'estimate', 'search'],
  ...['plan', 'download', 'doctor', 'bench'],
]

describe('amdim', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  it('prints help on standard output, or on standard error with code 2 when nothing is asked', async () => {
    const help = await run('--help')
    expect(help).toMatchObject({ code: 0, err: '' })
    for (const command of COMMANDS) expect(help.out).toContain(`\n  ${command} `)
    expect(await run()).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('usage: amdim COMMAND'),
    })
  })

  it.each(COMMANDS)('has help for %s', async (command) => {
    const { code, out, err } = await run(command, '--help')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(new RegExp(`^usage: amdim ${command} .*\\[options\\]`))
    expect(out).toContain('--quiet')
  })

  it.each(COMMANDS)('has no name for two flags of %s', async (command) => {
    const { out } = await run(command, '--help')
    const names = [...out.matchAll(/^ {2}--([a-z][\w.-]*)/gm)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(1)
    expect(names.filter((name, i) => names.indexOf(name) < i)).toEqual([])
  })

  it('draws as many columns as it is asked for, of the views of the configuration', async () => {
    const folder = temporaryFolder()
    writePictures(join(folder, 'pictures'), { perClass: 2 })
    const sheet = async (...flags: string[]) => {
      const place = ['--data', join(folder, 'pictures'), '--sheet', join(folder, 'sheet.png')]
      const { code, out, err } = await run('augment', ...place, '--pictures', '2', '--json', ...flags)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      return JSON.parse(out)
    }
    const [narrow, wide] = [
      await sheet('--columns', '2', '--views', 'patches'),
      await sheet('--columns', '5'),
    ]
    expect(wide.width).toBeGreaterThan(narrow.width)
    expect(narrow.rows).toHaveLength(2)
  })

  it('documents every flag of the configuration under train', async () => {
    const { out } = await run('train', '--help')
    for (const flag of [
      '--base-width',
      '--learning-rate',
      '--augment.crop.scale',
      '--on-bad-image',
      '--minutes',
    ])
      expect(out).toContain(`  ${flag} `)
    expect(out).toContain('--[no-]batch-norm')
    expect(out).toContain('places205')
  })

  it.each([
    [['trian'], 'unknown command "trian"; did you mean "train"?'],
    [['--verison'], 'unknown option --verison'],
    [['train'], '--data is missing'],
    [['train', '--epocs', '3'], 'unknown option --epocs for "amdim train"; did you mean --epochs?'],
    [['train', '--data', 'x', '--learning-rate', 'NaN'], 'optimizer.learningRate: expected a number > 0'],
    [['train', '--data', 'x', '--minutes', 'ten'], 'length.minutes: expected a number > 0, got "ten"'],
    [['train', '--data', 'x', '--minutes', '1', '--epochs', '1'], 'cannot be given together'],
    [['train', '--data', 'x', '--preset', 'cifar11'], 'preset: expected one of tiny, cifar10'],
    [['train', '--data', 'x', 'y'], 'unexpected argument "y"'],
    [['embed', 'model.safetensors'], 'PICTURES... is missing'],
    [['classify', 'model.safetensors'], 'PICTURES... is missing'],
    [['embed'], 'PICTURES... is missing'],
    [['classify', 'cat.jpg', '--top', '1.5'], '--top: expected a whole number from 1, got 1.5'],
    [['search', 'cat.jpg'], '--in is missing'],
    [['search', 'cat.jpg', '--in', 'x.npy', '--k', '0'], '--k: expected a whole number from 1, got 0'],
    [
      ['embed', 'model', 'pictures', '--out', 'a.csv'],
      '--out: expected a file named *.npy, *.parquet or *.jsonl',
    ],
    [['evaluate', 'model'], '--data is missing'],
    [['measure'], 'MODEL... is missing'],
    [['measure', 'model'], '--data is missing'],
    [['measure', 'model', '--data', 'x', '--by', 'rank'], 'by: expected one of rankMe, effectiveRank'],
    [['measure', 'model', '--data', 'x', '--measures', 'rank'], 'measures.0: expected one of rankMe'],
    [['compare', 'model', '--data', 'x'], 'MODEL is missing'],
    [['compare', 'a', 'b', '--data', 'x', '--resamples', '9'], 'resamples: expected a whole number >= 100'],
    [['duplicates'], '--data is missing'],
    [['duplicates', '--data', 'x', '--similarity', '2'], 'similarity: expected a number > 0 and <= 1'],
    [['estimate', 'x.npy'], 'Y is missing'],
    [['estimate', 'x.npy', 'y.npy', '--bond', 'dv'], 'did you mean --bound?'],
    [['inspect'], 'FILE is missing'],
    [['inspect', 'a', 'b'], 'unexpected argument "b"'],
    [['plan'], 'CONFIG is missing'],
    [['plan', 'cifar11'], 'CONFIG: expected one of tiny, cifar10'],
    [
      ['plan', 'tiny', '--picture', '3'],
      'unknown option --picture for "amdim plan"; did you mean --pictures?',
    ],
    [['plan', 'tiny', '--pictures', '63'], 'pictures: expected at least a batch (64), got 63'],
    [['plan', 'tiny', '--base-width', '0'], 'encoder.baseWidth: expected a whole number >= 1'],
    [['bench', '--size', '33'], 'encoder.encoderSize: expected one of 28, 32, 64, 128, got 33'],
    [['bench', '--precision', 'f16'], 'precision: expected one of auto, f32, bf16, got "f16"'],
    [['bench', '--batch', '1'], 'batchSize: expected a whole number >= 2'],
    [['doctor', '--device', 'gpu'], 'device: expected auto, cpu, cuda, cuda:N or metal, got "gpu"'],
  ])('%j is a usage error: one line and a hint', async (args, message) => {
    const { code, out, err } = await run(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
    expect(err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^amdim: /),
      expect.stringMatching(/^hint: /),
    ])
  })

  it('plans a run from a preset or a file, and flags', async () => {
    const length = ['--epochs', '2', '--pictures', '80']
    const { code, out, err } = await run('plan', 'tiny', ...TINY_FLAGS, ...length)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^speed {7}[\d.]+ pairs\/s: .* an update of 8 pictures/)
    expect(out).toMatch(/^length {6}20 updates, 2 epochs of 10 updates, /m)
    expect(out).toMatch(/^memory .* at its peak/m)
    expect(out).toMatch(/^maps and their gradients /m)
    const file = write(join(temporaryFolder(), 'a.yaml'), 'preset: cifar10\nlength: { updates: 7 }\n')
    const json = await run('plan', file, ...TINY_FLAGS, '--json')
    expect(json).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(json.out)).toMatchObject({ batchSize: 8, updates: 7, epochs: null })
    const missing = await run('plan', join(temporaryFolder(), 'none.yaml'))
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('[AMDIM_IO]') })
  })

  describe('estimate', () => {
    const QUICK = ['--updates', '100', '--units', '8', '--batch-size', '32', '--learning-rate', '5e-3']
    /** A file of one value a row. */
    const features = (value: (row: number) => number, rows = 400) => {
      const data = Float32Array.from({ length: rows }, (_, row) => value(row))
      const bytes = Buffer.concat([npyHeader([rows, 1]), npyValues(data)])
      return write(join(temporaryFolder(), 'features.npy'), bytes)
    }
    const pair = () => [features(Math.sin), features((row) => 2 * Math.sin(row))] as const

    it('prints what two files share, and each evaluation to standard error', async () => {
      const { code, out, err } = await run('estimate', ...pair(), ...QUICK)
      expect(code, err).toBe(0)
      expect(out).toMatch(/^information {2}[\d.]+ nats \([\d.]+ bits\)\n/)
      expect(out).toMatch(/^deviation {4}[\d.]+ nats \([\d.]+ bits\) /m)
      expect(out).toMatch(/^limit {8}3.4657 nats \(5.0000 bits\) of info-nce/m)
      expect(out).toMatch(/^critic {7}separable, trained on 300 samples, 100 held out$/m)
      expect(err.trimEnd().split('\n')).toEqual([
        expect.stringMatching(/^update 50 {2}[\d.]+ nats held out, [\d.]+ in training$/),
        expect.stringMatching(/^update 100 /),
      ])
    })

    it('takes the options of the schema, and writes JSON alone when quiet', async () => {
      const options = ['--bound', 'dv', '--critic', 'dot', '--negatives', '4', '--evaluate-every', '25']
      const args = [...pair(), ...QUICK, ...options, '--json', '--quiet']
      const { code, out, err } = await run('estimate', ...args)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      const found = JSON.parse(out)
      expect(found).toMatchObject({ bound: 'dv', critic: 'dot', limit: null, trainSize: 300 })
      expect(found.curve).toHaveLength(4)
      const again = await run('estimate', ...args, '--threads', '1')
      expect(JSON.parse(again.out)).toEqual(found)
    })

    it.each([
      [
        () => [features(Math.sin), join(temporaryFolder(), 'none.npy')],
        1,
        /^amdim: Y: .*none\.npy cannot be read: .*\[AMDIM_IO\]/,
      ],
      [
        () => [features(Math.sin), features(Math.cos, 399)],
        1,
        /^amdim: y: .* as x \(400\), got 399 \[AMDIM_SHAPE\]/,
      ],
      [
        () => [features(Math.sin), write(join(temporaryFolder(), 'y.npy'), 'text')],
        1,
        /^amdim: Y: .*\[AMDIM_DATA\]/,
      ],
      [() => [features(Math.sin), features(() => Number.NaN)], 1, /\[AMDIM_NON_FINITE\]/],
      [
        () => [...pair(), '--bound', 'jsd'],
        2,
        /^amdim: bound: .* not mutual information \[AMDIM_INVALID_ARGUMENT\]\nhint: /,
      ],
      [
        () => [...pair(), '--updates', 'many'],
        2,
        /^amdim: updates: expected a whole number >= 1, got "many"/,
      ],
    ])('refuses bad input %#', async (args, expected, message) => {
      const { code, out, err } = await run('estimate', ...args())
      expect({ code, out }).toEqual({ code: expected, out: '' })
      expect(err).toMatch(message)
    })
  })

  it('fails with 1 when the data is not there', async () => {
    const { code, err } = await run('train', '--data', join(temporaryFolder(), 'none'))
    expect(code).toBe(1)
    expect(err).toContain('[AMDIM_IO]')
  })

  it('reads a config file below the flags', async () => {
    const config = write(join(temporaryFolder(), 'a.yaml'), 'batchSize: 0\n')
    const [bad, good] = await Promise.all([
      run('train', '--data', 'none', '--config', config),
      run('train', '--data', 'none', '--config', write(join(temporaryFolder(), 'b.yaml'), 'batchSize: 8\n')),
    ])
    expect(bad).toMatchObject({
      code: 2,
      err: expect.stringContaining('batchSize: expected a whole number >= 2'),
    })
    expect(good).toMatchObject({ code: 1, err: expect.stringContaining('[AMDIM_IO]') })
  })
})
