// Every dependency's licence, Rust's and npm's, must be on the list below: node tools/check-licences.mjs
//
// A dependency passes if one way of reading its SPDX expression uses listed licences only. The list has the licences
// that ask for no more than a notice; those that ask for a little more (MPL-2.0, CC-BY-4.0, PSF-2.0) only in development tools.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './lib/process.mjs'

const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'Apache-2.0 WITH LLVM-exception',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BSL-1.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unicode-3.0',
  'Unlicense',
  'Zlib',
])
const ALLOWED_IN_TOOLS = new Set([...ALLOWED, 'MPL-2.0', 'CC-BY-4.0', 'PSF-2.0'])

/** Whether an SPDX expression (AND binds closer than OR; old manifests write / for OR) can be met from `allowed`. */
function permits(expression, allowed) {
  const tokens = expression.replaceAll('/', ' OR ').match(/\(|\)|[^\s()]+(?:\s+WITH\s+[^\s()]+)?/g) ?? []
  let next = 0
  const any = () => {
    let value = all()
    while (tokens[next] === 'OR') {
      next += 1
      const right = all()
      value = value || right
    }
    return value
  }
  const all = () => {
    let value = one()
    while (tokens[next] === 'AND') {
      next += 1
      const right = one()
      value = value && right
    }
    return value
  }
  const one = () => {
    const token = tokens[next++]
    if (token !== '(') return allowed.has(token)
    const value = any()
    next += 1 // the closing bracket
    return value
  }
  const value = any()
  return value && next === tokens.length
}

/** Crates of every platform and feature: { name, licence, tool }. */
function crates() {
  const text = capture('cargo', ['metadata', '--format-version', '1', '--locked'])
  if (text === null) throw new Error('cargo metadata failed; run it to see why')
  const { packages } = JSON.parse(text)
  return packages
    .filter(({ source }) => source !== null)
    .map(({ name, version, license }) => ({
      name: `crate ${name} ${version}`,
      licence: license,
      tool: false,
    }))
}

/** Installed npm packages; those of other systems are not here to be read, and share their parent's licence. */
function npmPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const paths = Object.keys(packages).filter((path) => path && existsSync(join(root, path, 'package.json')))
  return paths.map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
    return { name: `npm ${name} ${version}`, licence: license, tool: packages[path].dev === true }
  })
}

const dependencies = [...crates(), ...npmPackages()]
const refused = dependencies.filter(
  ({ licence, tool }) => typeof licence !== 'string' || !permits(licence, tool ? ALLOWED_IN_TOOLS : ALLOWED),
)
for (const { name, licence } of refused)
  console.error(`licence not on the list: ${name}: ${licence ?? 'none stated'}`)
console.log(`licences: ${dependencies.length} dependencies, ${refused.length} refused`)
process.exitCode = refused.length || dependencies.length === 0 ? 1 : 0
