import type { Dispatcher } from 'undici'
import { invalidArgument } from '../errors.js'

/** Milliseconds without a byte after which a connection counts as broken. */
const SILENCE_MS = 60_000

/**
 * The proxy for an address: `https_proxy` or `http_proxy` by its protocol (in small letters before capitals, as curl
 * has it), unless `no_proxy` names its host: a list of hosts, each with its subdomains and perhaps a port; `*` for all.
 */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): string | undefined {
  const read = (name: string) => env[name] || env[name.toUpperCase()] || undefined
  const proxy = read(url.protocol === 'https:' ? 'https_proxy' : 'http_proxy')
  if (proxy === undefined) return undefined
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const isExempt = (read('no_proxy') ?? '')
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const [, host = '', wantedPort] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
      const domain = host.replace(/^\*?\./, '')
      const isHost = url.hostname === domain || url.hostname.endsWith(`.${domain}`)
      return isHost && (wantedPort === undefined || wantedPort === port)
    })
  return isExempt ? undefined : proxy
}

/**
 * What connects to an address, directly or by its proxy.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a proxy that is no address
 */
export async function connector(
  url: URL,
  env: NodeJS.ProcessEnv,
  silenceMs = SILENCE_MS,
): Promise<Dispatcher> {
  const { Agent, ProxyAgent } = await import('undici')
  const patience = { headersTimeout: silenceMs, bodyTimeout: silenceMs, connect: { timeout: silenceMs } }
  const proxy = proxyFor(url, env)
  if (proxy === undefined) return new Agent(patience)
  try {
    return new ProxyAgent({ uri: proxy, ...patience })
  } catch {
    // The address may hold a password, so it is not repeated.
    throw invalidArgument(`${url.protocol.slice(0, -1)}_proxy`, 'the address of a proxy', 'something else')
  }
}
