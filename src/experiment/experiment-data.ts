import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DatasetSplits, openDataset } from '../data/open-dataset.js'
import { AmdimError } from '../errors.js'
import type { DataName } from './experiment.js'

/** What the file or folder of a data set may be called. */
const PATTERNS: Record<DataName, RegExp> = {
  cifar10: /^cifar[-_]?10(?!0)([-_.]|$)/i,
  cifar100: /^cifar[-_]?100([-_.]|$)/i,
  stl10: /^stl[-_]?10([-_.]|$)/i,
  mnist: /^mnist([-_.]|$)/i,
  imagenet: /^(imagenet|ilsvrc2012)([-_.]|$)/i,
  places205: /^places[-_]?205([-_.]|$)/i,
}

/** The data sets of an experiment, found in one folder and opened once each. */
export class ExperimentData implements Disposable {
  readonly #folder: string
  readonly #entries: readonly string[]
  readonly #needed: ReadonlySet<DataName>
  readonly #opened = new Map<DataName, Promise<DatasetSplits>>()

  private constructor(folder: string, entries: readonly string[], needed: ReadonlySet<DataName>) {
    this.#folder = folder
    this.#entries = entries
    this.#needed = needed
  }

  /**
   * Looks into the folder.
   *
   * @param path - folder that holds the data sets under their names (`cifar10`, `cifar-10-binary.tar.gz`, `mnist`, ...);
   *   for an experiment that needs one data set, the data set itself will do
   * @throws {@link AmdimError} `AMDIM_DATA` for a data set that is not there or is there twice, `AMDIM_IO` for no folder
   */
  static async find(path: string, needed: ReadonlySet<DataName>): Promise<ExperimentData> {
    const found = new ExperimentData(path, needed.size > 0 ? await entriesOf(path) : [], needed)
    for (const name of needed) found.#pathOf(name)
    return found
  }

  /** The splits of a data set. */
  open(name: DataName): Promise<DatasetSplits> {
    const opened = this.#opened.get(name) ?? openDataset(this.#pathOf(name))
    this.#opened.set(name, opened)
    return opened
  }

  /** Releases what was opened. */
  [Symbol.dispose](): void {
    for (const splits of this.#opened.values())
      splits.then(
        ({ train, test }) => {
          train.dispose()
          test?.dispose()
        },
        () => {}, // whoever opened it has seen the error
      )
  }

  #pathOf(name: DataName): string {
    const matches = this.#entries.filter((entry) => PATTERNS[name].test(entry))
    if (matches.length === 1) return join(this.#folder, matches[0] as string)
    if (matches.length === 0 && this.#needed.size === 1) return this.#folder
    const what = matches.length === 0 ? 'it is not there' : `there are several: ${matches.join(', ')}`
    throw new AmdimError(
      'AMDIM_DATA',
      `data: expected the data set ${name} in ${this.#folder}, as a folder or archive of this name; ${what}`,
      { name, folder: this.#folder, matches },
    )
  }
}

async function entriesOf(path: string): Promise<string[]> {
  try {
    return (await stat(path)).isDirectory() ? (await readdir(path)).sort() : []
  } catch (cause) {
    throw new AmdimError(
      'AMDIM_IO',
      `data: ${path} cannot be read: ${(cause as Error).message}`,
      { path },
      { cause },
    )
  }
}
