//! How far views from quickly decoded JPEG files lie from those of exactly decoded ones, in levels of 0 to 255.
//!
//! ```sh
//! cargo run --release -p amdim-data --example decode_difference -- FOLDER
//! ```
//!
//! The crop and the resizing of the reference's `ImageNet` pipeline, training and test, without jitter and gray.

use std::error::Error;

use amdim_data::dataset::FolderLabels;
use amdim_data::{
    AugmentConfig, CropConfig, DatasetSource, DecodeMode, Limits, Pipeline, augment::Scratch, open,
};

/// Epochs of training views compared.
const EPOCHS: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected a folder of pictures")?.into();
    let source = DatasetSource::ImageFolder { path, subfolder: None, labels: FolderLabels::None };
    let dataset = open(&source, &Limits::default())?;
    let pipelines = [Pipeline::new(&config(DecodeMode::Exact))?, Pipeline::new(&config(DecodeMode::Fast))?];
    let values = pipelines[0].view_values();
    let mut scratch = Scratch::default();
    let (mut training, mut test) = (Difference::default(), Difference::default());
    for index in 0..dataset.len() {
        for epoch in 0..EPOCHS {
            let key = [1, epoch, index as u64];
            let mut views = [[vec![0.0; values], vec![0.0; values]], [vec![0.0; values], vec![0.0; values]]];
            let mut reduced = false;
            for (pipeline, [one, two]) in pipelines.iter().zip(&mut views) {
                let part = dataset
                    .part(index, &mut |width, height| pipeline.wanted_for_training(width, height, key))?;
                reduced = part.reduction > 1;
                pipeline.training_views(part, key, &mut scratch, [one, two])?;
            }
            for (exact, fast) in views[0].iter().zip(&views[1]) {
                training.add(exact, fast, reduced);
            }
        }
        let mut views = [vec![0.0; values], vec![0.0; values]];
        let mut reduced = false;
        for (pipeline, view) in pipelines.iter().zip(&mut views) {
            let part = dataset.part(index, &mut |width, height| pipeline.wanted_for_test(width, height))?;
            reduced = part.reduction > 1;
            pipeline.test_view(part, &mut scratch, view)?;
        }
        test.add(&views[0], &views[1], reduced);
    }
    training.print("training");
    test.print("test");
    Ok(())
}

fn config(decode: DecodeMode) -> AugmentConfig {
    AugmentConfig {
        flip_probability: 0.5,
        policy: None,
        views: amdim_data::augment::Views::Augmented,
        crop: Some(CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] }),
        translate: None,
        color_jitter: None,
        grayscale_probability: 0.0,
        mean: vec![0.0; 3],
        std: vec![1.0 / 255.0; 3],
        eval_resize: Some(146),
        pixels: 128,
        channels: 3,
        decode,
    }
}

/// Differences of views that were decoded at reduced size; the others have none.
#[derive(Default)]
struct Difference {
    views: usize,
    reduced: usize,
    largest: f32,
    sum: f64,
    squares: f64,
    values: usize,
}

impl Difference {
    fn add(&mut self, exact: &[f32], fast: &[f32], reduced: bool) {
        self.views += 1;
        self.reduced += usize::from(reduced);
        for (exact, fast) in exact.iter().zip(fast) {
            let difference = (exact - fast).abs();
            self.largest = self.largest.max(difference);
            if reduced {
                self.sum += f64::from(difference);
                self.squares += f64::from(difference).powi(2);
                self.values += 1;
            }
        }
    }

    fn print(&self, name: &str) {
        let count = self.values.max(1) as f64;
        println!(
            "{name}: {} of {} views at reduced size; of these mean {:.3}, root mean square {:.3}, largest {:.0} levels",
            self.reduced,
            self.views,
            self.sum / count,
            (self.squares / count).sqrt(),
            self.largest
        );
    }
}
