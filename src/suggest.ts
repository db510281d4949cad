/**
 * The known word nearest to a mistyped one, or `undefined` when none is near enough to be meant.
 * Nearness is the Damerau-Levenshtein distance, of which up to a third of the word may differ; failing that, a word
 * that has the typed one inside is near.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  const typed = normalise(word)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1
  for (const candidate of known) {
    const target = normalise(candidate)
    const distance = editDistance(typed, target)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best ?? shortestAround(typed, known)
}

/** The shortest known word that has the typed one inside: `batch` -> `batchSize`. */
function shortestAround(typed: string, known: Iterable<string>): string | undefined {
  if (typed.length < 3) return undefined
  const around = [...known].filter((candidate) => normalise(candidate).includes(typed))
  return around.sort((a, b) => a.length - b.length)[0]
}

/** `did you mean "x"?`, or an empty text. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const near = suggest(word, known)
  return near === undefined ? '' : `did you mean "${near}"?`
}

// Spelling habits (base_width, base-width, baseWidth) are not mistakes worth counting.
function normalise(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, '')
}

/** Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let distance = Math.min(at(last, j) + 1, at(row, j - 1) + 1, substitution)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) distance = Math.min(distance, at(beforeLast, j - 2) + 1)
      row.push(distance)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
