/** Where a data set of files comes from, as the addon takes it. */
export type DatasetSource =
  | { kind: 'imageFolder'; path: string; subfolder: string | null; labels: 'folders' | 'none' | 'auto' }
  | { kind: 'cifar10'; path: string; split: 'train' | 'test' }
  | { kind: 'cifar100'; path: string; split: 'train' | 'test'; labels: 'fine' | 'coarse' }
  | { kind: 'stl10'; path: string; split: Stl10Split }
  | { kind: 'idx'; images: string; labels: string | null }
  | { kind: 'webDataset'; shards: string[]; labels: 'auto' | 'none'; classes: string[] | null }
  | {
      kind: 'parquet'
      files: string[]
      imageColumn: string | null
      labelColumn: string | null
      labels: 'auto' | 'none'
    }

/** A split of STL-10. */
export type Stl10Split = 'train' | 'test' | 'unlabeled' | 'train+unlabeled'
