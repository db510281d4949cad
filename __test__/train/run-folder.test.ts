import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { defaultRunFolder } from '../../src/train/run-folder.js'
import { temporaryFolder } from '../support/folder.js'

it('names a run by date and preset, and never one that exists', () => {
  const root = temporaryFolder()
  const now = new Date(2024, 4, 31, 4, 2, 9)
  const first = join(root, '2024-05-31T04-02-09-tiny')
  expect(defaultRunFolder('tiny', now, root)).toBe(first)
  mkdirSync(first)
  expect(defaultRunFolder('tiny', now, root)).toBe(`${first}-2`)
  mkdirSync(`${first}-2`)
  expect(defaultRunFolder('tiny', now, root)).toBe(`${first}-3`)
})
