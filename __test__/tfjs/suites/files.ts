import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadLayersModel, saveLayersModel, type TensorFlow } from '../../../src/tfjs/index.js'
import { temporaryFolder } from '../../support/folder.js'

/** Files in the tfjs layers format, with either module. */
export function describeFiles(load: () => Promise<TensorFlow>): void {
  async function saved(units = 2) {
    const tf = await load()
    const folder = join(temporaryFolder(), 'model')
    const model = tf.sequential({ layers: [tf.layers.dense({ units, inputShape: [3] })] })
    await saveLayersModel(tf, model, folder)
    return { tf, model, folder, weights: readdirSync(folder).find((file) => file.endsWith('.bin')) ?? '' }
  }

  describe('saveLayersModel and loadLayersModel', () => {
    it('keep a model', async () => {
      const { tf, model, folder } = await saved()
      const before = tf.memory().numTensors
      const loaded = await loadLayersModel(tf, folder)
      const values = (of: typeof loaded) => of.getWeights().map((tensor) => tensor.dataSync())
      expect(values(loaded)).toEqual(values(model))
      loaded.dispose()
      expect(tf.memory().numTensors).toBe(before)
    })

    it('replace a model and leave nothing of the old one', async () => {
      const { tf, folder, weights } = await saved()
      const other = tf.sequential({ layers: [tf.layers.dense({ units: 5, inputShape: [3] })] })
      await saveLayersModel(tf, other, folder)
      const files = readdirSync(folder)
      expect(files).toHaveLength(2)
      expect(files).not.toContain(weights)
      const loaded = await loadLayersModel(tf, folder)
      expect(loaded.outputs[0]?.shape).toEqual([null, 5])
    })

    it('say when a file is missing, truncated or none of theirs', async () => {
      const { tf, model, folder, weights } = await saved()
      const path = join(folder, 'model.json')
      const text = readFileSync(path, 'utf8')
      const loading = () => loadLayersModel(tf, folder)
      await expect(loadLayersModel(tf, join(folder, 'none'))).rejects.toMatchObject({ code: 'AMDIM_IO' })
      for (const damaged of [text.slice(0, 100), '[]', 'null', '{"modelTopology": {}}']) {
        writeFileSync(path, damaged)
        await expect(loading(), damaged).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
      }
      writeFileSync(path, text.replace(weights, `../${weights}`))
      await expect(loading()).rejects.toThrow('expected the name of a file of weights')
      writeFileSync(path, text.replace('"Dense"', '"Sparse"'))
      await expect(loading()).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
      writeFileSync(path, text)
      truncateSync(join(folder, weights), 5)
      await expect(loading()).rejects.toThrow('expected 32 bytes of weights, got 5')
      writeFileSync(join(folder, 'plain'), '')
      const blocked = saveLayersModel(tf, model, join(folder, 'plain'))
      await expect(blocked).rejects.toMatchObject({ code: 'AMDIM_IO' })
    })
  })
}
