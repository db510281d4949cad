import { createRequire } from 'node:module'
import { AmdimError, type AmdimErrorCode, ERROR_CODES } from './errors.js'
import { readManifest } from './manifest.js'

/** A failure of the addon as plain data, because error classes do not survive its asynchronous functions. */
export interface Failure {
  failure: true
  code: string
  message: string
  details: string
}

export interface PicturesFromJs {
  pixels?: { data: Uint8Array; count: number; height: number; width: number; channels: number }
  encoded?: Uint8Array[]
  paths?: string[]
  labels?: Int32Array
  classes?: string[]
}

export interface NativeImage {
  data: Uint8Array
  width: number
  height: number
  channels: number
}

export interface NativeDataset {
  info(): string
  dispose(): void
}

/** Work under way whose result is a JSON text. */
export interface NativeJob {
  cancel(): void
  finished(): Promise<string | Failure>
}

export interface NativeEmbeddingResult {
  data: Float32Array
  shape: number[]
  labels: Int32Array
  names: string[]
  skipped: string
}

export interface NativeEmbedding {
  cancel(): void
  finished(): Promise<NativeEmbeddingResult | Failure>
}

export interface NativeTensors {
  tensors: { name: string; shape: number[]; data: Float32Array }[]
}

export interface NativeModel {
  info(): string
  describe(): string
  tensors(): Promise<NativeTensors | Failure>
  save(path: string): Promise<null | Failure>
  export(requestJson: string): Promise<string | Failure>
  embed(
    dataset: NativeDataset,
    requestJson: string,
    onProgress: ((done: number) => void) | null,
  ): NativeEmbedding | Failure
  classify(
    dataset: NativeDataset,
    requestJson: string,
    onProgress: ((done: number) => void) | null,
  ): NativeEmbedding | Failure
  dispose(): void
}

export interface Addon {
  addonInfo(): string
  checkDevice(name: string): string | Failure
  encoderInfo(encoderJson: string): string | Failure
  selfTest(device: string): Promise<string | Failure>
  NativeDataset: {
    open(sourceJson: string): Promise<NativeDataset | Failure>
    fromPictures(pictures: PicturesFromJs): Promise<NativeDataset | Failure>
  }
  startTraining(
    request: string,
    train: NativeDataset,
    test: NativeDataset | null,
    onEvent: (event: string) => void,
    transform: ((image: NativeImage) => NativeImage) | null,
  ): NativeJob | Failure
  NativeModel: {
    create(
      configJson: string,
      seed: number,
      device: string,
      executor: string,
      precision: string,
      threads: number,
    ): Promise<NativeModel | Failure>
    load(
      path: string,
      device: string,
      executor: string,
      precision: string,
      threads: number,
    ): Promise<NativeModel | Failure>
    importReference(
      path: string,
      configJson: string,
      classes: readonly string[],
      device: string,
      executor: string,
      precision: string,
      threads: number,
    ): Promise<NativeModel | Failure>
  }
  startEvaluation(
    model: NativeModel | null,
    request: string,
    train: NativeDataset,
    test: NativeDataset,
    onEvent: (event: string) => void,
  ): NativeJob | Failure
  startInformation(
    request: string,
    x: Float32Array,
    y: Float32Array | null,
    labels: Uint32Array | null,
    dimensions: number[],
  ): NativeJob | Failure
  startEstimate(
    request: string,
    x: Float32Array,
    y: Float32Array,
    dimensions: number[],
    onEvent: (event: string) => void,
  ): NativeJob | Failure
  startGan(
    request: string,
    samples: Float32Array,
    dimensions: number,
    onEvent: (event: string) => void,
  ): NativeJob | Failure
  startMeasure(
    model: NativeModel | null,
    request: string,
    data: NativeDataset,
    gallery: NativeDataset | null,
    onEvent: (event: string) => void,
  ): NativeJob | Failure
  startDuplicates(
    request: string,
    train: NativeDataset,
    test: NativeDataset,
    onEvent: (event: string) => void,
  ): NativeJob | Failure
  compareOutcomes(request: string, first: Uint8Array, second: Uint8Array): Promise<string | Failure>
  startPlan(request: string): NativeJob | Failure
  startSheet(request: string, dataset: NativeDataset): NativeJob | Failure
  searchNeighbours(
    queries: Float32Array,
    base: Float32Array,
    dim: number,
    k: number,
  ): Promise<{ indices: Uint32Array; similarities: Float32Array } | Failure>
  inspectFile(path: string): Promise<string | Failure>
  inspectReference(path: string): Promise<string | Failure>
  writeTable(
    path: string,
    data: Float32Array,
    shape: readonly number[],
    labels: Int32Array,
    names: readonly string[],
  ): Promise<null | Failure>
  bench(requestJson: string): Promise<string | Failure>
}

let loaded: Addon | undefined

/**
 * The addon, loaded on first use so that importing the package and `amdim --help` stay quick.
 *
 * @throws {@link AmdimError} `AMDIM_ADDON` when there is no binary for this platform
 */
export function addon(): Addon {
  loaded ??= loadAddon()
  return loaded
}

/**
 * The value of a call into the addon, or its failure thrown as an error.
 *
 * @throws {@link AmdimError} with the failure's code
 */
export function unwrap<T>(value: T | Failure): T {
  if (isFailure(value)) throw toError(value)
  return value
}

/** As {@link unwrap} for JSON texts, parsed. */
export function unwrapJson<T>(value: string | Failure): T {
  return JSON.parse(unwrap(value)) as T
}

function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failure' in value && value.failure === true
}

function toError({ code, message, details }: Failure): AmdimError {
  const known = (ERROR_CODES as readonly string[]).includes(code)
  return new AmdimError(known ? (code as AmdimErrorCode) : 'AMDIM_INTERNAL', message, parseDetails(details))
}

function parseDetails(details: string): Record<string, unknown> {
  try {
    return JSON.parse(details) as Record<string, unknown>
  } catch {
    return { details }
  }
}

function loadAddon(): Addon {
  surviveFileSizeLimit()
  try {
    return createRequire(import.meta.url)('../native/index.cjs') as Addon
  } catch (cause) {
    const name = platformPackage()
    throw new AmdimError(
      'AMDIM_ADDON',
      `the native binary of amdim for this platform could not be loaded: expected the package "${name}"; ` +
        `install it with "npm install ${name}" (package managers leave it out with --omit=optional or with a lock ` +
        'file made on another platform), or in a checkout of the repository run "npm run build"',
      { package: name, platform: process.platform, arch: process.arch },
      { cause },
    )
  }
}

/**
 * A write beyond `ulimit -f` ends a process by SIGXFSZ unless somebody listens; then it is an error like a full disk.
 */
function surviveFileSizeLimit(): void {
  if (process.platform !== 'win32') process.on('SIGXFSZ', () => {})
}

/** Name of the package that holds this platform's binary, by napi-rs's naming of platforms. */
export function platformPackage(): string {
  const manifest = readManifest()
  return `${manifest.napi?.packageName ?? manifest.name}-${process.platform}-${process.arch}${abi()}`
}

function abi(): string {
  if (process.platform === 'win32') return '-msvc'
  if (process.platform !== 'linux') return ''
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  return report.header.glibcVersionRuntime ? '-gnu' : '-musl'
}
