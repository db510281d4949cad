import {
  isNullable,
  leavesOf,
  nodeAt,
  propertiesOf,
  type SchemaNode,
  typesOf,
} from '../config/json-schema.js'
import { jsonSchema, type SchemaName } from '../index.js'
import type { CommandLine, Flag } from './flags.js'

/** A flag that sets an option of a schema. */
export interface SchemaFlag extends Flag {
  path: string[]
  node: SchemaNode
}

/** {@link flagsOf} the schema of this name. */
export async function flagsOfSchema(name: SchemaName, omit?: readonly string[]): Promise<SchemaFlag[]> {
  return flagsOf((await jsonSchema(name)) as SchemaNode, omit)
}

/**
 * One flag for each option of a schema: its short name if it has one, and its path (`--encoder.base-width`).
 *
 * @param omit - options that the command has flags of its own for
 */
export function flagsOf(root: SchemaNode, omit: readonly string[] = []): SchemaFlag[] {
  return leavesOf(root)
    .filter(({ path }) => !omit.includes(path.join('.')))
    .map(({ path, node }) => {
      const dotted = path.map(kebab).join('.')
      const name = node.flag ?? dotted
      const isSwitch = typesOf(node).includes('boolean') && !isNullable(node)
      const value = isSwitch ? undefined : placeholder(node)
      return {
        name,
        aliases: name === dotted ? [] : [dotted],
        ...(value === undefined ? { negatable: true } : { value }),
        // On the command line `null` is written `none`.
        description: (node.description ?? '').replaceAll('null', 'none'),
        ...(node.default !== undefined && { default: defaultText(node) }),
        path,
        node,
      }
    })
}

/** The options that a command line sets, nested as in the schema. Values are converted, not checked. */
export function optionsFrom(flags: readonly SchemaFlag[], line: CommandLine): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  // Shorter paths first, so that `--augment.crop none` does not undo `--augment.crop.scale`.
  for (const { name, path, node } of [...flags].sort((a, b) => a.path.length - b.path.length)) {
    const value = line.flags.get(name)
    if (value !== undefined) setAt(options, path, typeof value === 'boolean' ? value : convert(value, node))
  }
  return options
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = target
  for (const key of path.slice(0, -1)) {
    if (typeof inner[key] !== 'object' || inner[key] === null) inner[key] = {}
    inner = inner[key] as Record<string, unknown>
  }
  inner[path.at(-1) ?? ''] = value
}

/** A text as the kind of value that a node takes; a text that does not fit stays one, for the check to name. */
export function convert(text: string, node: SchemaNode): unknown {
  if (isNullable(node) && ['none', 'null'].includes(text)) return null
  const types = [node, ...(node.anyOf ?? [])].flatMap(typesOf)
  if (types.includes('array'))
    return text === '' ? [] : text.split(',').map((item) => convert(item.trim(), itemOf(node)))
  if (types.includes('boolean') && ['true', 'false'].includes(text)) return text === 'true'
  const isNumber = types.includes('number') || types.includes('integer')
  return isNumber && text.trim() !== '' && !Number.isNaN(Number(text)) ? Number(text) : text
}

function itemOf(node: SchemaNode): SchemaNode {
  return nodeAt(node, [0]) ?? {}
}

function placeholder(node: SchemaNode): string {
  if (node.enum) return node.enum.join('|')
  const types = [node, ...(node.anyOf ?? [])].flatMap(typesOf)
  if (propertiesOf(node)) return 'none'
  if (types.includes('array')) return 'A,B,...'
  const text = types.includes('boolean') ? 'true|false' : types.includes('string') ? 'TEXT' : 'N'
  return isNullable(node) ? `${text}|none` : text
}

function defaultText(node: SchemaNode): string {
  const { default: value } = node
  if (value === null) return 'none'
  if (Array.isArray(value)) return value.map(shortNumber).join(',') || 'none'
  if (typeof value === 'object') return 'on'
  return shortNumber(value)
}

function shortNumber(value: unknown): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value)
}

/** `baseWidth` -> `base-width`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
