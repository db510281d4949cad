// What building needs beside Node, and how to get it.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root, which } from './process.mjs'

const RUST = /channel = "(.*)"/.exec(readFileSync(join(root, 'rust-toolchain.toml'), 'utf8'))[1]

/** What is missing, each with the line that installs it. */
function missingTools() {
  const missing = []
  const windows = process.platform === 'win32'
  if (!existsSync(join(root, 'node_modules', '@napi-rs', 'cli')))
    missing.push(['the development tools', 'npm ci'])
  if (!which('cargo')) {
    const unix = `curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain ${RUST}`
    missing.push([`cargo (Rust ${RUST})`, windows ? 'winget install Rustlang.Rustup' : unix])
  } else if (capture('rustc', ['--version']) === null) {
    const line = `rustup toolchain install ${RUST} --profile minimal --component rustfmt --component clippy`
    missing.push([`Rust ${RUST}`, line])
  }
  if (!windows && !which('cc')) {
    const line = process.platform === 'darwin' ? 'xcode-select --install' : 'apt-get install build-essential'
    missing.push(['a C compiler (cc), for linking', line])
  }
  return missing
}

/** Ends the process, naming what is missing for a purpose such as `build the addon`. */
export function requireTools(purpose) {
  const missing = missingTools()
  for (const [what, line] of missing) {
    console.error(`Cannot ${purpose}: ${what} is missing. Install it with\n  ${line}`)
  }
  if (missing.length) process.exit(1)
}
