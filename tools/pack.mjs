// Packs the main package and the platform packages whose binaries lie in native/: node tools/pack.mjs [--all]
//
// --all: for publishing; refuses unless every platform of napi.targets is there and below the size limit, and the model
// that ships with the package is there. A model that is too large is refused in any case.
// docs/design/packaging.md says why the platform packages enter the manifest here and not in the repository.
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { manifest, platforms } from './lib/platform.mjs'
import { capture, root } from './lib/process.mjs'

/** Folder of the staged packages and their tarballs; not in the repository. */
const OUT = join(root, 'npm')
/** The registry refuses very large packages. */
const MAX_PACKED_BYTES = 60e6
/** The model that ships with the package, and the most that everybody who installs it may be made to fetch. */
const MODEL = join(root, 'models', 'tiny-cifar10.safetensors')
const MAX_MODEL_BYTES = 10e6

function writePackage(folder, content) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`)
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
}

function stagePlatform({ name, packageName, binary, os, cpu, libc }) {
  const { version, license, author, engines } = manifest
  const folder = join(OUT, name)
  writePackage(folder, {
    name: packageName,
    version,
    description: `The ${name} binary of amdim`,
    license,
    author,
    engines,
    main: binary,
    files: [binary],
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
  })
  copyFileSync(join(root, 'native', binary), join(folder, binary))
  writeFileSync(
    join(folder, 'README.md'),
    `The ${name} binary of [amdim](https://www.npmjs.com/package/amdim).\n`,
  )
  return folder
}

function stageMain(carried) {
  const { scripts: _scripts, devDependencies: _tools, overrides: _overrides, ...published } = manifest
  const folder = join(OUT, 'amdim')
  const optionalDependencies = Object.fromEntries(
    carried.map(({ packageName }) => [packageName, manifest.version]),
  )
  writePackage(folder, { ...published, optionalDependencies })
  for (const path of [...manifest.files, 'README.md']) {
    cpSync(join(root, path), join(folder, path), { recursive: true })
  }
  return folder
}

/** npm pack; returns the tarball's path. */
function pack(folder) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const text = capture(npm, ['pack', '--json', '--pack-destination', OUT], {
    cwd: folder,
    shell: process.platform === 'win32',
  })
  if (text === null) throw new Error(`npm pack failed in ${folder}`)
  const tarball = join(OUT, JSON.parse(text)[0].filename)
  console.log(`${tarball}: ${(statSync(tarball).size / 1e6).toFixed(1)} MB`)
  return tarball
}

const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } })
const carried = platforms.filter(({ binary }) => existsSync(join(root, 'native', binary)))
const absent = platforms.filter((platform) => !carried.includes(platform))
if (carried.length === 0 || (values.all && absent.length)) {
  console.error(`pack: no binary in native/ for ${absent.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}
const modelBytes = existsSync(MODEL) ? statSync(MODEL).size : 0
if (modelBytes > MAX_MODEL_BYTES || (values.all && modelBytes === 0)) {
  console.error(
    `pack: ${MODEL}: expected a file of at most ${MAX_MODEL_BYTES / 1e6} MB, got ${modelBytes} bytes`,
  )
  process.exit(1)
}
rmSync(OUT, { recursive: true, force: true })
const tarballs = [stageMain(carried), ...carried.map(stagePlatform)].map(pack)
const tooLarge = values.all ? tarballs.filter((tarball) => statSync(tarball).size > MAX_PACKED_BYTES) : []
for (const tarball of tooLarge) console.error(`pack: ${tarball} is above ${MAX_PACKED_BYTES / 1e6} MB`)
process.exitCode = tooLarge.length ? 1 : 0
