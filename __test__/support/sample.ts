import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { decodeTar } from './tar.js'

/** Path of the embedded sample of CIFAR-10. */
export const SAMPLE = fileURLToPath(new URL('../../data/cifar10-sample.tar.gz', import.meta.url))

/** A JPEG file of the sample. */
export function sampleJpeg(): Uint8Array {
  const files = decodeTar(gunzipSync(readFileSync(SAMPLE)))
  const jpeg = [...files].find(([path]) => path.endsWith('.jpg'))
  if (jpeg === undefined) throw new Error(`${SAMPLE} holds no JPEG file`)
  return jpeg[1]
}
