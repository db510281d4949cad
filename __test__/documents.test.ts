import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const guide = readdirSync(join(root, 'docs/guide')).map((name) => join('docs/guide', name))
const documents = ['README.md', ...guide.filter((path) => path.endsWith('.md'))]

/** Every block of TypeScript in the documents, as a file of its own. */
function writePrograms(folder: string): number {
  const programs = documents.flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8')
    return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ''], i) => ({
      name: `${basename(path, '.md').toLowerCase()}-${i + 1}.ts`,
      // Some blocks show results without using them.
      code: `${code}\nexport {}\n`,
    }))
  })
  for (const { name, code } of programs) writeFileSync(join(folder, name), code)
  return programs.length
}

it('shows programs that compile', () => {
  const folder = join(root, 'build', 'documents')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const options = {
    noUnusedLocals: false,
    paths: { amdim: ['../../src/index.ts'], 'amdim/tfjs': ['../../src/tfjs/index.ts'] },
  }
  const config = { extends: '../../tsconfig.json', compilerOptions: options, include: ['.'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  expect(writePrograms(folder)).toBeGreaterThan(5)
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  // The compiler's messages are the failure's message.
  const output = (() => {
    try {
      return execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
    } catch (error) {
      return (error as { stdout: string }).stdout
    }
  })()
  expect(output).toBe('')
})

it('shows command lines whose commands and flags exist', () => {
  const main = join(root, 'dist/cli/main.js')
  const helps = new Map<string, string>()
  const helpOf = (command: string) => {
    const known = helps.get(command)
    const text = known ?? execFileSync(process.execPath, [main, command, '--help'], { encoding: 'utf8' })
    helps.set(command, text)
    return text
  }
  const lines = documents.flatMap((path) => {
    const blocks = [...readFileSync(join(root, path), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)]
    return blocks
      .flatMap(([, block = '']) => block.split('\n'))
      .filter((line) => /^(npx )?amdim [a-z]/.test(line))
  })
  expect(lines.length).toBeGreaterThan(3)
  const unknown = lines.flatMap((line) => {
    const [command = '', ...words] = line.replace(/^npx /, '').split(/\s+/).slice(1)
    const flags = words.filter((word) => word.startsWith('--'))
    return flags.filter((flag) => !helpOf(command).includes(`${flag} `)).map((flag) => `${line}: ${flag}`)
  })
  expect(unknown).toEqual([])
})
