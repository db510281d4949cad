import { assertPath } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import { Embedding } from '../model/embedding.js'
import { addon, unwrap } from '../native.js'

/**
 * Writes features with names and labels as a Parquet table: the columns `name` (text), `label` (integer, null where there
 * is none) and `embedding` (a list of 32-bit floats; the maps of a local layer lie flat, and their shape is in the file's
 * metadata under `amdim.shape`). The file is written aside and renamed.
 *
 * @param path - the file to write
 * @param embedding - what `AmdimModel.embed` returned
 * @throws {@link AmdimError} `AMDIM_IO` when it cannot be written
 * @example
 * ```ts
 * import { AmdimModel, writeParquet } from 'amdim';
 *
 * using model = await AmdimModel.load('runs/first/model.safetensors');
 * await writeParquet('features.parquet', await model.embed('photos'));
 * ```
 */
export async function writeParquet(path: string, embedding: Embedding): Promise<void> {
  assertPath('path', path)
  if (!(embedding instanceof Embedding)) throw invalidArgument('embedding', 'an Embedding', embedding)
  const { data, shape, labels, names } = embedding
  unwrap(await addon().writeTable(path, data, shape.slice(1), labels, names))
}
