import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { encodePng } from './png.js'

/** A folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'amdim-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes a file with the folders above it, and returns its path. */
export function write(path: string, content: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

/** Writes `perClass` noisy pictures of each class below a folder; each class has a colour of its own. */
export function writePictures(
  root: string,
  {
    classes = ['blue', 'red'],
    perClass = 8,
    side = 32,
  }: { classes?: string[]; perClass?: number; side?: number } = {},
): string {
  for (const [label, name] of classes.entries()) {
    for (let i = 0; i < perClass; i++) {
      const picture = noisyPixels(side, label, i)
      write(join(root, name, `${String(i).padStart(3, '0')}.png`), encodePng(side, side, 3, picture))
    }
  }
  return root
}

/** Pixels `[side, side, 3]` that depend on label and index alone: the label's channel is bright, all have noise. */
export function noisyPixels(side: number, label: number, index: number): Uint8Array {
  let state = 1 + label * 7919 + index * 104_729
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const noise = state >>> 26
    return i % 3 === label % 3 ? 160 + noise : 40 + noise
  })
}
