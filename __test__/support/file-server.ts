import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a server does with one request. */
export type Behaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  file: Buffer,
  link: { received: number },
) => void

/** A server of one file on this machine, closed when the test ends. */
export interface FileServer {
  url: string
  /** The requests that came, their Range header or `whole`. */
  asked: string[]
  /** To be told by the client how much it has; a connection breaks once it has what was sent. */
  link: { received: number }
}

/** Serves a file: the n-th request by the n-th behaviour, the last one from then on. */
export async function serveFile(file: Buffer, ...behaviours: Behaviour[]): Promise<FileServer> {
  const asked: string[] = []
  const link = { received: 0 }
  const server = createServer((request, response) => {
    const behave = behaviours[Math.min(asked.length, behaviours.length - 1)] ?? honest
    asked.push(request.headers.range ?? 'whole')
    behave(request, response, file, link)
  })
  return { url: `${await listen(server)}/file.bin`, asked, link }
}

/** Listens on a free port until the test ends; returns the address. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function tagOf(file: Buffer): string {
  return `"${md5(file)}"`
}

export function md5(file: Buffer): string {
  return createHash('md5').update(file).digest('hex')
}

/** Sends the file, or the rest that is asked for while it is the same file. */
export const honest: Behaviour = (request, response, file) => {
  const tag = tagOf(file)
  const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
  if (match === null || request.headers['if-range'] !== tag) {
    response.writeHead(200, { 'content-length': file.length, etag: tag })
    response.end(file)
    return
  }
  const from = Number(match[1])
  if (from >= file.length) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` })
    response.end()
    return
  }
  response.writeHead(206, {
    'content-length': file.length - from,
    'content-range': `bytes ${from}-${file.length - 1}/${file.length}`,
    etag: tag,
  })
  response.end(file.subarray(from))
}

/** As {@link honest}, but the connection breaks after some bytes. */
export function breaksAfter(bytes: number): Behaviour {
  return (request, response, file, link) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const headers = { 'content-length': file.length - from, etag: tagOf(file) }
    if (from > 0)
      response.writeHead(206, {
        ...headers,
        'content-range': `bytes ${from}-${file.length - 1}/${file.length}`,
      })
    else response.writeHead(200, headers)
    response.write(file.subarray(from, from + bytes))
    const timer = setInterval(() => {
      if (link.received < from + bytes) return
      clearInterval(timer)
      response.destroy()
    }, 5)
  }
}

/** Announces a length and sends another number of bytes, without a word about the end. */
export function announces(length: number): Behaviour {
  return (_, response, file) => {
    // Written by hand: Node refuses to send what it did not announce.
    response.socket?.end(
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`),
        file,
      ]),
    )
  }
}

/** Answers with a status alone. */
export function answers(status: number): Behaviour {
  return (_, response) => {
    response.writeHead(status)
    response.end('no')
  }
}
