import type { layers as LayersModule, SymbolicTensor, Tensor } from '@tensorflow/tfjs'
import { AmdimError, invalidArgument } from '../errors.js'
import type {
  ModelTensor,
  NodeDescription,
  NormDescription,
  WindowDescription,
} from '../model/description.js'
import type { TensorFlow } from './tensorflow.js'

type LayerObject = ReturnType<typeof LayersModule.dense>
type Values = readonly (() => Tensor)[]

/**
 * Turns nodes of an encoder's description into standard layers of TensorFlow.js, channels last.
 *
 * Weights are set when the model is complete ({@link EncoderLayers.setWeights}); until then layers are zero, because
 * drawing random values that are thrown away takes longer than everything else.
 */
export class EncoderLayers {
  readonly #tf: TensorFlow
  readonly #tensors: ReadonlyMap<string, ModelTensor>
  readonly #weights: [LayerObject, Values][] = []

  constructor(tf: TensorFlow, tensors: ReadonlyMap<string, ModelTensor>) {
    this.#tf = tf
    this.#tensors = tensors
  }

  /** Levels 0..255 to `(level / 255 - mean) / std`: a 1x1 convolution, which training does not move. */
  normalise(x: SymbolicTensor, mean: readonly number[], std: readonly number[]): SymbolicTensor {
    const tf = this.#tf
    const scale = std.map((deviation) => 1 / (255 * deviation))
    const shift = mean.map((value, channel) => -value / (std[channel] ?? 1))
    const layer = this.#tf.layers.conv2d({
      name: 'normalise',
      filters: scale.length,
      kernelSize: 1,
      kernelInitializer: 'zeros',
      trainable: false,
    })
    const kernel = () => tf.diag(tf.tensor1d(scale)).reshape([1, 1, scale.length, scale.length])
    return this.#add(layer, x, [kernel, () => tf.tensor1d(shift)])
  }

  /** What a node computes; `other` is the map that some layers add to it. */
  apply({ name, layer, shape }: NodeDescription, x: SymbolicTensor, other?: SymbolicTensor): SymbolicTensor {
    switch (layer.kind) {
      case 'convolution': {
        const { window, weight, bias } = layer
        const y = this.#convolution(name, this.#pad(`${name}.pad`, x, window), window, weight, bias)
        return layer.relu ? this.#relu(name, y) : y
      }
      case 'residualBlock': {
        const { window } = layer
        const padded = this.#pad(`${name}.pad`, x, window)
        let hidden = this.#convolution(`${name}.conv1`, padded, window, layer.conv1, null)
        if (layer.norm) hidden = this.#norm(`${name}.norm`, hidden, layer.norm)
        const y = this.#pointwise(`${name}.conv2`, this.#relu(name, hidden), layer.conv2, null)
        const pooled = this.#averagePool(`${name}.pool`, padded, window)
        return this.#sum(`${name}.sum`, y, this.#widen(`${name}.widen`, pooled, shape.channels))
      }
      case 'batchNorm':
        return this.#norm(name, x, layer)
      case 'projection': {
        let hidden = this.#pointwise(`${name}.conv1`, x, layer.conv1, null)
        if (layer.hiddenNorm) hidden = this.#norm(`${name}.hidden_norm`, hidden, layer.hiddenNorm)
        const y = this.#pointwise(`${name}.conv2`, this.#relu(name, hidden), layer.conv2, null)
        const shortcut = this.#pointwise(`${name}.shortcut`, x, layer.shortcutWeight, layer.shortcutBias)
        return this.#norm(`${name}.output_norm`, this.#sum(`${name}.sum`, y, shortcut), layer.outputNorm)
      }
      case 'normedConvolution': {
        const { window } = layer
        const padded = this.#pad(`${name}.pad`, x, window)
        const y = this.#norm(
          `${name}.norm`,
          this.#convolution(name, padded, window, layer.weight, null),
          layer.norm,
        )
        const sum = other === undefined ? y : this.#sum(`${name}.sum`, y, other)
        return layer.relu ? this.#relu(name, sum) : sum
      }
      case 'maxPool':
        return this.#maxPool(name, x, layer.window)
      case 'globalAverage':
        return this.#averagePool(name, x, { kernel: x.shape[1] ?? 1, stride: x.shape[1] ?? 1 })
      case 'tanh':
        return this.#add(this.#tf.layers.activation({ name: plain(name), activation: 'tanh' }), x)
      case 'flatten':
      case 'alternate':
      case 'coupling':
        throw invalidArgument(
          'encoder.kind',
          'a kind of standard layers',
          'realnvp',
          'TensorFlow.js has no layer for exponentials, which couplings need; export it to ONNX instead',
        )
      default: {
        const { kind } = layer as { kind: string }
        throw invalidArgument(
          name,
          'a known kind of layer',
          kind,
          'this encoder cannot be rebuilt in TensorFlow.js',
        )
      }
    }
  }

  /** Names a map as an output of the model; a map of one location becomes a vector. */
  output(name: string, x: SymbolicTensor): SymbolicTensor {
    const { layers } = this.#tf
    const isVector = x.shape[1] === 1 && x.shape[2] === 1
    return this.#add(
      isVector ? layers.flatten({ name }) : layers.activation({ name, activation: 'linear' }),
      x,
    )
  }

  /** Copies the weights into the layers. */
  setWeights(): void {
    for (const [layer, values] of this.#weights)
      this.#tf.tidy(() => layer.setWeights(values.map((value) => value())))
  }

  #add(layer: object, x: SymbolicTensor | SymbolicTensor[], values: Values = []): SymbolicTensor {
    const added = layer as LayerObject
    if (values.length > 0) this.#weights.push([added, values])
    return added.apply(x) as SymbolicTensor
  }

  #convolution(
    name: string,
    x: SymbolicTensor,
    { kernel: kernelSize, stride: strides }: Pick<WindowDescription, 'kernel' | 'stride'>,
    weight: string,
    bias: string | null,
  ): SymbolicTensor {
    const { shape } = this.#tensor(weight)
    const layer = this.#tf.layers.conv2d({
      name: plain(name),
      filters: shape[0] ?? 0,
      kernelSize,
      strides,
      useBias: bias !== null,
      kernelInitializer: 'zeros',
    })
    // [out, in, kernel, kernel] -> [kernel, kernel, in, out]
    const values = [() => this.#read(weight).transpose([2, 3, 1, 0])]
    if (bias !== null) values.push(() => this.#read(bias))
    return this.#add(layer, x, values)
  }

  #pointwise(name: string, x: SymbolicTensor, weight: string, bias: string | null): SymbolicTensor {
    return this.#convolution(name, x, { kernel: 1, stride: 1 }, weight, bias)
  }

  #norm(name: string, x: SymbolicTensor, norm: NormDescription): SymbolicTensor {
    const { epsilon, momentum } = norm
    // Here momentum is the share of a new batch in the running statistics, there that of the old ones.
    const layer = this.#tf.layers.batchNormalization({ name: plain(name), epsilon, momentum: 1 - momentum })
    const names = [norm.weight, norm.bias, norm.runningMean, norm.runningVar]
    return this.#add(
      layer,
      x,
      names.map((tensor) => () => this.#read(tensor)),
    )
  }

  #relu(name: string, x: SymbolicTensor): SymbolicTensor {
    return this.#add(this.#tf.layers.activation({ name: plain(`${name}.relu`), activation: 'relu' }), x)
  }

  #sum(name: string, x: SymbolicTensor, y: SymbolicTensor): SymbolicTensor {
    return this.#add(this.#tf.layers.add({ name: plain(name) }), [x, y])
  }

  /** The border is no candidate: a mirrored one holds values that the window covers anyway, so it never decides. */
  #maxPool(name: string, x: SymbolicTensor, window: WindowDescription): SymbolicTensor {
    const { kernel, stride, padding } = window
    if (2 * padding >= kernel)
      throw invalidArgument(name, 'a border below half the window of a max pool', padding)
    const bordered = this.#pad(`${name}.pad`, x, { ...window, padMode: 'reflect' })
    const layer = this.#tf.layers.maxPooling2d({ name: plain(name), poolSize: kernel, strides: stride })
    return this.#add(layer, bordered)
  }

  #averagePool(
    name: string,
    x: SymbolicTensor,
    { kernel, stride }: Pick<WindowDescription, 'kernel' | 'stride'>,
  ): SymbolicTensor {
    if (kernel === 1 && stride === 1) return x
    const layer = this.#tf.layers.averagePooling2d({ name: plain(name), poolSize: kernel, strides: stride })
    return this.#add(layer, x)
  }

  /** Appends channels of zeros. */
  #widen(name: string, x: SymbolicTensor, channels: number): SymbolicTensor {
    const more = channels - (x.shape[3] ?? 0)
    if (more === 0) return x
    // With `channelsFirst` the layer pads the last two axes, which are columns and channels here.
    const layer = this.#tf.layers.zeroPadding2d({
      name: plain(name),
      dataFormat: 'channelsFirst',
      padding: [
        [0, 0],
        [0, more],
      ],
    })
    return this.#add(layer, x)
  }

  #pad(name: string, x: SymbolicTensor, { padding, padMode }: WindowDescription): SymbolicTensor {
    if (padding === 0) return x
    if (padMode === 'zero') return this.#add(this.#tf.layers.zeroPadding2d({ name: plain(name), padding }), x)
    return this.#mirror(`${name}.columns`, this.#mirror(`${name}.rows`, x, padding, 1), padding, 2)
  }

  /**
   * Mirrors the border along an axis, rows (1) or columns (2), without repeating the edge: `c b | a b c | b a`. There is
   * no standard layer for it, so single rows are cut out and put before and after.
   */
  #mirror(name: string, x: SymbolicTensor, pixels: number, axis: 1 | 2): SymbolicTensor {
    const length = x.shape[axis] ?? 0
    const line = (place: string, index: number) => {
      const cut: [number, number] = [index, length - 1 - index]
      const layer = this.#tf.layers.cropping2D({
        name: plain(`${name}.${place}`),
        cropping: axis === 1 ? [cut, [0, 0]] : [[0, 0], cut],
      })
      return this.#add(layer, x)
    }
    const steps = Array.from({ length: pixels }, (_, i) => i + 1)
    const before = steps.map((step) => line(`before${step}`, step)).reverse()
    const after = steps.map((step) => line(`after${step}`, length - 1 - step))
    return this.#add(this.#tf.layers.concatenate({ name: plain(name), axis }), [...before, x, ...after])
  }

  #tensor(name: string): ModelTensor {
    const tensor = this.#tensors.get(name)
    if (tensor === undefined)
      throw new AmdimError('AMDIM_SHAPE', `${name}: expected a tensor of this name, the model has none`, {
        name,
      })
    return tensor
  }

  #read(name: string): Tensor {
    const { data, shape } = this.#tensor(name)
    return this.#tf.tensor(data, shape)
  }
}

/** A layer's name as TensorFlow takes it: `encoder.module.layer_list.0.conv` -> `layer_list_0_conv`. */
function plain(name: string): string {
  return name.replace(/^encoder\.module\./, '').replaceAll('.', '_')
}
