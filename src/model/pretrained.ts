import { fileURLToPath } from 'node:url'

/** Name of the model that ships with the package; `models/README.md` describes it. */
export const PRETRAINED = 'tiny-cifar10'

/** Path of its file. */
export function pretrainedPath(): string {
  return fileURLToPath(new URL(`../../models/${PRETRAINED}.safetensors`, import.meta.url))
}
