import { describe, expect, it } from 'vitest'
import { type BenchOptions, bench, doctor } from '../../src/index.js'

describe('doctor', () => {
  it('finds the installation in order', async () => {
    const report = await doctor({ device: 'cpu' })
    expect(report).toMatchObject({
      ok: true,
      node: process.version,
      device: { requested: 'cpu', resolved: 'cpu' },
    })
    expect(report.checks.length).toBeGreaterThan(0)
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(report.threads).toBeGreaterThan(0)
  })

  it('names what is missing for a device that is not there', async () => {
    await expect(doctor({ device: 'cuda:99' })).rejects.toMatchObject({ code: 'AMDIM_DEVICE' })
  })
})

describe('bench', () => {
  it.each(['train', 'encode'] as const)('times %s', async (mode) => {
    const encoder = { baseWidth: 4, embeddingDim: 16, blockDepth: 1 }
    const result = await bench({
      mode,
      encoder,
      batchSize: 4,
      steps: 3,
      warmup: 1,
      threads: 1,
      device: 'cpu',
    })
    expect(result).toMatchObject({ steps: 3, threads: 1, device: 'cpu' })
    expect(result.images_per_s).toBeCloseTo(4 / result.median_s, 3)
    expect(result.min_s).toBeLessThanOrEqual(result.median_s)
    expect(result.median_s).toBeLessThanOrEqual(result.max_s)
    expect(result.max_rss_mb).toBeGreaterThan(0)
    expect(result.last_loss === null).toBe(mode === 'encode')
  })

  it('refuses bad options', async () => {
    await expect(bench({ batch: 3 } as BenchOptions)).rejects.toThrow('unknown option "batch"; did you mean')
    await expect(bench({ steps: 0 })).rejects.toThrow('steps: expected a whole number >= 1, got 0')
  })
})
