// Builds the addon into native/, unless a binary fits: node tools/build-addon.mjs [--force] [--profile NAME]
//
// A binary fits when it was built from exactly these sources (their hash is kept beside it) or, where nothing was
// built here yet, when the platform package of this version is installed.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { manifest, thisPlatform } from './lib/platform.mjs'
import { binOf, root, run } from './lib/process.mjs'
import { requireTools } from './lib/toolchain.mjs'

const NATIVE = join(root, 'native')
const STAMP = join(NATIVE, '.sources')

/** Every file that the binary depends on; tests and benches of the crates are not among them. */
function sourceFiles() {
  const files = ['Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', 'package.json'].map((name) =>
    join(root, name),
  )
  const visit = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory() && !['tests', 'benches', 'target'].includes(entry.name)) visit(path)
      else if (entry.isFile() && /\.(rs|toml)$/.test(entry.name)) files.push(path)
    }
  }
  visit(join(root, 'crates'))
  return files.sort()
}

/** Text that changes with the sources, the profile and the toolchain. */
function stampOf(profile) {
  const hash = createHash('sha256')
  for (const file of sourceFiles())
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0')
  return `${profile} ${hash.digest('hex')}\n`
}

function installedPackageFits() {
  try {
    const path = createRequire(import.meta.url).resolve(`${thisPlatform.packageName}/package.json`)
    return JSON.parse(readFileSync(path, 'utf8')).version === manifest.version
  } catch {
    return false
  }
}

async function build(profile) {
  const args = [
    'build',
    '--platform',
    '--manifest-path',
    'crates/amdim-node/Cargo.toml',
    '--output-dir',
    'native',
  ]
  args.push('--js', 'index.cjs', '--dts', 'index.d.cts', '--profile', profile)
  mkdirSync(NATIVE, { recursive: true })
  return run(process.execPath, [binOf('@napi-rs/cli', 'napi'), ...args])
}

const { values } = parseArgs({
  options: { force: { type: 'boolean', default: false }, profile: { type: 'string', default: 'release' } },
})
const binary = thisPlatform && join(NATIVE, thisPlatform.binary)
const stamp = stampOf(values.profile)
if (!thisPlatform) {
  console.error(
    `amdim is not built for ${process.platform}-${process.arch}; napi.targets in package.json lists what is`,
  )
  process.exit(1)
}
if (!values.force && existsSync(binary) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) {
  console.log(`addon: native/${thisPlatform.binary} is up to date`)
} else if (!values.force && !existsSync(binary) && installedPackageFits()) {
  console.log(`addon: using the installed ${thisPlatform.packageName} ${manifest.version}`)
} else {
  requireTools('build the addon')
  // A process that has the old binary loaded keeps it; writing into the file would crash that process.
  rmSync(binary, { force: true })
  const status = await build(values.profile)
  if (status !== 0) process.exit(status)
  writeFileSync(STAMP, stamp)
}
