import type { SkippedPicture } from '../model/embedding.js'

/** How well one head classifies the test pictures. Shares are 0..1; intervals are 95 % Wilson intervals. */
export interface HeadReport {
  /** Share of pictures whose most likely class is right. */
  top1: number
  /** Interval of {@link HeadReport.top1}. */
  top1Interval: [low: number, high: number]
  /** Share of pictures whose class is among the five most likely. */
  top5: number
  /** Interval of {@link HeadReport.top5}. */
  top5Interval: [low: number, high: number]
  /** Mean of the accuracies of the classes. */
  balancedAccuracy: number
  /** Number of test pictures counted. */
  count: number
  /** Accuracy of each class. */
  perClass: ClassReport[]
  /** `confusion[true][predicted]`: numbers of pictures. */
  confusion: number[][]
  /**
   * With `predictions`: the most likely class of each test picture, an index into `test.classes`; -1 for a picture that
   * the reference's protocol does not count.
   */
  predictions?: number[]
}

/** How well one class is recognised. */
export interface ClassReport {
  /** Name of the class. */
  name: string
  /** Test pictures of the class. */
  count: number
  /** Those classified rightly. */
  correct: number
  /** `correct / count`. */
  accuracy: number
}

/** Result of an evaluation. */
export interface EvaluationReport {
  /** One report a head. */
  heads: {
    /** Multinomial logistic regression. */
    linear?: HeadReport
    /** One hidden layer with batch norm and dropout. */
    mlp?: HeadReport
    /** k nearest neighbours by cosine similarity. */
    knn?: HeadReport
  }
  /** Top-1 of always naming the most frequent class. */
  chance: number
  /** Training pictures used. */
  trainSize: number
  /** Test pictures. */
  testSize: number
  /** Values a picture that the heads saw. */
  featureDim: number
  /** With `predictions`: the test pictures in the order of the data set, without those left out. */
  test?: {
    /** Names, one a picture. */
    names: string[]
    /** Indices into `classes`, one a picture. */
    labels: number[]
    /** Names of the classes. */
    classes: string[]
  }
  /** Seconds a stage. */
  seconds: Record<string, number>
  /** Pictures that were left out. */
  skipped: SkippedPicture[]
}
