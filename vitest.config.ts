import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^amdim$/, replacement: fileURLToPath(new URL('./src/index.ts', import.meta.url)) },
      { find: /^amdim\/tfjs$/, replacement: fileURLToPath(new URL('./src/tfjs/index.ts', import.meta.url)) },
    ],
  },
  test: {
    include: ['__test__/**/*.test.ts'],
    typecheck: { enabled: true, include: ['__test__/**/*.test-d.ts'], tsconfig: './tsconfig.json' },
    benchmark: { include: ['benches/**/*.bench.ts'] },
    // The addon owns threads of its own: a process a file keeps one file's threads out of the next one's.
    pool: 'forks',
    // Each training uses every core, so two files at once only wait for each other.
    maxWorkers: 1,
    // Some tests train for a few steps; on two slow cores that takes tens of seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
