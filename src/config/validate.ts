import { z } from 'zod'
import { AmdimError, invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'
import { expectation, knownTexts, nodeAt, propertiesOf, type SchemaNode } from './json-schema.js'

const nodes = new WeakMap<z.ZodType, SchemaNode>()

/** JSON schema of a schema, made once. */
export function schemaNode(schema: z.ZodType): SchemaNode {
  let node = nodes.get(schema)
  if (node === undefined) {
    // What a user may write: options with defaults may be left out.
    node = z.toJSONSchema(schema, { io: 'input' }) as SchemaNode
    nodes.set(schema, node)
  }
  return node
}

/**
 * The value with every default filled in.
 *
 * @param prefix - what the value is called in messages, before the path inside it
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` naming the first option that is wrong; all are in `details.issues`
 */
export function validate<T extends z.ZodType>(schema: T, value: unknown, prefix = ''): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const errors = result.error.issues.map((issue) => toError(issue, schemaNode(schema), value, prefix))
  const [first] = errors
  if (first === undefined || errors.length === 1)
    throw first ?? invalidArgument(prefix, 'a valid value', value)
  throw new AmdimError(first.code, `${first.message} (and ${errors.length - 1} more)`, {
    ...first.details,
    issues: errors.map((error) => error.message),
  })
}

function toError(issue: z.core.$ZodIssue, root: SchemaNode, value: unknown, prefix: string): AmdimError {
  if (issue.code === 'unrecognized_keys') return unknownOption(issue.path, issue.keys[0] ?? '', root, prefix)
  const inner = issue.code === 'invalid_union' ? issueOfMeantForm(issue) : undefined
  if (inner) return toError({ ...inner, path: [...issue.path, ...inner.path] }, root, value, prefix)
  const name = pathName(issue.path, prefix)
  const node = nodeAt(root, issue.path)
  const written = issue.code === 'custom' || issue.code === 'invalid_format'
  const expected = written
    ? issue.message.replace(/^expected /, '')
    : node
      ? expectation(node)
      : issue.message
  const actual = valueAt(value, issue.path)
  return invalidArgument(name, expected, actual, node && nearText(actual, knownTexts(node)))
}

/** The known text that may be meant. One that is known itself is refused for what stands beside it, not for its spelling. */
function nearText(actual: unknown, known: readonly string[]): string {
  return typeof actual !== 'string' || known.includes(actual) ? '' : didYouMean(actual, known)
}

/** The issue in the form of a union that the value has the keys of, if it has those of one. */
function issueOfMeantForm(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue | undefined {
  const isMeant = (errors: z.core.$ZodIssue[]) =>
    errors.every(({ code, path }) => code !== 'unrecognized_keys' && path.length > 0)
  return issue.errors.find(isMeant)?.[0]
}

/** The error for an option that does not exist, with the nearest one that does. */
function unknownOption(
  path: readonly PropertyKey[],
  key: string,
  root: SchemaNode,
  prefix: string,
): AmdimError {
  const known = Object.keys(propertiesOf(nodeAt(root, path) ?? root) ?? {})
  const advice = didYouMean(key, known) || `known here: ${known.join(', ')}`
  const name = pathName([...path, key], prefix)
  return new AmdimError('AMDIM_INVALID_ARGUMENT', `unknown option "${name}"; ${advice}`, {
    name,
    expected: known,
    actual: key,
  })
}

function pathName(path: readonly PropertyKey[], prefix: string): string {
  return [prefix, ...path.map(String)].filter(Boolean).join('.') || 'options'
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  )
}
