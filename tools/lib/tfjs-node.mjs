// Puts @tensorflow/tfjs-node's binary in place, which its own install script would download (install scripts are off, and
// that download fails for many: tensorflow/tfjs#8742, #8736, #8566).
//
// Linux x64 with glibc: libtensorflow from the wheel tools/tfjs-node/requirements.txt (pip checks its hash), and the
// binding compiled from the sources in the npm package. Both are kept in build/, so that only the first time takes long
// (some 20 s, a download of 207 MB, 590 MB on disk). On other platforms the package's own script can be run by hand.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { thisPlatform } from './platform.mjs'
import { capture, root, run, which } from './process.mjs'

const PACKAGE = join(root, 'node_modules', '@tensorflow', 'tfjs-node')
const REQUIREMENTS = join(root, 'tools', 'tfjs-node', 'requirements.txt')
const BUILD = join(root, 'build')

/** Loads the module in a process of its own and multiplies; prints the versions, or nothing where it fails. */
const TRIAL = `
  const util = require('node:util')
  util.isNullOrUndefined ??= (value) => value == null
  util.isArray ??= Array.isArray
  const tf = require('@tensorflow/tfjs-node')
  if (tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).sum().dataSync()[0] !== 12) process.exit(1)
  console.log(tf.version['tfjs-node'] + ', TensorFlow ' + tf.backend().binding.TF_Version)
`

const trial = () =>
  capture(process.execPath, ['-e', TRIAL], {
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })?.trim()

/** Runs a program; throws what it was for where it fails. */
async function must(purpose, program, args) {
  if ((await run(program, args)) !== 0) throw new Error(`${purpose} failed: ${program} ${args.join(' ')}`)
}

function python() {
  const found = ['python3', 'python'].find((name) => capture(name, ['-m', 'pip', '--version']) !== null)
  if (found) return found
  throw new Error('Python with pip is missing, which downloads libtensorflow: apt-get install python3-pip')
}

/** Fetches and unpacks the libraries into a folder that appears only when it is whole. */
async function fetchLibraries(folder) {
  if (existsSync(folder)) return
  const interpreter = python()
  mkdirSync(BUILD, { recursive: true })
  const aside = mkdtempSync(join(BUILD, 'libtensorflow-'))
  try {
    // The wheel of one Python version, whichever is installed here: only its libraries matter.
    const kind = ['--platform', 'manylinux2014_x86_64', '--python-version', '3.11', '--abi', 'cp311']
    const options = [
      '--quiet',
      '--disable-pip-version-check',
      '--no-cache-dir',
      '--no-deps',
      '--require-hashes',
    ]
    await must('downloading libtensorflow', interpreter, [
      ...['-m', 'pip', 'download', ...options, '--only-binary=:all:', '--implementation', 'cp', ...kind],
      ...['--dest', aside, '--requirement', REQUIREMENTS],
    ])
    const wheel = join(aside, readdirSync(aside)[0])
    const unpacked = join(aside, 'unpacked')
    await must('unpacking libtensorflow', interpreter, [
      join(root, 'tools/tfjs-node/unpack.py'),
      wheel,
      unpacked,
    ])
    renameSync(unpacked, folder)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** Compiles the binding; Node-API, so one serves every version of Node. */
async function compileBinding(libraries, binding) {
  if (existsSync(binding)) return
  const compiler = process.env.CXX ?? ['c++', 'g++', 'clang++'].find(which)
  if (!compiler) throw new Error('a C++ compiler is missing: apt-get install build-essential')
  const include = [join(root, 'node_modules/node-api-headers/include'), join(libraries, 'include')]
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(PACKAGE, 'binding', name))
  const library = (name) => join(libraries, 'lib', name)
  await must('compiling the binding of @tensorflow/tfjs-node', compiler, [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', ...include.map((path) => `-I${path}`)],
    ...[...sources, library('libtensorflow_cc.so.2'), library('libtensorflow_framework.so.2')],
    ...['-Wl,-rpath,$ORIGIN/lib', '-o', `${binding}.part`],
  ])
  renameSync(`${binding}.part`, binding)
}

/** Puts the binding where the package looks for it. */
function link(binding) {
  const find = `require('@mapbox/node-pre-gyp').find(${JSON.stringify(join(PACKAGE, 'package.json'))})`
  const place = capture(process.execPath, ['-p', find])?.trim()
  if (!place)
    throw new Error('@tensorflow/tfjs-node does not say where its binding belongs; run npm ci again')
  mkdirSync(dirname(place), { recursive: true })
  rmSync(place, { force: true })
  symlinkSync(binding, place)
}

/**
 * Makes @tensorflow/tfjs-node loadable; does nothing where it is.
 *
 * @returns its version and TensorFlow's
 * @throws Error that says what is missing
 */
export async function installTfjsNode() {
  if (!existsSync(PACKAGE)) throw new Error('@tensorflow/tfjs-node is not installed: npm ci')
  const before = trial()
  if (before) return before
  if (thisPlatform?.name !== 'linux-x64-gnu')
    throw new Error(
      `there is no recipe for ${process.platform}-${process.arch}; try the package's own: ` +
        'npm rebuild --ignore-scripts=false @tensorflow/tfjs-node',
    )
  const [, version] = /^tensorflow-cpu==(\S+)/m.exec(readFileSync(REQUIREMENTS, 'utf8'))
  const { version: bindingVersion } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'))
  const libraries = join(BUILD, `libtensorflow-${version}`)
  const binding = join(libraries, `tfjs_binding-${bindingVersion}.node`)
  await fetchLibraries(libraries)
  await compileBinding(libraries, binding)
  link(binding)
  const after = trial()
  if (after) return after
  throw new Error(
    `the binding was built but does not load: node -e "require('@tensorflow/tfjs-node')" says why`,
  )
}
