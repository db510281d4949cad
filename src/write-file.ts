import { open, rename, rm } from 'node:fs/promises'
import { AmdimError } from './errors.js'

/**
 * Writes a file aside and renames it, so that one that was there before is whole until the new one is.
 *
 * @throws AmdimError `AMDIM_IO` when it cannot be written
 */
export async function writeFileWhole(path: string, parts: Iterable<string | Uint8Array>): Promise<void> {
  const aside = `${path}.${process.pid}.part`
  try {
    const file = await open(aside, 'w')
    try {
      for (const part of parts) await file.writeFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(aside, path)
  } catch (cause) {
    await rm(aside, { force: true })
    throw new AmdimError(
      'AMDIM_IO',
      `${path} cannot be written: ${(cause as Error).message}`,
      { path },
      { cause },
    )
  }
}
