/** The part of JSON schema that the schemas of this package produce. */
export interface SchemaNode {
  type?: string | string[]
  description?: string
  default?: unknown
  /** Short command-line flag, without dashes. */
  flag?: string
  /** What it takes, in words, where those made from its type would be too long. */
  expects?: string
  enum?: (string | number)[]
  properties?: Record<string, SchemaNode>
  anyOf?: SchemaNode[]
  items?: SchemaNode | false
  prefixItems?: SchemaNode[]
  minItems?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
}

/** An option of a schema: its place and what it takes. */
export interface SchemaLeaf {
  path: string[]
  node: SchemaNode
}

/** The node at a path, looking into every alternative; `undefined` when there is none. */
export function nodeAt(root: SchemaNode, path: readonly PropertyKey[]): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((node, key) => node && childOf(node, key), root)
}

function childOf(node: SchemaNode, key: PropertyKey): SchemaNode | undefined {
  const options = [node, ...(node.anyOf ?? [])]
  if (typeof key === 'number') return options.map((option) => itemOf(option, key)).find(Boolean)
  return options.map((option) => option.properties?.[String(key)]).find(Boolean)
}

function itemOf(node: SchemaNode, index: number): SchemaNode | undefined {
  return node.prefixItems?.[index] ?? (node.items || undefined)
}

/** Names and nodes of an object's options; also of an object that may be `null`. */
export function propertiesOf(node: SchemaNode): Record<string, SchemaNode> | undefined {
  return node.properties ?? node.anyOf?.map((option) => option.properties).find(Boolean)
}

/** Every option below a node; an object that may be `null` is an option itself and has options. */
export function leavesOf(node: SchemaNode, path: string[] = []): SchemaLeaf[] {
  const properties = isUnionOfObjects(node) ? undefined : propertiesOf(node)
  const below = Object.entries(properties ?? {}).flatMap(([key, child]) => leavesOf(child, [...path, key]))
  const isLeaf = properties === undefined || isNullable(node)
  return isLeaf ? [{ path, node }, ...below] : below
}

/** Whether `null` is a value of the node. */
export function isNullable(node: SchemaNode): boolean {
  return typesOf(node).includes('null') || (node.anyOf?.some(isNullable) ?? false)
}

/** Names of the JSON types of the node itself. */
export function typesOf(node: SchemaNode): string[] {
  return node.type === undefined ? [] : [node.type].flat()
}

/** The texts that a node knows by name; empty where it takes others. */
export function knownTexts(node: SchemaNode): string[] {
  const named = [node, ...(node.anyOf ?? [])].flatMap((option) => option.enum ?? [])
  return named.filter((value) => typeof value === 'string')
}

/** What a node takes, in words: `a number > 0 and <= 10, or null`. */
export function expectation(node: SchemaNode): string {
  const text = withoutNull(node)
  return isNullable(node) ? `${text}, or null` : text
}

function withoutNull(node: SchemaNode): string {
  if (node.expects !== undefined) return node.expects
  if (node.enum) return `one of ${node.enum.join(', ')}`
  const options = node.anyOf?.filter((option) => !typesOf(option).includes('null'))
  if (options?.length) return options.map(withoutNull).join(' or ')
  const type = typesOf(node).find((name) => name !== 'null')
  if (type === 'integer') return `a whole number${bounds(node)}`
  if (type === 'number') return `a number${bounds(node)}`
  if (type === 'boolean') return 'true or false'
  if (type === 'string') return 'a text'
  if (type === 'array') return listExpectation(node)
  return `an object with ${Object.keys(node.properties ?? {}).join(', ')}`
}

function listExpectation(node: SchemaNode): string {
  const item = node.prefixItems?.[0] ?? (node.items || {})
  const list = node.minItems ? `a list of at least ${node.minItems}` : 'a list'
  return `${node.prefixItems ? `${node.prefixItems.length} values` : list}, each ${withoutNull(item)}`
}

function bounds(node: SchemaNode): string {
  const parts = []
  if (node.exclusiveMinimum !== undefined) parts.push(`> ${node.exclusiveMinimum}`)
  if (node.minimum !== undefined) parts.push(`>= ${node.minimum}`)
  if (node.exclusiveMaximum !== undefined) parts.push(`< ${node.exclusiveMaximum}`)
  const isWritten = node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER
  if (isWritten) parts.push(`<= ${node.maximum}`)
  return parts.length ? ` ${parts.join(' and ')}` : ''
}

function isUnionOfObjects(node: SchemaNode): boolean {
  return (node.anyOf?.filter((option) => option.properties !== undefined).length ?? 0) > 1
}
