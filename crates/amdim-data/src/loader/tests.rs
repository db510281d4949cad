use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::augment::TranslateConfig;
use crate::dataset::{ArrayDataset, MemoryDataset, MemoryPicture, PicturePixels};
use crate::decode::Limits;
use crate::eval_batch::load_eval_batch;

fn augment() -> AugmentConfig {
    AugmentConfig {
        flip_probability: 0.5,
        policy: None,
        views: crate::augment::Views::Augmented,
        crop: None,
        translate: Some(TranslateConfig { max_pixels: 3, probability: 0.8 }),
        color_jitter: None,
        grayscale_probability: 0.0,
        mean: vec![0.0],
        std: vec![1.0 / 255.0],
        eval_resize: None,
        pixels: 8,
        channels: 1,
        decode: crate::augment::DecodeMode::Exact,
    }
}

/// `count` ramps of 8x8 pixels that start at different levels.
fn ramps(count: usize) -> Arc<dyn Dataset> {
    let pixels = (0..count).flat_map(|picture| (0..64).map(move |at| (picture * 3 + at) as u8)).collect();
    Arc::new(ArrayDataset::new(pixels, count, 8, 8, 1, Some((0..count as u32).collect())).unwrap())
}

fn options(batch: usize) -> LoaderOptions {
    LoaderOptions {
        batch,
        seed: 7,
        threads: 1,
        prefetch: 2,
        on_bad_image: BadImagePolicy::Error,
        shuffle_buffer: 4,
        epoch: 0,
        position: 0,
    }
}

fn batches(dataset: Arc<dyn Dataset>, options: LoaderOptions, count: usize) -> Vec<Batch> {
    let mut loader = Loader::new(dataset, &augment(), options, None).unwrap();
    (0..count).map(|_| loader.next_batch().unwrap()).collect()
}

/// `count` pictures, the named ones damaged, 1 pixel large or fine.
fn with_bad_ones(count: usize, bad: &[usize]) -> Arc<dyn Dataset> {
    let picture = |index: usize| {
        let pixels = match bad.iter().position(|&bad| bad == index) {
            Some(0) => PicturePixels::Decoded(Image::new(1, 1, 1, vec![0]).unwrap()),
            Some(_) => PicturePixels::Encoded(b"text".to_vec()),
            None => PicturePixels::Decoded(Image::new(8, 8, 1, vec![index as u8; 64]).unwrap()),
        };
        MemoryPicture { name: format!("p{index}"), pixels, label: None }
    };
    Arc::new(MemoryDataset::new((0..count).map(picture).collect(), Limits::default()).unwrap())
}

#[test]
fn threads_do_not_change_the_pixels() {
    let expected = batches(ramps(23), options(5), 10);
    for (threads, prefetch) in [(2, 1), (4, 8), (3, 3)] {
        assert_eq!(batches(ramps(23), LoaderOptions { threads, prefetch, ..options(5) }, 10), expected);
    }
}

#[test]
fn an_epoch_visits_each_sample_once_and_drops_the_rest() {
    let made = batches(ramps(23), options(5), 8);
    for (epoch, batches) in made.chunks(4).enumerate() {
        let mut visited: Vec<u32> = batches.iter().flat_map(|batch| batch.indices.clone()).collect();
        assert_eq!(visited, epoch_order(23, 7, epoch as u64)[..20]);
        visited.sort_unstable();
        visited.dedup();
        assert_eq!(visited.len(), 20);
        for (position, batch) in batches.iter().enumerate() {
            assert_eq!((batch.epoch, batch.position), (epoch as u64, position));
            assert_eq!(
                batch.labels,
                batch.indices.iter().map(|&index| i64::from(index)).collect::<Vec<i64>>()
            );
            assert_eq!(batch.views[0].len(), 5 * 64);
        }
    }
}

#[test]
fn a_resumed_loader_goes_on_where_it_was() {
    let whole = batches(ramps(23), options(5), 10);
    let resumed = batches(ramps(23), LoaderOptions { epoch: 1, position: 2, ..options(5) }, 4);
    assert_eq!(resumed, whole[6..]);
}

#[test]
fn bad_pictures_are_replaced_counted_and_listed() {
    let bad = [2, 5, 9];
    let options = LoaderOptions { on_bad_image: BadImagePolicy::Skip, ..options(4) };
    let mut loader = Loader::new(with_bad_ones(12, &bad), &augment(), options.clone(), None).unwrap();
    let made: Vec<Batch> = (0..3).map(|_| loader.next_batch().unwrap()).collect();
    let order = epoch_order(12, 7, 0);
    for (position, batch) in made.iter().enumerate() {
        let mut seen = batch.indices.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4, "a batch has no picture twice");
        for (slot, index) in batch.indices.iter().enumerate() {
            assert!(!bad.contains(&(*index as usize)));
            let original = order[position * 4 + slot];
            assert!(*index == original || bad.contains(&(original as usize)));
        }
    }
    let skipped = loader.skipped();
    let names: Vec<&str> = skipped.iter().map(|picture| picture.name.as_str()).collect();
    assert_eq!(names, ["p2", "p5", "p9"]);
    assert_eq!([skipped[0].code.as_str(), skipped[1].code.as_str()], ["AMDIM_DATA", "AMDIM_DECODE"]);
    assert!(skipped[1].message.contains("p5"), "{}", skipped[1].message);
    let threaded = LoaderOptions { threads: 3, prefetch: 4, ..options };
    assert_eq!(batches(with_bad_ones(12, &bad), threaded, 3), made);
}

#[test]
fn a_bad_picture_ends_the_run_when_asked_to() {
    let mut loader = Loader::new(with_bad_ones(4, &[0, 1]), &augment(), options(4), None).unwrap();
    let error = loader.next_batch().unwrap_err();
    assert!(matches!(error.code(), "AMDIM_DECODE" | "AMDIM_DATA"), "{error}");
    assert!(error.to_string().contains("p0") || error.to_string().contains("p1"), "{error}");
}

#[test]
fn too_few_good_pictures_are_an_error() {
    let options = LoaderOptions { on_bad_image: BadImagePolicy::Skip, ..options(3) };
    let mut loader = Loader::new(with_bad_ones(4, &[0, 1]), &augment(), options, None).unwrap();
    let error = loader.next_batch().unwrap_err();
    assert!(matches!(error, DataError::TooFewGoodPictures { batch: 3, good: 2, total: 4 }), "{error}");
}

#[test]
fn options_are_checked() {
    let wrong = [
        ("batch", LoaderOptions { batch: 6, ..options(1) }),
        ("batch", LoaderOptions { batch: 0, ..options(1) }),
        ("threads", LoaderOptions { threads: 0, ..options(1) }),
        ("prefetch", LoaderOptions { prefetch: 0, ..options(1) }),
        ("shuffleBuffer", LoaderOptions { shuffle_buffer: 0, ..options(1) }),
        ("position", LoaderOptions { position: 5, ..options(1) }),
        ("epoch", LoaderOptions { epoch: u64::MAX, ..options(1) }),
    ];
    for (option, options) in wrong {
        match Loader::new(ramps(5), &augment(), options, None).err() {
            Some(DataError::InvalidArgument { name, .. }) => assert_eq!(name, option),
            other => panic!("{option}: {other:?}"),
        }
    }
    let error = Loader::new(ramps(5), &augment(), options(6), None).err().unwrap().to_string();
    assert!(error.contains('6') && error.contains('5'), "{error}");
}

#[test]
fn a_transform_sees_every_decoded_picture() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let transform: Transform = Arc::new(move |mut image| {
        counter.fetch_add(1, Ordering::Relaxed);
        image.pixels.fill(200);
        Ok(image)
    });
    let mut loader = Loader::new(ramps(4), &augment(), options(4), Some(transform.clone())).unwrap();
    let batch = loader.next_batch().unwrap();
    assert!(batch.views.iter().flatten().all(|&value| (value - 200.0).abs() < 1e-3));
    drop(loader);
    assert!(seen.load(Ordering::Relaxed) >= 4);
    let test =
        load_eval_batch(&*ramps(4), &[1], &augment(), 1, BadImagePolicy::Error, Some(&transform)).unwrap();
    assert!(test.pixels.iter().all(|&value| (value - 200.0).abs() < 1e-3));
}

#[test]
fn a_failing_transform_is_not_skipped() {
    let skip = LoaderOptions { on_bad_image: BadImagePolicy::Skip, ..options(2) };
    let shape: Transform = Arc::new(|image| Ok(Image { width: 9, ..image }));
    let own: Transform = Arc::new(|_| Err(DataError::argument("x", "y", "z")));
    for transform in [shape, own] {
        let mut loader = Loader::new(ramps(4), &augment(), skip.clone(), Some(transform)).unwrap();
        let error = loader.next_batch().unwrap_err();
        assert!(matches!(error, DataError::Transform { .. }), "{error}");
    }
    let panics: Transform = Arc::new(|_| panic!("a defect"));
    let mut loader = Loader::new(ramps(4), &augment(), skip, Some(panics)).unwrap();
    let error = loader.next_batch().unwrap_err();
    assert!(matches!(error, DataError::Internal { .. }) && error.to_string().contains("a defect"), "{error}");
}

#[test]
fn test_views_are_in_order_on_any_number_of_threads() {
    let indices = [3, 0, 6, 1, 4];
    let load =
        |threads| load_eval_batch(&*ramps(7), &indices, &augment(), threads, BadImagePolicy::Error, None);
    let one = load(1).unwrap();
    assert_eq!(one.indices, indices);
    assert_eq!(one.labels, [3, 0, 6, 1, 4]);
    for (slot, index) in indices.into_iter().enumerate() {
        assert!((one.pixels[slot * 64 + 1] - (index * 3 + 1) as f32).abs() < 1e-3);
    }
    for threads in [0, 2, 3, 16] {
        assert_eq!(load(threads).unwrap(), one);
    }
    let error = load_eval_batch(&*ramps(7), &[7], &augment(), 1, BadImagePolicy::Error, None).unwrap_err();
    assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
}

#[test]
fn bad_test_pictures_take_no_place() {
    let dataset = with_bad_ones(5, &[1, 3]);
    let indices = [0, 1, 2, 3, 4];
    let batch = load_eval_batch(&*dataset, &indices, &augment(), 2, BadImagePolicy::Skip, None).unwrap();
    assert_eq!(batch.indices, [0, 2, 4]);
    assert_eq!(batch.pixels.len(), 3 * 64);
    assert!((batch.pixels[2 * 64] - 4.0).abs() < 1e-3);
    assert_eq!(batch.skipped.len(), 2);
    let error = load_eval_batch(&*dataset, &indices, &augment(), 2, BadImagePolicy::Error, None).unwrap_err();
    assert!(error.to_string().contains("p1"), "{error}");
}

#[test]
fn dropping_stops_at_once_with_batches_waiting() {
    let options = LoaderOptions { threads: 3, prefetch: 5, ..options(4) };
    let loader = Loader::new(ramps(50), &augment(), options, None).unwrap();
    let shared = Arc::downgrade(&loader.shared);
    drop(loader);
    assert!(shared.upgrade().is_none(), "no thread is left");
}

/// A stream of two shards with 11 and 12 PNG ramps of 8x8 pixels; the named ones are text.
fn shards(folder: &std::path::Path, bad: &[usize]) -> Arc<dyn Dataset> {
    let mut paths = vec![];
    for (name, indices) in [("a.tar", 0..11), ("b.tar", 11..23)] {
        let path = folder.join(name);
        let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
        for index in indices {
            let mut bytes = std::io::Cursor::new(vec![]);
            let level = |x, y| image::Luma([(index * 3 + (y * 8 + x) as usize) as u8]);
            image::GrayImage::from_fn(8, 8, level).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            let bytes = if bad.contains(&index) { b"text".to_vec() } else { bytes.into_inner() };
            for (extension, bytes) in [("png", bytes), ("cls", index.to_string().into_bytes())] {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, format!("{index:03}.{extension}"), &*bytes).unwrap();
            }
        }
        archive.finish().unwrap();
        paths.push(path);
    }
    let labels = crate::dataset::ShardLabels::Auto;
    let source = crate::dataset::DatasetSource::WebDataset { shards: paths, labels, classes: None };
    crate::dataset::open(&source, &Limits::default()).unwrap()
}

/// A stream's batches are those of its order, whatever reads them, and its pictures those of the shards.
#[test]
fn a_stream_gives_the_same_batches_on_any_threads_and_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = shards(folder.path(), &[]);
    let whole = batches(Arc::clone(&dataset), options(5), 10);
    for (threads, prefetch) in [(2, 1), (4, 8), (3, 3)] {
        let options = LoaderOptions { threads, prefetch, ..options(5) };
        assert_eq!(batches(Arc::clone(&dataset), options, 10), whole);
    }
    for (at, batch) in whole.iter().enumerate() {
        let (epoch, position) = (at as u64 / 4, at % 4);
        let order = dataset.stream().unwrap().order(4, 7, epoch);
        assert_eq!(batch.indices, order[position * 5..][..5]);
        assert_eq!(batch.labels, batch.indices.iter().map(|&index| i64::from(index)).collect::<Vec<_>>());
        let resumed = LoaderOptions { epoch, position, ..options(5) };
        assert_eq!(batches(Arc::clone(&dataset), resumed, 10 - at), whole[at..]);
    }
    // The same pictures in memory, drawn from the same keys.
    let one = &whole[0];
    let pipeline = Pipeline::new(&augment()).unwrap();
    let (mut first, mut second) = (vec![0.0; 64], vec![0.0; 64]);
    let part = Part::whole(ramps(23).image(one.indices[3] as usize).unwrap());
    let key = [7, 0, u64::from(one.indices[3])];
    pipeline.training_views(part, key, &mut Scratch::default(), [&mut first, &mut second]).unwrap();
    assert_eq!(one.views[0][3 * 64..4 * 64], first);
    let wider = LoaderOptions { shuffle_buffer: 9, ..options(5) };
    assert_ne!(batches(dataset, wider, 1)[0].indices, one.indices);
}

#[test]
fn bad_pictures_of_a_stream_are_replaced_counted_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let bad = [2, 12, 20];
    let dataset = shards(folder.path(), &bad);
    let skip = LoaderOptions { on_bad_image: BadImagePolicy::Skip, ..options(5) };
    let mut loader = Loader::new(Arc::clone(&dataset), &augment(), skip.clone(), None).unwrap();
    let made: Vec<Batch> = (0..8).map(|_| loader.next_batch().unwrap()).collect();
    assert!(made.iter().flat_map(|batch| &batch.indices).all(|&index| !bad.contains(&(index as usize))));
    let names: Vec<String> = loader.skipped().into_iter().map(|picture| picture.name).collect();
    assert_eq!(names, ["a.tar/002.png", "b.tar/012.png", "b.tar/020.png"]);
    let threaded = LoaderOptions { threads: 3, prefetch: 4, ..skip };
    assert_eq!(batches(Arc::clone(&dataset), threaded, 8), made);
    let mut strict = Loader::new(dataset, &augment(), options(23), None).unwrap();
    let error = strict.next_batch().unwrap_err();
    assert!(error.to_string().contains(".tar/0"), "{error}");
}
