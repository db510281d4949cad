/**
 * Self-supervised image representations by AMDIM (Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910).
 *
 * @packageDocumentation
 */
export { jsonSchema, type ResolveConfigOptions, resolveConfig, type SchemaName } from './config/config.js'
export type { InnerLayer, Layer, MapLayer } from './config/encoder-maps.js'
export { type ConfigFile, loadConfig, loadPolicy } from './config/load.js'
export { PRESETS, type Preset } from './config/presets.js'
export type {
  AmdimConfig,
  AugmentConfig,
  AugmentPolicy,
  ComparePlan,
  ConfigOverrides,
  DeepPartial,
  DuplicatesPlan,
  EncoderConfig,
  EstimatePlan,
  EvaluationPlan,
  MeasurePlan,
  PresetName,
  RunSettings,
} from './config/types.js'
export { type Cifar10Options, type Cifar100Options, cifar10, cifar100 } from './data/cifar.js'
export { Dataset } from './data/dataset.js'
export { fromArrays } from './data/from-arrays.js'
export {
  type FromPicturesOptions,
  fromPictures,
  type Picture,
  type PictureData,
  type PixelImage,
} from './data/from-pictures.js'
export { idx, type MnistOptions, mnist } from './data/idx.js'
export { type ImageFolderOptions, imageFolder } from './data/image-folder.js'
export type { LabelOptions } from './data/labels.js'
export {
  type DatasetInput,
  type DatasetSplits,
  type OpenDatasetOptions,
  openDataset,
} from './data/open-dataset.js'
export { type ParquetOptions, parquet } from './data/parquet.js'
export type { Stl10Split } from './data/source.js'
export { type Stl10Options, stl10 } from './data/stl10.js'
export { type WebDatasetOptions, webDataset } from './data/web-dataset.js'
export {
  type AugmentSheet,
  type AugmentSheetOptions,
  augmentSheet,
  type PolicyDraw,
  type PolicyOutcome,
  type SheetRow,
  type SheetView,
} from './diagnose/augment-sheet.js'
export { type BenchOptions, type BenchResult, bench } from './diagnose/bench.js'
export {
  type Check,
  type DeviceInfo,
  type DoctorOptions,
  type DoctorReport,
  doctor,
} from './diagnose/doctor.js'
export {
  type Calibration,
  type PlannedMemory,
  type PlanOptions,
  plan,
  type RunPlan,
} from './diagnose/plan.js'
export type { DownloadName } from './download/catalogue.js'
export {
  type DownloadedDataset,
  type DownloadOptions,
  type DownloadProgress,
  download,
} from './download/download.js'
export { AmdimError, type AmdimErrorCode, ERROR_CODES, type ErrorDetails } from './errors.js'
export {
  type CompareOptions,
  compareModels,
  type ModelComparison,
  type PairedTest,
  type PairedTestOptions,
  pairedTest,
} from './evaluate/compare.js'
export {
  type DuplicateOptions,
  type DuplicatePair,
  type DuplicateReport,
  findDuplicates,
} from './evaluate/duplicates.js'
export { type EvaluateOptions, type EvaluateProgress, evaluate, type Head } from './evaluate/evaluate.js'
export {
  type InformationPlaneOptions,
  informationPlane,
  type PlanePoint,
} from './evaluate/information-plane.js'
export { type MeasureName, type MeasureOptions, measure } from './evaluate/measure.js'
export type {
  ClusterAgreement,
  JacobianSpectrum,
  MeasureReport,
  RecallAt,
  Retrieval,
  Spectrum,
} from './evaluate/measure-report.js'
export type { ClassReport, EvaluationReport, HeadReport } from './evaluate/report.js'
export { type Features, type Neighbours, type SearchOptions, searchNeighbours } from './evaluate/search.js'
export {
  type Criterion,
  type MeasuredModel,
  type Selection,
  type SelectOptions,
  selectModel,
} from './evaluate/select.js'
export { EXPERIMENTS, type ExperimentName } from './experiment/catalogue.js'
export type {
  Axes,
  Curve,
  DataName,
  DryRunResult,
  ExperimentScale,
  ExperimentSettings,
  Measure,
  Position,
  RowResult,
} from './experiment/experiment.js'
export type { ExperimentRecord, RowRecord, SeedResult, Summary } from './experiment/record.js'
export {
  type DryRunOptions,
  dryRunExperiment,
  type ExperimentEvent,
  type ExperimentOptions,
  experimentRows,
  type ResultEvent,
  type RowEvent,
  type RowPlace,
  type RowSummary,
  runExperiment,
  type WithinEvent,
} from './experiment/run-experiment.js'
export {
  type ExportedFiles,
  type ExportFormat,
  type ExportOptions,
  exportModel,
} from './files/export-model.js'
export { type ImportOptions, importCheckpoint } from './files/import-checkpoint.js'
export { writeParquet } from './files/write-parquet.js'
export {
  type EstimateOptions,
  type EstimatePoint,
  estimateMutualInformation,
  type MutualInformationEstimate,
} from './information/estimate.js'
export {
  type GanOptions,
  type GanOutcome,
  type GanProgress,
  type MadeSamples,
  trainGan,
} from './information/gan.js'
export {
  AmdimModel,
  type ClassifyOptions,
  type CreateModelOptions,
  type EmbedInput,
  type EmbedOptions,
  type ModelOptions,
  type PixelArray,
} from './model/amdim-model.js'
export { Classification, type ClassProbability } from './model/classification.js'
export type {
  AlternateDescription,
  BatchNormDescription,
  ConvolutionDescription,
  CouplingDescription,
  EncoderDescription,
  FlattenDescription,
  GlobalAverageDescription,
  LayerDescription,
  MapShape,
  MaxPoolDescription,
  ModelTensor,
  NodeDescription,
  NormDescription,
  NormedConvolutionDescription,
  ProjectionDescription,
  ResidualBlockDescription,
  TanhDescription,
  WindowDescription,
} from './model/description.js'
export { Embedding, type SkippedPicture } from './model/embedding.js'
export { inspect, type ModelInfo, type TensorInfo, type TrainingPosition } from './model/inspect.js'
export type {
  CheckpointEvent,
  ClassifierProgress,
  EpochEvent,
  EvaluationEvent,
  SkippedEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  WarningEvent,
} from './train/events.js'
export type { TrainData, TrainOptions, Transform } from './train/options.js'
export type { RunPaths, TrainOutcome } from './train/outcome.js'
export { trainAmdim } from './train/train-amdim.js'
export { type TrainClassifiersOptions, trainClassifiers } from './train/train-classifiers.js'
export { type InfomaxOptions, type Method, trainInfomax } from './train/train-infomax.js'
export { TrainingRun } from './train/training-run.js'
