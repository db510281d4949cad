import { describe, expect, it } from 'vitest'
import { connector, proxyFor } from '../../src/download/proxy.js'

const proxy = (url: string, env: NodeJS.ProcessEnv) => proxyFor(new URL(url), env)

describe('proxyFor', () => {
  const env = { https_proxy: 'http://s:1', HTTP_PROXY: 'http://p:2', HTTPS_PROXY: 'http://capitals:3' }

  it('goes by the protocol, and small letters come first', () => {
    expect(proxy('https://a.org/x', env)).toBe('http://s:1')
    expect(proxy('http://a.org/x', env)).toBe('http://p:2')
    expect(proxy('http://a.org/x', {})).toBeUndefined()
  })

  it.each([
    ['a.org', true],
    ['.a.org', true],
    ['*.a.org', true],
    ['b.org, sub.a.org', true],
    ['sub.a.org:443', true],
    ['sub.a.org:80', false],
    ['*', true],
    ['ub.a.org', false],
    ['', false],
  ])('leaves out the hosts of no_proxy=%s', (list, isExempt) => {
    expect(proxy('https://sub.a.org/x', { ...env, no_proxy: list }) === undefined).toBe(isExempt)
  })

  it('refuses what is no address, without repeating it', async () => {
    const env = { http_proxy: 'secret@@:no address' }
    const error = await connector(new URL('http://a.org'), env).catch((error: Error) => error)
    expect(error).toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    expect(String(error)).not.toMatch(/secret/)
  })
})
