// Adds to package-lock.json the platform packages that npm left out of it.
//
// npm writes an optional dependency into the lock file only if the registry it asked had it; a mirror that lacks
// the binaries for other systems thus yields a lock file that `npm ci` then refuses everywhere (npm/cli#4828).
// Each such package is pinned exactly by its parent, so its entry can be written from its name; what is missing is
// the integrity hash, which npm adds when it first installs the package. Run after `npm install` has changed the lock.
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64', 'wasm32']

/** What package.json of a platform package says of the machine, read from its name. */
function platformOf(name) {
  const parts = name.split(/[/-]/)
  const os = SYSTEMS.filter((system) => parts.includes(system))
  const cpu = PROCESSORS.filter((processor) => parts.includes(processor))
  const libc = parts.includes('musl') ? ['musl'] : os[0] === 'linux' && parts.includes('gnu') ? ['glibc'] : []
  if (cpu.length !== 1)
    throw new Error(`complete-lock: ${name} is not a platform package; install it where it exists`)
  return { cpu, ...(os.length ? { os } : {}), ...(libc.length ? { libc } : {}) }
}

function missingEntries(packages) {
  const missing = {}
  for (const [path, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`]
      if (places.some((place) => place in packages)) continue
      const file = `${name.split('/').at(-1)}-${version}.tgz`
      missing[`node_modules/${name}`] = {
        version,
        resolved: `https://registry.npmjs.org/${name}/-/${file}`,
        ...platformOf(name),
        ...(dev ? { dev } : {}),
        optional: true,
      }
    }
  }
  return missing
}

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const missing = missingEntries(lock.packages)
const paths = Object.keys({ ...lock.packages, ...missing }).sort((a, b) => (a < b ? -1 : 1))
lock.packages = Object.fromEntries(paths.map((path) => [path, lock.packages[path] ?? missing[path]]))
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`complete-lock: ${Object.keys(missing).length} platform packages added`)
