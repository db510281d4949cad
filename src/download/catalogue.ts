import { AmdimError, invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'

/** A data set with official addresses. */
export type DownloadName = 'cifar10' | 'cifar100' | 'stl10' | 'mnist'

/** A file of a data set. */
export interface CatalogueFile {
  /** Its name, on the server and here. */
  name: string
  /** MD5 as the data set's publisher states it, in hexadecimal; against damage, not against an attacker. */
  md5: string
}

/** A data set as it is published. */
export interface CatalogueEntry {
  /** Address of the folder, ending in `/`. */
  base: string
  files: readonly CatalogueFile[]
}

/**
 * Addresses and checksums: of CIFAR from https://www.cs.toronto.edu/~kriz/cifar.html (binary versions), of STL-10 and
 * MNIST those of torchvision (datasets/stl10.py, datasets/mnist.py).
 */
export const CATALOGUE: Readonly<Record<DownloadName, CatalogueEntry>> = {
  cifar10: {
    base: 'https://www.cs.toronto.edu/~kriz/',
    files: [{ name: 'cifar-10-binary.tar.gz', md5: 'c32a1d4ab5d03f1284b67883e8d87530' }],
  },
  cifar100: {
    base: 'https://www.cs.toronto.edu/~kriz/',
    files: [{ name: 'cifar-100-binary.tar.gz', md5: '03b5dce01913d631647c71ecec9e9cb8' }],
  },
  stl10: {
    base: 'http://ai.stanford.edu/~acoates/stl10/',
    files: [{ name: 'stl10_binary.tar.gz', md5: '91f7769df0f17e558f3565bffb0c7dfb' }],
  },
  mnist: {
    base: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
    files: [
      { name: 'train-images-idx3-ubyte.gz', md5: 'f68b3c2dcbeaaa9fbdd348bbdeb94873' },
      { name: 'train-labels-idx1-ubyte.gz', md5: 'd53e105ee54ea40749a09fcbcd1e9432' },
      { name: 't10k-images-idx3-ubyte.gz', md5: '9fb629c4189551a2d022fa330f9573f3' },
      { name: 't10k-labels-idx1-ubyte.gz', md5: 'ec29112dd5afa0611ce80d1b7f02629c' },
    ],
  },
}

/** What to do about the data sets that ask for a registration. */
const BY_HAND: Readonly<Record<string, string>> = {
  imagenet:
    'ImageNet (ILSVRC 2012) asks for a registration at https://image-net.org/download.php: get ' +
    'ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, unpack them into DIR/train/nXXXXXXXX/ and ' +
    'DIR/val/nXXXXXXXX/ (a folder a class, in val too), and give DIR as the data set',
  places205:
    'Places205 asks for a registration at http://places.csail.mit.edu/downloadData.html: get the pictures resized to ' +
    '256 pixels, sort them into DIR/places205_256_train/CLASS/ and DIR/places205_256_val/CLASS/ by the lists that ' +
    'come with them, and give DIR as the data set',
}

/**
 * The entry of a data set.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for one that is not there; of those that ask for a registration
 *   the message says what to get and where to put it
 */
export function findEntry(name: unknown): CatalogueEntry {
  if (typeof name === 'string' && Object.hasOwn(CATALOGUE, name)) return CATALOGUE[name as DownloadName]
  const byHand = typeof name === 'string' && Object.hasOwn(BY_HAND, name) ? BY_HAND[name] : undefined
  if (byHand !== undefined)
    throw new AmdimError('AMDIM_INVALID_ARGUMENT', `${name} cannot be downloaded: ${byHand}`, {
      name: 'name',
    })
  const names = [...Object.keys(CATALOGUE), ...Object.keys(BY_HAND)]
  const advice = typeof name === 'string' ? didYouMean(name, names) : ''
  throw invalidArgument('name', `one of ${names.join(', ')}`, name, advice)
}
