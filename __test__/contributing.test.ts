import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What a document puts in backquotes that looks like a path of this repository, without placeholders such as NAME. */
function namedPaths(document: string): string[] {
  const text = readFileSync(`${root}/${document}`, 'utf8').replace(/```[\s\S]*?```/g, '')
  const quoted = [...text.matchAll(/`([^`\s]+)`/g)].map(([, path = '']) => path)
  const paths = quoted.filter((path) => /^[.\w-]+\/[\w./-]*$/.test(path) && !/NAME/.test(path))
  return [...new Set(paths)]
}

/** The folders of patterns such as crates/x/src/NAME.rs. */
function folderOfPatterns(document: string): string[] {
  const text = readFileSync(`${root}/${document}`, 'utf8')
  const patterns = [...text.matchAll(/`([\w./-]+)\/[\w-]*NAME[\w.-]*`/g)].map(([, folder = '']) => folder)
  return [...new Set(patterns)]
}

describe.each(['CONTRIBUTING.md', 'docs/design/layout.md'])('%s', (document) => {
  it('names paths that exist', () => {
    const paths = namedPaths(document)
    expect(paths.length).toBeGreaterThan(0)
    expect(paths.filter((path) => !existsSync(`${root}/${path}`))).toEqual([])
  })

  it('names folders that exist for the files to add', () => {
    expect(folderOfPatterns(document).filter((folder) => !existsSync(`${root}/${folder}`))).toEqual([])
  })
})

describe('links', () => {
  const written = ['docs/guide', 'docs/methods', 'docs/design', 'docs/results'].flatMap((folder) =>
    readdirSync(`${root}/${folder}`).map((name) => `${folder}/${name}`),
  )
  const documents = ['README.md', 'CONTRIBUTING.md', ...written.filter((path) => path.endsWith('.md'))]

  it.each(documents)('of %s lead to files that exist', (document) => {
    const text = readFileSync(`${root}/${document}`, 'utf8')
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path = '']) => path)
    const base = new URL(`../${document}`, import.meta.url)
    expect(links.filter((path) => !existsSync(new URL(path, base)))).toEqual([])
  })
})
