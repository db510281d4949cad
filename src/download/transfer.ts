import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { AmdimError } from '../errors.js'
import { connector } from './proxy.js'

/** A file to fetch. */
export interface Transfer {
  url: string
  path: string
  /** In hexadecimal. */
  md5: string
  signal?: AbortSignal | undefined
  /** Attempts after the first. */
  retries: number
  /** Milliseconds before the first of them; each later one waits twice as long, 30 s at most. */
  retryDelayMs: number
  /** Hears the bytes that are there and those that there will be, where the server says so. */
  onBytes: (received: number, total: number | null) => void
  /** Environment with the proxies. */
  env: NodeJS.ProcessEnv
  /** Milliseconds of silence after which a connection counts as broken. */
  silenceMs?: number
}

const LONGEST_DELAY_MS = 30_000

/** A failure of the connection: another attempt may do better. */
class Broken extends Error {}

/**
 * Fetches a file, unless it is there: into `PATH.part`, which a later call goes on with, and under its name once its
 * checksum is right.
 *
 * @returns whether anything was fetched
 * @throws {@link AmdimError} `AMDIM_NETWORK` when all attempts failed, `AMDIM_DATA` for wrong bytes, which are deleted,
 *   `AMDIM_IO` when the file cannot be written, `AMDIM_CANCELLED` when the signal aborts
 */
export async function transfer(options: Transfer): Promise<boolean> {
  const { path, md5, signal } = options
  const part = `${path}.part`
  await onDisk(path, () => mkdir(dirname(path), { recursive: true }))
  if ((await sizeOf(path)) !== null) {
    const found = await md5Of(path, signal)
    if (found === md5) return false
    throw new AmdimError(
      'AMDIM_DATA',
      `${path} is there with other bytes: expected MD5 ${md5}, got ${found}; move it away to fetch it again`,
      { path, expected: md5, actual: found },
    )
  }
  await attempts(options, part)
  const found = await md5Of(part, signal)
  if (found !== md5) {
    // A part of wrong bytes is no start for another try.
    await discard(part)
    throw new AmdimError(
      'AMDIM_DATA',
      `${options.url} sent wrong bytes: expected MD5 ${md5}, got ${found}; they were deleted, try again`,
      { path, url: options.url, expected: md5, actual: found },
    )
  }
  await onDisk(path, () => rename(part, path))
  await rm(`${part}.json`, { force: true })
  return true
}

async function attempts(options: Transfer, part: string): Promise<void> {
  const { url, signal, retries, retryDelayMs } = options
  for (let attempt = 0; ; attempt += 1) {
    assertGoesOn(url, signal)
    try {
      return await attemptOnce(options, part)
    } catch (error) {
      assertGoesOn(url, signal)
      if (!(error instanceof Broken)) throw error
      if (attempt >= retries)
        throw new AmdimError(
          'AMDIM_NETWORK',
          `${url} cannot be fetched (${attempt + 1} attempts): ${error.message}; what has come is kept, try again`,
          { url, attempts: attempt + 1 },
          { cause: error },
        )
      const delay = Math.min(LONGEST_DELAY_MS, retryDelayMs * 2 ** attempt)
      await sleep(delay, undefined, { ...(signal && { signal }) }).catch(() => {})
    }
  }
}

function assertGoesOn(url: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new AmdimError('AMDIM_CANCELLED', `the download of ${url} was cancelled; what has come is kept`, {
      url,
    })
}

async function attemptOnce(options: Transfer, part: string): Promise<void> {
  const { url, signal, env, silenceMs } = options
  const start = await startOf(part, url)
  const dispatcher = await connector(new URL(url), env, silenceMs)
  try {
    const response = await send(url, dispatcher, signal, start)
    const { statusCode } = response
    const isRest = statusCode === 206 && start !== null && firstByteOf(response) === start.bytes
    if (!isRest && statusCode !== 200) {
      await response.body.dump().catch(() => {})
      return await refused(options, part, statusCode)
    }
    const from = isRest && start !== null ? start.bytes : 0
    await receive(options, part, response, from)
  } finally {
    await dispatcher.destroy().catch(() => {})
  }
}

async function send(
  url: string,
  dispatcher: Dispatcher,
  signal: AbortSignal | undefined,
  start: Start | null,
): Promise<Dispatcher.ResponseData> {
  const headers = {
    'user-agent': 'amdim',
    // The checksum is that of the file as it lies on the server.
    'accept-encoding': 'identity',
    ...(start !== null && { range: `bytes=${start.bytes}-`, 'if-range': start.validator }),
  }
  // Loaded when needed, so that importing the package stays quick.
  const { request } = await import('undici')
  try {
    const response = await request(url, {
      dispatcher,
      headers,
      maxRedirections: 5,
      ...(signal && { signal }),
    })
    // The connection may break before the body is read; reading reports it.
    response.body.on('error', () => {})
    return response
  } catch (cause) {
    throw new Broken(reasonOf(cause), { cause })
  }
}

/** What to make of a status that brings no bytes. */
async function refused({ url }: Transfer, part: string, status: number): Promise<never> {
  if (status === 416 || status === 206) {
    // The part is longer than the file, or the rest begins elsewhere: the next attempt starts anew.
    await discard(part)
    throw new Broken(`the server does not have the rest that was asked for (status ${status})`)
  }
  if (status >= 500 || status === 408 || status === 429)
    throw new Broken(`the server answers with status ${status}`)
  throw new AmdimError(
    'AMDIM_NETWORK',
    `${url} cannot be fetched: the server answers with status ${status}`,
    {
      url,
      status,
    },
  )
}

/** Appends what the server sends to the part. */
async function receive(
  { url, path, onBytes }: Transfer,
  part: string,
  response: Dispatcher.ResponseData,
  from: number,
): Promise<void> {
  const total = lengthOf(response, from)
  let received = from
  const file = await onDisk(path, () => open(part, from > 0 ? 'r+' : 'w'))
  try {
    if (from === 0) await onDisk(path, () => noteValidator(part, url, response))
    onBytes(received, total)
    for await (const chunk of bodyOf(response)) {
      await onDisk(path, () => writeAll(file, chunk, received))
      received += chunk.length
      onBytes(received, total)
    }
    await onDisk(path, () => file.sync().catch(ignoreUnsupported))
  } finally {
    await file.close()
  }
  if (total !== null && received !== total)
    throw new Broken(`the server announced ${total} bytes and sent ${received}`)
}

async function* bodyOf(response: Dispatcher.ResponseData): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response.body) yield chunk as Buffer
  } catch (cause) {
    throw new Broken(reasonOf(cause), { cause })
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

/** Devices and some network file systems cannot be told to write out. */
function ignoreUnsupported(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EINVAL' && error.code !== 'ENOTSUP') throw error
}

/** Where an earlier attempt had come, and what tells whether the server's file is still the same. */
interface Start {
  bytes: number
  validator: string
}

async function startOf(part: string, url: string): Promise<Start | null> {
  const bytes = await sizeOf(part)
  if (bytes === null || bytes === 0) return null
  try {
    const noted = JSON.parse(await readFile(`${part}.json`, 'utf8')) as { url?: unknown; validator?: unknown }
    if (noted.url !== url || typeof noted.validator !== 'string') return null
    return { bytes, validator: noted.validator }
  } catch {
    return null
  }
}

/** Keeps what If-Range needs; a weak tag does not promise equal bytes. */
async function noteValidator(part: string, url: string, response: Dispatcher.ResponseData): Promise<void> {
  const { etag, 'last-modified': modified } = response.headers
  const validator = typeof etag === 'string' && !etag.startsWith('W/') ? etag : modified
  if (typeof validator === 'string') await writeFile(`${part}.json`, JSON.stringify({ url, validator }))
  else await rm(`${part}.json`, { force: true })
}

function firstByteOf(response: Dispatcher.ResponseData): number {
  const match = /^bytes (\d+)-/.exec(String(response.headers['content-range'] ?? ''))
  return match === null ? -1 : Number(match[1])
}

/** Bytes of the whole file, where the server says it. */
function lengthOf(response: Dispatcher.ResponseData, from: number): number | null {
  const length = Number(response.headers['content-length'] ?? Number.NaN)
  return Number.isSafeInteger(length) ? from + length : null
}

async function discard(part: string): Promise<void> {
  await onDisk(part, () => rm(part, { force: true }))
  await rm(`${part}.json`, { force: true })
}

async function sizeOf(path: string): Promise<number | null> {
  return onDisk(path, async () => {
    try {
      return (await stat(path)).size
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  })
}

async function md5Of(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('md5')
  await onDisk(path, async () => {
    for await (const chunk of createReadStream(path)) {
      assertGoesOn(path, signal)
      hash.update(chunk as Buffer)
    }
  })
  return hash.digest('hex')
}

/** Errors of the disk as such, so that they are not taken for those of the connection. */
async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof AmdimError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    const reason =
      code === 'ENOSPC' ? 'the disk is full; what has come is kept, make room and try again' : message
    throw new AmdimError(
      'AMDIM_IO',
      `${path} cannot be written: ${reason}`,
      { path, reason: code },
      { cause },
    )
  }
}

function reasonOf(cause: unknown): string {
  const error = cause as { message?: string; code?: string; cause?: { message?: string } }
  return error.cause?.message || error.message || error.code || String(cause)
}
