import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AugmentSheetOptions, augmentSheet, type ConfigOverrides } from '../../src/index.js'
import { temporaryFolder, write } from '../support/folder.js'
import { SAMPLE } from '../support/sample.js'
import { colours } from '../support/tiny.js'

const rotated: ConfigOverrides = { augment: { policy: [[['Rotate', 1, 0.75]]] } }

const sheet = async (options: Partial<AugmentSheetOptions> = {}) => {
  const output = join(temporaryFolder(), 'sheet.png')
  return augmentSheet({ data: SAMPLE, output, pictures: 2, views: 3, scale: 2, ...options })
}

describe('augmentSheet', () => {
  it('draws each picture and its views, and says what the policy did', async () => {
    const drawn = await sheet({ config: rotated })
    expect(drawn).toMatchObject({ width: 4 * 68 + 8, height: 2 * 68 + 4, skipped: [] })
    expect(drawn.rows).toHaveLength(2)
    for (const { name, views } of drawn.rows) {
      expect(name).toMatch(/\.jpg$/)
      expect(views.map(({ epoch, view }) => [epoch, view])).toEqual([
        [0, 0],
        [0, 1],
        [1, 0],
      ])
      for (const { policy } of views) {
        expect(policy).toMatchObject({ subPolicy: 0, steps: [{ operation: 'rotate' }] })
        expect(Math.abs(policy?.steps[0]?.['degrees'] as number)).toBe(15)
      }
    }
    const png = readFileSync(drawn.output)
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([drawn.width, drawn.height])
  })

  it('is the same each time, and another for another policy', async () => {
    const bytes = async (config?: ConfigOverrides) =>
      readFileSync((await sheet(config ? { config } : {})).output).toString('base64')
    const plain = await bytes()
    expect(await bytes()).toBe(plain)
    const policy = 'fast-autoaugment-cifar10'
    expect(await bytes({ augment: { policy } })).not.toBe(plain)
    expect((await sheet()).rows[0]?.views[0]?.policy).toBeNull()
  })

  it('draws views of 128 pixels where no scale is given, and no more rows than pictures', async () => {
    const drawn = await sheet({ data: await colours(3), pictures: 50, views: 1, scale: null })
    expect(drawn).toMatchObject({ width: 2 * 132 + 8, height: 3 * 132 + 4 })
  })

  it('leaves out pictures that cannot be read, when told to', async () => {
    const folder = temporaryFolder()
    write(join(folder, 'bad.jpg'), 'no picture')
    await expect(sheet({ data: folder })).rejects.toMatchObject({ code: 'AMDIM_DECODE' })
    const drawn = await sheet({ data: folder, onBadImage: 'skip' })
    expect(drawn).toMatchObject({ rows: [], skipped: [{ name: 'bad.jpg', code: 'AMDIM_DECODE' }] })
  })

  it.each<[Partial<AugmentSheetOptions>, string, string]>([
    [{ views: 0 }, 'AMDIM_INVALID_ARGUMENT', 'views: expected a whole number >= 1'],
    [{ pictures: 5000, views: 10_000, scale: 64 }, 'AMDIM_LIMIT', 'the sheet has'],
    [{ output: join('no', 'such', 'folder', 'x.png') }, 'AMDIM_IO', 'x.png'],
    [
      { config: { augment: { policy: [[['Rotat', 1, 1]]] as never } } },
      'AMDIM_INVALID_ARGUMENT',
      'augment.policy.0.0.0: expected one of ShearX',
    ],
    [{ view: 3 } as never, 'AMDIM_INVALID_ARGUMENT', 'did you mean "views"?'],
    [{ signal: AbortSignal.abort() }, 'AMDIM_CANCELLED', 'cancelled'],
  ])('refuses %j', async (options, code, message) => {
    await expect(sheet(options)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
    expect(existsSync(options.output ?? 'none')).toBe(false)
  })
})
