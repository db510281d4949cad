// Compares the shipped training step with a folder of reference values: node tools/parity.mjs [DIR] [flags]
// --kernel NAME forces the instruction set of the cpu executor (as AMDIM_KERNEL does); the other flags go to
// crates/amdim-parity (--help lists them); without DIR it runs the repository's own values.
import { resolve } from 'node:path'
import { run } from './lib/process.mjs'
import { requireTools } from './lib/toolchain.mjs'

const DEFAULT_FOLDER = 'crates/amdim-core/tests/golden/amdim'

/** npm runs scripts in the package's folder; a relative DIR is meant from where the command was given. */
function withAbsoluteFolder(args) {
  const from = process.env.INIT_CWD ?? process.cwd()
  const isFlag = (arg) => arg?.startsWith('--') ?? false
  // Every flag but --help is followed by its value.
  const isValue = (i) => isFlag(args[i - 1]) && args[i - 1] !== '--help'
  const isFolder = (i) => !isFlag(args[i]) && !isValue(i)
  const resolved = args.map((arg, i) => (isFolder(i) ? resolve(from, arg) : arg))
  return args.some((_, i) => isFolder(i)) ? resolved : [DEFAULT_FOLDER, ...args]
}

/** Takes `--kernel NAME` out of the arguments. */
function withoutKernel(args) {
  const at = args.indexOf('--kernel')
  return at < 0 ? { args } : { args: args.toSpliced(at, 2), kernel: args[at + 1] ?? '' }
}

requireTools('build the comparison')
const program = ['run', '--release', '--quiet', '--package', 'amdim-parity', '--']
const { args, kernel } = withoutKernel(process.argv.slice(2))
if (kernel === '') {
  console.error('--kernel needs a name: amx, avx512, avx2, neon or portable')
  process.exitCode = 2
} else {
  const env = { ...process.env, ...(kernel && { AMDIM_KERNEL: kernel }) }
  process.exitCode = await run('cargo', [...program, ...withAbsoluteFolder(args)], { env })
}
