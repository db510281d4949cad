import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { AmdimError, type Embedding, type Features, type Layer } from '../index.js'
import { writeFileWhole } from '../write-file.js'
import { npyHeader, npyValues, readNpy } from './npy.js'

/** Features with the names of their pictures, and what they were made of, as far as that is known. */
export interface FeatureFile extends Features {
  names: readonly string[]
  /** SHA-256 of the model file, in hexadecimal. */
  model?: string
  layer?: Layer
}

/** What a file of features says beside its values: all but the values of an `.npy` file. */
interface Notes extends Omit<FeatureFile, 'data'> {
  labels: readonly number[]
  skipped: Embedding['skipped']
}

/** The file of names that lies beside an `.npy` file. */
export function notesPath(path: string): string {
  return path.replace(/\.npy$/, '.json')
}

/**
 * Writes `features.npy`, and `features.json` beside it: names, labels, model and layer.
 *
 * @param model - SHA-256 of the model file
 */
export async function writeFeatureFile(
  path: string,
  { data, shape, names, labels, skipped, layer }: Embedding,
  model: string,
): Promise<void> {
  const notes: Notes = { shape, names, labels: [...labels], skipped, model, layer }
  await writeFileWhole(path, [npyHeader(shape), npyValues(data)])
  await writeFileWhole(notesPath(path), [`${JSON.stringify(notes, null, 1)}\n`])
}

/**
 * Features with the names of their pictures. Without a `features.json` beside it (a file of NumPy's) rows are named by
 * their numbers, and nothing is known of a model.
 *
 * @param name - what the file is called in messages
 * @throws AmdimError `AMDIM_IO` for a file that cannot be read, `AMDIM_DATA` for one of another kind, or names that are
 *   not those of its rows
 */
export async function readFeatureFile(name: string, path: string): Promise<FeatureFile> {
  const { data, shape } = await readNpy(name, path)
  const beside = notesPath(path)
  const text = await readFile(beside, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    const message = `${name}: ${beside} cannot be read: ${cause.message}`
    throw new AmdimError('AMDIM_IO', message, { name, path: beside }, { cause })
  })
  const rows = shape[0] ?? 0
  if (text === undefined) return { data, shape, names: Array.from({ length: rows }, (_, i) => String(i)) }
  const notes = parse(text)
  if (!Array.isArray(notes?.names) || notes.names.length !== rows) {
    const expected = `a name for each of the ${rows} rows of ${path}`
    const actual = Array.isArray(notes?.names) ? `${notes.names.length} names` : 'none'
    throw new AmdimError(
      'AMDIM_DATA',
      `${name}: ${beside}: expected ${expected}, got ${actual}; amdim embed writes both files`,
      { name, path: beside, expected, actual },
    )
  }
  const { names, model, layer } = notes
  return { data, shape, names, ...(model !== undefined && { model }), ...(layer !== undefined && { layer }) }
}

function parse(text: string): Partial<Notes> | undefined {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined
  }
}

/** SHA-256 of a file, in hexadecimal, as `sha256sum` prints it. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
