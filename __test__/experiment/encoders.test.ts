import { describe, expect, it } from 'vitest'
import { encoders } from '../../src/experiment/encoders.js'
import type { EncoderConfig } from '../../src/index.js'
import { addon, unwrapJson } from '../../src/native.js'

/** Multiplications of a picture in the encoder of a row. */
function cost(settings: unknown): number {
  const { encoder } = (settings as { config: { encoder: EncoderConfig } }).config
  return unwrapJson<{ multiplyAdds: number }>(addon().encoderInfo(JSON.stringify(encoder))).multiplyAdds
}

describe('the experiment on encoders', () => {
  it.each(['tiny', 'paper'] as const)('compares encoders of equal cost at %s scale', async (scale) => {
    const [first, ...others] = await encoders.rows(scale)
    for (const row of others) {
      const ratio = cost(row.settings) / cost(first?.settings)
      expect(ratio, row.name).toBeGreaterThan(1 - 1 / 7)
      expect(ratio, row.name).toBeLessThan(1 + 1 / 7)
    }
  })
})
