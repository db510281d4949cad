import { join } from 'node:path'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { assertPath } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import { type DownloadName, findEntry } from './catalogue.js'

/** How far a download has come. */
export interface DownloadProgress {
  /** Name of the file. */
  file: string
  /** Bytes of it that are there. */
  received: number
  /** Bytes that it will have; `null` where the server does not say. */
  total: number | null
}

/** Options of {@link download}. */
export interface DownloadOptions {
  /**
   * Folder for the data set's own folder.
   *
   * @default 'data'
   */
  out?: string
  /**
   * Address of a folder with the same files, in place of the official one. Checksums stay the same.
   *
   * @default the official address
   */
  mirror?: string
  /**
   * Attempts after a broken connection, each going on where the one before ended; 0 to 100.
   *
   * @default 5
   */
  retries?: number
  /** Stops the download; it then rejects with `AMDIM_CANCELLED`, and another call goes on. */
  signal?: AbortSignal
  /** Hears how far the download has come. */
  onProgress?: (progress: DownloadProgress) => void
}

/** A data set on this machine. */
export interface DownloadedDataset {
  /** What to open, as `openDataset(path)`: the archive, or the folder. */
  path: string
  /** The files. */
  files: string[]
  /** Those that were fetched now; the others were there. */
  fetched: string[]
}

/** Milliseconds before the second attempt. */
const RETRY_DELAY_MS = 1000

/**
 * Fetches a data set from its official address: `cifar10`, `cifar100`, `stl10` or `mnist`.
 *
 * Files are written aside and get their name once their checksum (MD5, as published) is right. A broken download is
 * gone on with, now or by a later call. Proxies are those of `https_proxy`, `http_proxy` and `no_proxy`. ImageNet and
 * Places205 ask for a registration; for these names the error says what to get and where to put it.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for another name, `AMDIM_NETWORK` when the server cannot be reached
 *   or breaks off again and again, `AMDIM_DATA` for wrong bytes, `AMDIM_IO` when a file cannot be written,
 *   `AMDIM_CANCELLED` when the signal aborts
 * @example
 * ```ts
 * import { download, openDataset } from 'amdim';
 *
 * const { path } = await download('cifar10');
 * const { train, test } = await openDataset(path);
 * ```
 */
export async function download(
  name: DownloadName,
  options: DownloadOptions = {},
): Promise<DownloadedDataset> {
  assertKnownKeys(options, ['out', 'mirror', 'retries', 'signal', 'onProgress'], 'download')
  const entry = findEntry(name)
  const { out = 'data', mirror, retries = 5, signal, onProgress } = options
  assertPath('out', out)
  const isCount = Number.isInteger(retries) && retries >= 0 && retries <= 100
  if (!isCount) throw invalidArgument('retries', 'a whole number from 0 to 100', retries)
  assertSignal(signal)
  // Loaded when used, so that importing the package stays quick.
  const { transfer } = await import('./transfer.js')
  const base = mirror === undefined ? entry.base : mirrorBase(mirror)
  const folder = join(out, name)
  const files: string[] = []
  const fetched: string[] = []
  for (const { name: file, md5 } of entry.files) {
    const path = join(folder, file)
    const isNew = await transfer({
      url: new URL(file, base).href,
      path,
      md5,
      signal,
      retries,
      retryDelayMs: RETRY_DELAY_MS,
      onBytes: (received, total) => onProgress?.({ file, received, total }),
      env: process.env,
    })
    files.push(path)
    if (isNew) fetched.push(path)
  }
  const [only = folder, second] = files
  return { path: second === undefined ? only : folder, files, fetched }
}

function mirrorBase(mirror: unknown): string {
  const isAddress = typeof mirror === 'string' && /^https?:\/\//.test(mirror) && URL.canParse(mirror)
  if (!isAddress) throw invalidArgument('mirror', 'an address that begins with http:// or https://', mirror)
  return mirror.endsWith('/') ? mirror : `${mirror}/`
}
