import type { SkippedPicture } from '../model/embedding.js'

/** Variances of features along their principal axes. */
export interface Spectrum {
  /** Eigenvalues of the covariance, the largest first; `min(pictures, featureDim)` of them. */
  eigenvalues: number[]
  /** exp of the entropy of the shares of variance: the number of axes, where all vary alike (Roy, Vetterli 2007). */
  effectiveRank: number
  /** Square of the sum of the variances over the sum of their squares. */
  participationRatio: number
  /** Fewest axes with 90 % of the variance. */
  axes90: number
  /** Fewest axes with 99 % of the variance. */
  axes99: number
  /**
   * Exponent of the power law that variances follow from rank 11 to 500 (alpha-ReQ, Agrawal et al. 2022); `null` with
   * fewer than 20 axes.
   */
  decay: number | null
}

/** How an encoder's vector follows its picture: its Jacobian by the normalised pixels, in geometric means over pictures. */
export interface JacobianSpectrum {
  /**
   * Largest over smallest singular value: 1 where all directions of the vector follow the picture alike; at most 6.7e7,
   * where rounding begins.
   */
  conditionNumber: number
  /** Singular values, the largest first. */
  singularValues: number[]
  /** Pictures at which it was taken. */
  pictures: number
}

/** Recall among so many nearest pictures. */
export interface RecallAt {
  /** Number of nearest pictures. */
  k: number
  /** Share of pictures with one of their class among them, 0..1. */
  recall: number
}

/** How well pictures find those of their class among all others, or in a gallery, by cosine similarity. */
export interface Retrieval {
  /** Mean average precision, 0..1. */
  meanAveragePrecision: number
  /** Share of pictures with one of their class among the `k` nearest, 0..1. */
  recall: RecallAt[]
  /** Pictures that had one of their class to find. */
  queries: number
  /** Pictures with none of their class to find. */
  leftOut: number
  /** Pictures of the gallery; `null` where all others were searched. */
  gallery: number | null
}

/** How far clusters, found without labels, are the classes. */
export interface ClusterAgreement {
  /** Number of clusters. */
  clusters: number
  /** Normalised mutual information (arithmetic mean of the entropies), 0..1. */
  nmi: number
  /** Adjusted Rand index: 0 at chance, 1 for equal partitions. */
  ari: number
  /** Share of pictures that are right when each cluster stands for one class, at best; 0..1. */
  accuracy: number
  /** Mean squared distance of a picture to its centre, with features of length 1. */
  distance: number
}

/** Measures of the features of a data set; those that were asked for. */
export interface MeasureReport {
  /** RankMe: effective number of directions that features use, 1 to `min(pictures, featureDim)` (Garrido et al. 2023). */
  rankMe?: number
  /** How variance is spread. */
  spectrum?: Spectrum
  /** Mean squared distance of two training views of a picture, 0..4; lower is nearer (Wang, Isola 2020). */
  alignment?: number
  /** Log of the mean Gaussian potential of all pairs of pictures, 0 to about -4; lower is more even (Wang, Isola 2020). */
  uniformity?: number
  /** How the encoder's vector follows its picture (Tschannen et al. 2020). */
  jacobian?: JacobianSpectrum
  /** Search for the class. */
  retrieval?: Retrieval
  /** Clusters against classes. */
  clustering?: ClusterAgreement
  /** Pictures measured. */
  pictures: number
  /** Values a picture. */
  featureDim: number
  /** Seconds a stage. */
  seconds: Record<string, number>
  /** Pictures that were left out. */
  skipped: SkippedPicture[]
}
