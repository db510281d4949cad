import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Transfer, transfer } from '../../src/download/transfer.js'
import {
  announces,
  answers,
  type Behaviour,
  breaksAfter,
  honest,
  listen,
  md5,
  serveFile,
  tagOf,
} from '../support/file-server.js'
import { temporaryFolder, write } from '../support/folder.js'

const FILE = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) & 255))

/** A transfer from a server with these behaviours into a new folder. */
async function setUp(behaviours: Behaviour[], options: Partial<Transfer> = {}) {
  const { url, asked, link } = await serveFile(FILE, ...behaviours)
  const path = join(temporaryFolder(), 'below', 'file.bin')
  const heard: [number, number | null][] = []
  const run = (more: Partial<Transfer> = {}) =>
    transfer({
      url,
      path,
      md5: md5(FILE),
      retries: 3,
      retryDelayMs: 1,
      onBytes: (received, total) => {
        link.received = received
        heard.push([received, total])
      },
      env: {},
      ...options,
      ...more,
    })
  return { url, asked, path, part: `${path}.part`, heard, run }
}

describe('transfer', () => {
  it('fetches a file, says how far it is, and leaves nothing else behind', async () => {
    const { path, part, asked, heard, run } = await setUp([honest])
    expect(await run()).toBe(true)
    expect(readFileSync(path)).toEqual(FILE)
    expect(heard.at(0)).toEqual([0, FILE.length])
    expect(heard.at(-1)).toEqual([FILE.length, FILE.length])
    expect([part, `${part}.json`].some(existsSync)).toBe(false)
    expect(await run()).toBe(false)
    expect(asked).toEqual(['whole'])
  })

  it('goes on where a connection broke off', async () => {
    const { path, asked, run } = await setUp([breaksAfter(70_000), breaksAfter(50_000), honest])
    expect(await run()).toBe(true)
    expect(readFileSync(path)).toEqual(FILE)
    expect(asked).toEqual(['whole', 'bytes=70000-', 'bytes=120000-'])
  })

  it('goes on in a later call, after all attempts failed', async () => {
    const { path, part, asked, run } = await setUp([breaksAfter(70_000), answers(503), answers(503), honest])
    await expect(run({ retries: 2 })).rejects.toMatchObject({
      code: 'AMDIM_NETWORK',
      details: { attempts: 3 },
      message: expect.stringContaining('status 503'),
    })
    expect(readFileSync(part)).toEqual(FILE.subarray(0, 70_000))
    expect(existsSync(path)).toBe(false)
    await run()
    expect(readFileSync(path)).toEqual(FILE)
    expect(asked.at(-1)).toBe('bytes=70000-')
  })

  it.each<[string, Behaviour]>([
    [
      'ignores ranges',
      (_, response, file) => {
        response.writeHead(200, { etag: tagOf(file) })
        response.end(file)
      },
    ],
    [
      'has another file by now',
      (request, response, file, link) => {
        request.headers['if-range'] = '"another"'
        honest(request, response, file, link)
      },
    ],
  ])('starts anew where the server %s', async (_, second) => {
    const { path, asked, run } = await setUp([breaksAfter(70_000), second])
    await run()
    expect(readFileSync(path)).toEqual(FILE)
    expect(asked).toEqual(['whole', 'bytes=70000-'])
  })

  it.each<[string, Behaviour]>([
    ['has no such rest', answers(416)],
    [
      'sends another rest',
      (_, response, file) => {
        response.writeHead(206, { 'content-range': `bytes 9-${file.length - 1}/${file.length}` })
        response.end(file.subarray(9))
      },
    ],
  ])('starts anew after a server that %s', async (_, second) => {
    const { path, asked, run } = await setUp([breaksAfter(70_000), second, honest])
    await run()
    expect(readFileSync(path)).toEqual(FILE)
    expect(asked).toEqual(['whole', 'bytes=70000-', 'whole'])
  })

  it.each([
    ['too long', FILE.length + 5],
    ['too short', FILE.length - 5],
  ])('keeps no file of a server whose announced length is %s', async (_, length) => {
    const { path, asked, run } = await setUp([announces(length)])
    await expect(run({ retries: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^AMDIM_(NETWORK|DATA)$/),
    })
    expect(existsSync(path)).toBe(false)
    expect(asked.length).toBeLessThanOrEqual(2)
  })

  it('deletes wrong bytes and says what came', async () => {
    const { path, part, run } = await setUp([honest])
    const other = md5(Buffer.from('other'))
    await expect(run({ md5: other })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      message: expect.stringContaining(`expected MD5 ${other}, got ${md5(FILE)}`),
    })
    expect([path, part, `${part}.json`].some(existsSync)).toBe(false)
  })

  it('leaves a file of other bytes that is there alone', async () => {
    const { path, asked, run } = await setUp([honest])
    write(path, 'mine')
    await expect(run()).rejects.toMatchObject({ code: 'AMDIM_DATA' })
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(asked).toEqual([])
  })

  it('does not ask again after a refusal', async () => {
    const { asked, run } = await setUp([answers(404)])
    await expect(run()).rejects.toMatchObject({ code: 'AMDIM_NETWORK', details: { status: 404 } })
    expect(asked).toHaveLength(1)
  })

  it('says when there is no server', async () => {
    const { run } = await setUp([honest])
    await expect(run({ url: 'http://127.0.0.1:1/file.bin', retries: 1 })).rejects.toMatchObject({
      code: 'AMDIM_NETWORK',
    })
  })

  it('counts silence as a broken connection', async () => {
    const silent: Behaviour = (_, response, file) => {
      response.writeHead(200, { 'content-length': file.length, etag: tagOf(file) })
      response.write(file.subarray(0, 1000))
    }
    const { path, asked, run } = await setUp([silent, honest], { silenceMs: 100 })
    await run()
    expect(readFileSync(path)).toEqual(FILE)
    expect(asked).toEqual(['whole', 'bytes=1000-'])
  })

  it('stops when it is told to, and goes on later', async () => {
    const controller = new AbortController()
    const waits: Behaviour = (_, response, file) => {
      response.writeHead(200, { 'content-length': file.length, etag: tagOf(file) })
      response.write(file.subarray(0, 90_000))
    }
    const { path, run } = await setUp([waits, honest])
    const stopped = run({
      signal: controller.signal,
      onBytes: (received) => {
        if (received === 90_000) controller.abort()
      },
    })
    await expect(stopped).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
    await run()
    expect(readFileSync(path)).toEqual(FILE)
  })

  it.skipIf(!existsSync('/dev/full'))('says when the disk is full', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'file.bin')
    symlinkSync('/dev/full', `${path}.part`)
    const { asked, run } = await setUp([honest], { path })
    await expect(run()).rejects.toMatchObject({
      code: 'AMDIM_IO',
      message: expect.stringContaining('the disk is full'),
    })
    expect(asked).toHaveLength(1)
  })

  it('says when the folder cannot be made', async () => {
    const file = write(join(temporaryFolder(), 'file'), 'text')
    const { run } = await setUp([honest], { path: join(file, 'below', 'file.bin') })
    await expect(run()).rejects.toMatchObject({ code: 'AMDIM_IO' })
  })

  it('goes through a proxy where the environment names one', async () => {
    const seen: string[] = []
    const tunnel = createServer((request, response) => {
      seen.push(request.url ?? '')
      get(request.url ?? '', { headers: request.headers }, (upstream) => {
        response.writeHead(upstream.statusCode ?? 500, upstream.headers)
        upstream.pipe(response)
      })
    })
    tunnel.on('connect', async (request, socket) => {
      seen.push(request.url ?? '')
      const { connect } = await import('node:net')
      const [host, port] = (request.url ?? '').split(':')
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket)
        socket.pipe(upstream)
      })
      upstream.on('error', () => socket.destroy())
      socket.on('error', () => upstream.destroy())
    })
    const proxy = await listen(tunnel)
    const { url, path, run } = await setUp([honest])
    await run({ env: { http_proxy: proxy } })
    expect(readFileSync(path)).toEqual(FILE)
    expect(seen).toHaveLength(1)
    expect(seen[0]).toContain(new URL(url).host)
    writeFileSync(`${path}.again`, '')
    await run({ path: `${path}.direct`, env: { http_proxy: proxy, no_proxy: '127.0.0.1' } })
    expect(seen).toHaveLength(1)
  })
})
