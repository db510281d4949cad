#!/usr/bin/env node
import { runCli } from './run-cli.js'
import { Terminal } from './terminal.js'

// A reader that has seen enough (`amdim ... | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})

process.exitCode = await runCli(
  process.argv.slice(2),
  new Terminal(process.stdout, process.stderr, process.env),
)
