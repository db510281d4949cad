//! Speed of the input pipeline on one thread: decoded pictures or picture files to normalised pairs of views.
//!
//! ```sh
//! cargo run --release -p amdim-data --example data_speed -- cifar10-jpeg.tar.gz --subfolder train --preset cifar10
//! ```
//!
//! `--policy fast-autoaugment-cifar10` adds strong augmentation. Prints one JSON object. `tools/peers/data.py` runs it in alternation with torchvision.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use amdim_data::dataset::FolderLabels;
use amdim_data::{
    AugmentConfig, BadImagePolicy, CachedDataset, ColorJitterConfig, CropConfig, Dataset, DatasetSource,
    DecodeMode, Limits, Loader, LoaderOptions, PolicyConfig, TranslateConfig, open,
};

/// Pairs a batch.
const BATCH: usize = 32;
/// Bytes of small decoded pictures kept: all of CIFAR-10.
const CACHE_BYTES: u64 = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let source = DatasetSource::ImageFolder {
        path: options.path,
        subfolder: options.subfolder,
        labels: FolderLabels::None,
    };
    let files = open(&source, &Limits::default())?;
    let dataset = Arc::new(CachedDataset::new(files, CACHE_BYTES));
    // Small pictures are decoded here, before the clock starts; large ones are decoded each time.
    if options.preset == Preset::Cifar10 {
        for index in 0..dataset.len() {
            dataset.image(index)?;
        }
    }
    let pictures = dataset.len();
    let loader = LoaderOptions {
        batch: BATCH.min(pictures),
        seed: 1,
        threads: 1,
        prefetch: 1,
        on_bad_image: BadImagePolicy::Error,
        shuffle_buffer: 1,
        epoch: 0,
        position: 0,
    };
    let size = loader.batch;
    let augment = AugmentConfig { policy: options.policy, ..options.preset.augment(options.decode) };
    let mut loader = Loader::new(dataset, &augment, loader, None)?;
    for _ in 0..3 {
        let batch = loader.next_batch()?;
        loader.recycle(batch);
    }
    let began = Instant::now();
    let mut pairs = 0;
    while began.elapsed().as_secs_f64() < options.seconds {
        let batch = loader.next_batch()?;
        loader.recycle(batch);
        pairs += size;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        r#"{{"pairs_per_s": {:.2}, "us_per_pair": {:.2}, "pairs": {pairs}, "pictures": {pictures}}}"#,
        pairs as f64 / seconds,
        seconds * 1e6 / pairs as f64
    );
    Ok(())
}

/// What is measured.
struct Options {
    path: PathBuf,
    subfolder: Option<String>,
    preset: Preset,
    decode: DecodeMode,
    policy: Option<PolicyConfig>,
    seconds: f64,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let path = args.next().ok_or("expected the path of a folder of pictures or of its archive")?.into();
        let mut options = Self {
            path,
            subfolder: None,
            preset: Preset::Cifar10,
            decode: DecodeMode::Exact,
            policy: None,
            seconds: 5.0,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} takes a value"))?;
            match flag.as_str() {
                "--subfolder" => options.subfolder = Some(value),
                "--preset" if value == "cifar10" => options.preset = Preset::Cifar10,
                "--preset" if value == "imagenet128" => options.preset = Preset::Imagenet128,
                "--decode" if value == "exact" => options.decode = DecodeMode::Exact,
                "--decode" if value == "fast" => options.decode = DecodeMode::Fast,
                "--policy" => options.policy = Some(serde_json::from_value(value.into())?),
                "--seconds" => options.seconds = value.parse()?,
                _ => return Err(format!("unknown: {flag} {value}").into()),
            }
        }
        Ok(options)
    }
}

/// The reference's pipelines (datasets.py).
#[derive(PartialEq)]
enum Preset {
    Cifar10,
    Imagenet128,
}

impl Preset {
    fn augment(&self, decode: DecodeMode) -> AugmentConfig {
        let jitter = |hue| ColorJitterConfig {
            probability: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue,
        };
        let cifar = AugmentConfig {
            flip_probability: 0.5,
            policy: None,
            views: amdim_data::augment::Views::Augmented,
            crop: None,
            translate: Some(TranslateConfig { max_pixels: 4, probability: 0.8 }),
            color_jitter: Some(jitter(0.2)),
            grayscale_probability: 0.25,
            mean: vec![0.49, 0.48, 0.45],
            std: vec![0.25, 0.24, 0.26],
            eval_resize: None,
            pixels: 32,
            channels: 3,
            decode,
        };
        match self {
            Self::Cifar10 => cifar,
            Self::Imagenet128 => AugmentConfig {
                crop: Some(CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] }),
                translate: None,
                color_jitter: Some(jitter(0.1)),
                pixels: 128,
                ..cifar
            },
        }
    }
}
