import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/run-cli.js'
import { Terminal } from '../../src/cli/terminal.js'
import { CATALOGUE } from '../../src/download/catalogue.js'
import { download } from '../../src/index.js'
import { listen } from '../support/file-server.js'
import { temporaryFolder } from '../support/folder.js'
import { MemoryStream } from '../support/memory-stream.js'

/** A server that answers every request with these bytes. */
async function mirrorOf(bytes: string): Promise<{ mirror: string; paths: string[] }> {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    response.end(bytes)
  })
  return { mirror: `${await listen(server)}/sets`, paths }
}

describe('download', () => {
  it('keeps no file of a mirror with other bytes', async () => {
    const { mirror, paths } = await mirrorOf('not CIFAR')
    const out = temporaryFolder()
    await expect(download('cifar10', { out, mirror })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      details: { expected: CATALOGUE.cifar10.files[0]?.md5 },
    })
    expect(paths).toEqual(['/sets/cifar-10-binary.tar.gz'])
    expect(existsSync(join(out, 'cifar10', 'cifar-10-binary.tar.gz'))).toBe(false)
  })

  it('has an address and a checksum for every file', () => {
    for (const { base, files } of Object.values(CATALOGUE)) {
      expect(base).toMatch(/^https?:\/\/.*\/$/)
      for (const { md5 } of files) expect(md5).toMatch(/^[0-9a-f]{32}$/)
    }
  })

  it.each([
    ['imagenet', 'nXXXXXXXX'],
    ['places205', 'places205_256_train'],
    ['cifar', 'did you mean'],
  ])('says what to do about %s', async (name, advice) => {
    const failure = download(name as 'mnist')
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(advice)
  })

  it.each([
    [{ out: '' }, 'out'],
    [{ mirror: 'ftp://a' }, 'mirror'],
    [{ retries: -1 }, 'retries'],
    [{ retry: 1 }, 'retry'],
  ])('checks its options: %j', async (options, name) => {
    const failure = download('mnist', options as object)
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(name)
  })
})

describe('amdim download', () => {
  it('ends with 1 and the reason', async () => {
    const { mirror } = await mirrorOf('not MNIST')
    const [out, err] = [new MemoryStream(), new MemoryStream()]
    const folder = temporaryFolder()
    const code = await runCli(
      ['download', 'mnist', '--out', folder, '--mirror', mirror],
      new Terminal(out, err, {}),
    )
    expect({ code, out: out.text }).toEqual({ code: 1, out: '' })
    expect(err.text).toContain('wrong bytes')
    expect(err.text).toContain('[AMDIM_DATA]')
  })

  it('is in the guide with the names that it takes', () => {
    const guide = readFileSync(new URL('../../docs/guide/data.md', import.meta.url), 'utf8')
    for (const name of Object.keys(CATALOGUE)) expect(guide).toContain(`amdim download ${name}`)
  })
})
