/** Which feature maps an encoder has; what Rust describes, known before a model is made. */
import type { EncoderConfig } from './types.js'

/** A feature map by name: `global` is the 1x1 vector, `local5` the projected map of 5x5. */
export type Layer = 'global' | `local${number}`

/** Sides of the encoder's maps, the global one first. */
export function mapSides(_encoder: EncoderConfig): number[] {
  return [1, 5, 7]
}

/** Names of the encoder's maps, the global one first. */
export function layerNames(encoder: EncoderConfig): Layer[] {
  return mapSides(encoder).map((side): Layer => (side === 1 ? 'global' : `local${side}`))
}

/** The sides of the source and the target of a term, `SOURCE->TARGET`. */
export function termSides(term: string): number[] {
  return term.split('->').map(Number)
}
