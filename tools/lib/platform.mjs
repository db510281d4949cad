// Names of this machine's binary and of the packages that carry binaries.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

/** The main package's manifest. */
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What each Rust target of the manifest is to npm. */
const TARGETS = {
  'x86_64-unknown-linux-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'aarch64-unknown-linux-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'x86_64-apple-darwin': { os: 'darwin', cpu: 'x64' },
  'aarch64-apple-darwin': { os: 'darwin', cpu: 'arm64' },
  'x86_64-pc-windows-msvc': { os: 'win32', cpu: 'x64', abi: 'msvc' },
}

/** One platform: { target, os, cpu, libc?, name ('linux-x64-gnu'), packageName, binary ('amdim.linux-x64-gnu.node') }. */
function describe(target) {
  const { os, cpu, libc, abi = libc && 'gnu' } = TARGETS[target]
  const name = [os, cpu, abi].filter(Boolean).join('-')
  const { binaryName, packageName } = manifest.napi
  return {
    target,
    os,
    cpu,
    libc,
    name,
    packageName: `${packageName}-${name}`,
    binary: `${binaryName}.${name}.node`,
  }
}

/** Every platform that the package is published for. */
export const platforms = manifest.napi.targets.map(describe)

/** This machine's platform, or undefined where there is none. */
export const thisPlatform = platforms.find(
  ({ os, cpu, libc }) =>
    os === process.platform &&
    cpu === process.arch &&
    (!libc || process.report.getReport().header.glibcVersionRuntime),
)
