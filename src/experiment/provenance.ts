import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readManifest } from '../manifest.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Which sources results come from: the package's version and, in a checkout, the commit. */
export async function provenance(): Promise<{ version: string; commit: string | null }> {
  return { version: readManifest().version, commit: await commitOf(root) }
}

/** The commit of a checkout, marked where files differ from it; null for an installed package or without git. */
async function commitOf(folder: string): Promise<string | null> {
  if (!existsSync(`${folder}/.git`)) return null
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', folder, ...args])).stdout.trim()
  try {
    const changed = await git('status', '--porcelain', '--untracked-files=no')
    return `${await git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : ' with changes'}`
  } catch {
    return null
  }
}

/** The machine, as far as results or their time depend on it. */
export function machine(): Record<string, string | number> {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    system: `${process.platform} ${process.arch}`,
    node: process.versions.node,
  }
}
