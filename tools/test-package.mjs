// What a user gets, tried: node tools/test-package.mjs   (npm run test:package builds first)
//
// Packs the main package and this machine's platform package, installs both from their tarballs into an empty folder
// with no Rust on PATH, checks the README's TypeScript program against the packed types and runs it there.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { thisPlatform } from './lib/platform.mjs'
import { binOf, root, run } from './lib/process.mjs'

const SAMPLE = join(root, 'data', 'cifar10-sample.tar.gz')

/** The README's first block of TypeScript. */
function readmeProgram() {
  const block = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  if (!block) throw new Error('README.md has no ts block')
  return block[1]
}

/** PATH without the folders that hold Rust's tools. */
function pathWithoutRust() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const rust = ['cargo', 'rustc', 'cargo.exe', 'rustc.exe']
  return folders
    .filter((folder) => !rust.some((program) => existsSync(join(folder, program))))
    .join(delimiter)
}

async function must(what, status) {
  if ((await status) === 0) return
  throw new Error(`${what} failed`)
}

async function installAndRun(folder) {
  const env = { ...process.env, PATH: pathWithoutRust() }
  const node = (...args) => run(process.execPath, args, { cwd: folder, env })
  const tarballs = readdirSync(join(root, 'npm')).filter((name) => name.endsWith('.tgz'))

  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }\n')
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund']
  const install = ['install', ...flags, ...tarballs.map((name) => join(root, 'npm', name))]
  await must('npm install', run('npm', install, { cwd: folder, env, shell: process.platform === 'win32' }))

  writeFileSync(join(folder, 'program.ts'), readmeProgram())
  const options = [
    '--ignoreConfig',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--strict',
    '--types',
    'node',
  ]
  const types = ['--typeRoots', join(root, 'node_modules', '@types')]
  await must(
    'compiling the README program',
    node(binOf('typescript', 'tsc'), 'program.ts', ...options, ...types),
  )

  cpSync(SAMPLE, join(folder, 'pictures.tar.gz'))
  await must('the README program', node('program.js', 'pictures.tar.gz', '0.1'))
  await must('amdim doctor', node(join('node_modules', 'amdim', 'dist', 'cli', 'main.js'), 'doctor'))
}

async function main() {
  if (!thisPlatform || !existsSync(join(root, 'native', thisPlatform.binary))) {
    throw new Error('no binary in native/; run npm run build')
  }
  await must('packing', run(process.execPath, ['tools/pack.mjs']))
  const folder = mkdtempSync(join(tmpdir(), 'amdim-package-'))
  try {
    await installAndRun(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  await main()
  console.log('test:package passed')
} catch (error) {
  console.error(`test:package failed: ${error.message}`)
  process.exitCode = 1
}
