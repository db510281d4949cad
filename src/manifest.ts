import { readFileSync } from 'node:fs'

/** What the package says of itself, as far as it needs it itself. */
interface Manifest {
  name: string
  version: string
  napi?: { packageName?: string }
}

/** Reads the package's own package.json. */
export function readManifest(): Manifest {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest
}
