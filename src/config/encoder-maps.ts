/** Which feature maps an encoder has; what Rust describes, known before a model is made. */
import type { AmdimConfig, EncoderConfig } from './types.js'

/** A feature map by name: `global` is the 1x1 vector, `local5` the projected map of 5x5. */
export type MapLayer = 'global' | `local${number}`

/**
 * What `embed` can return of a picture: `global` is the 1x1 vector, `local5` the projected map of 5x5; of a model with
 * mixture features also `mixture`, the features themselves, and `posterior5`, the posterior over them at every location
 * of the 5x5 map.
 */
export type Layer = MapLayer | 'mixture' | `posterior${number}` | InnerLayer

/**
 * A layer before the global vector: of encoders of kind `dim` the last convolution's map and the fully connected layer,
 * of kind `mlp` the hidden layers, `hidden1` the first.
 */
export type InnerLayer = 'conv' | 'fc' | `hidden${number}`

/** Sides of the maps of a ResNet's stages, at every size of pictures. */
export const STAGE_SIDES = [4, 8, 16, 32] as const

/** What the maps depend on. */
type Maps = Pick<EncoderConfig, 'kind' | 'localMaps' | 'encoderSize'>

/** Sides of the encoder's maps, the global one first. */
export function mapSides({ kind, localMaps, encoderSize }: Maps): number[] {
  if (kind === 'dim') return [1, encoderSize === 28 ? 7 : 8]
  if (kind === 'amdim') return [1, 5, 7]
  return [1, ...(localMaps ?? [])]
}

/** Names of the encoder's maps, the global one first. */
export function layerNames(encoder: Maps): MapLayer[] {
  return mapSides(encoder).map((side): MapLayer => (side === 1 ? 'global' : `local${side}`))
}

/** Names of a model's layers, the encoder's maps first. */
export function modelLayers({ encoder, objective }: AmdimConfig): Layer[] {
  const maps = layerNames(encoder)
  if (encoder.kind === 'dim') return [...maps, 'conv', 'fc']
  if (encoder.kind === 'mlp') {
    const hidden = Array.from({ length: encoder.blockDepth ?? 0 }, (_, i): Layer => `hidden${i + 1}`)
    return [...maps, ...hidden]
  }
  if (objective.mixture === null) return maps
  const sides = mapSides(encoder).filter((side) => side > 1)
  return [...maps, 'mixture', ...sides.map((side): Layer => `posterior${side}`)]
}

/** The sides of the source and the target of a term, `SOURCE->TARGET`. */
export function termSides(term: string): number[] {
  return term.split('->').map(Number)
}

/**
 * The paper's terms on the two coarsest local maps: from the global vector to both, and the coarsest to itself. Without
 * local maps the vector is compared with that of the other view.
 */
export function usualTerms(encoder: Maps): string[] {
  const [coarsest, ...finer] = mapSides(encoder).slice(1)
  if (coarsest === undefined) return ['1->1']
  return [...[coarsest, ...finer.slice(0, 1)].map((side) => `1->${side}`), `${coarsest}->${coarsest}`]
}
