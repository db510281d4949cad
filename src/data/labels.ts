import { invalidArgument } from '../errors.js'

/** Labels of pictures that JavaScript supplies. */
export interface LabelOptions {
  /**
   * One label a picture: the index of its class, or `null` for none.
   *
   * @default no labels
   */
  labels?: ArrayLike<number | null>
  /**
   * Names of the classes in the order of their labels.
   *
   * @default the labels as text
   */
  classes?: readonly string[]
}

/**
 * Labels as the addon takes them: -1 for none.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` when a label is no class index, or their number is not `count`
 */
export function toLabels(
  { labels, classes }: LabelOptions,
  count: number,
): { labels?: Int32Array; classes?: string[] } {
  if (labels === undefined) {
    if (classes !== undefined) throw invalidArgument('classes', 'labels beside them', classes)
    return {}
  }
  if (labels.length !== count)
    throw invalidArgument('labels', `${count} labels, one a picture`, `${labels.length}`)
  const values = Int32Array.from({ length: count }, (_, i) => toLabel(labels[i] ?? null, i, classes?.length))
  const highest = values.reduce((most, label) => Math.max(most, label), -1)
  const names = classes ? [...classes] : Array.from({ length: highest + 1 }, (_, label) => String(label))
  return { labels: values, classes: names }
}

function toLabel(label: unknown, index: number, classes = 2 ** 31 - 1): number {
  if (label === null) return -1
  const isLabel = typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes
  if (!isLabel) throw invalidArgument(`labels[${index}]`, `a class index below ${classes}, or null`, label)
  return label
}
