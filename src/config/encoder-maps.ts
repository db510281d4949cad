/** Which feature maps an encoder has; what Rust describes, known before a model is made. */
import type { AmdimConfig, EncoderConfig } from './types.js'

/**
 * What `embed` can return of a picture: `global` is the 1x1 vector, `local5` the projected map of 5x5; of a model with
 * mixture features also `mixture`, the features themselves, and `posterior5`, the posterior over them at every location
 * of the 5x5 map.
 */
export type Layer = 'global' | `local${number}` | 'mixture' | `posterior${number}`

/** Sides of the encoder's maps, the global one first. */
export function mapSides(_encoder: EncoderConfig): number[] {
  return [1, 5, 7]
}

/** Names of a model's layers, the global one first. */
export function layerNames({ encoder, objective }: AmdimConfig): Layer[] {
  const sides = mapSides(encoder)
  const maps = sides.map((side): Layer => (side === 1 ? 'global' : `local${side}`))
  if (objective.mixture === null) return maps
  return [...maps, 'mixture', ...sides.filter((side) => side > 1).map((side): Layer => `posterior${side}`)]
}

/** The sides of the source and the target of a term, `SOURCE->TARGET`. */
export function termSides(term: string): number[] {
  return term.split('->').map(Number)
}
