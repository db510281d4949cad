//! CIFAR-10 and CIFAR-100 in their binary versions (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny
//! Images").
//!
//! A record is the label (two for CIFAR-100: coarse, fine) and 3,072 bytes: the 32x32 red plane, then green, then
//! blue, row-major. A file holds whole records; the official ones 10,000 or 50,000.

use std::path::Path;

use super::records::{Records, check_class_bytes, find_members, read_class_names, take_member};
use super::source::{Cifar100Labels, Split};
use super::{Dataset, check_index};
use crate::error::Result;
use crate::image::Image;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Which files hold the pictures and where their label is.
#[derive(Debug)]
pub(crate) struct Layout {
    files: &'static [&'static str],
    label_bytes: usize,
    label_at: usize,
    classes: usize,
    class_file: &'static str,
}

/// The layout of CIFAR-10.
pub(crate) fn cifar10(split: Split) -> Layout {
    let files: &[&str] = match split {
        Split::Train => &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        Split::Test => &["test_batch.bin"],
    };
    Layout { files, label_bytes: 1, label_at: 0, classes: 10, class_file: "batches.meta.txt" }
}

/// The layout of CIFAR-100.
pub(crate) fn cifar100(split: Split, labels: Cifar100Labels) -> Layout {
    let files: &[&str] = match split {
        Split::Train => &["train.bin"],
        Split::Test => &["test.bin"],
    };
    match labels {
        Cifar100Labels::Coarse => {
            Layout { files, label_bytes: 2, label_at: 0, classes: 20, class_file: "coarse_label_names.txt" }
        }
        Cifar100Labels::Fine => {
            Layout { files, label_bytes: 2, label_at: 1, classes: 100, class_file: "fine_label_names.txt" }
        }
    }
}

/// An opened CIFAR data set. Pictures are read from the files when asked for; of an archive they are in memory.
#[derive(Debug)]
pub struct CifarDataset {
    files: Vec<Records>,
    names: &'static [&'static str],
    label_bytes: usize,
    labels: Vec<u8>,
    classes: Vec<String>,
}

impl CifarDataset {
    /// Opens the files of `layout` under `path`.
    ///
    /// Class names come from the file beside them; without it they are the official ones of CIFAR-10 and numbers for
    /// CIFAR-100.
    pub(crate) fn open(path: &Path, layout: &Layout) -> Result<Self> {
        let wanted: Vec<&str> = layout.files.iter().copied().chain([layout.class_file]).collect();
        let mut members = find_members(path, &wanted)?;
        let mut files = Vec::with_capacity(layout.files.len());
        let mut labels = Vec::new();
        for name in layout.files {
            let place = format!("{name} in {}", path.display());
            let bytes = take_member(&mut members, path, name)?;
            let records = Records::whole(&place, bytes, layout.label_bytes + 3 * PLANE)?;
            let column = records.column(layout.label_at)?;
            check_class_bytes(&place, &column, layout.classes)?;
            labels.extend(column);
            files.push(records);
        }
        let named = read_class_names(&mut members, layout.class_file)?;
        let classes = named
            .filter(|names| names.len() == layout.classes)
            .unwrap_or_else(|| default_classes(layout.classes));
        Ok(Self { files, names: layout.files, label_bytes: layout.label_bytes, labels, classes })
    }

    fn locate(&self, index: usize) -> (usize, usize) {
        let mut within = index;
        for (file, records) in self.files.iter().enumerate() {
            if within < records.len() {
                return (file, within);
            }
            within -= records.len();
        }
        (self.files.len(), within)
    }
}

fn default_classes(count: usize) -> Vec<String> {
    if count == CIFAR10_CLASSES.len() {
        return CIFAR10_CLASSES.map(str::to_owned).to_vec();
    }
    (0..count).map(|class| class.to_string()).collect()
}

impl Dataset for CifarDataset {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).map(|&label| u32::from(label))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        let (file, within) = self.locate(index);
        format!("{}[{within}]", self.names.get(file).unwrap_or(&"?"))
    }

    fn image(&self, index: usize) -> Result<Image> {
        check_index(index, self.len())?;
        let (file, within) = self.locate(index);
        let mut planes = [0; 3 * PLANE];
        self.files[file].read(within, self.label_bytes, &mut planes)?;
        let pixels =
            (0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]).collect();
        Image::new(SIDE as u32, SIDE as u32, 3, pixels)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::DataError;

    /// A record whose red plane counts rows, green columns, blue is constant.
    fn record(labels: &[u8], blue: u8) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        bytes.extend((0..PLANE).map(|at| (at / SIDE) as u8));
        bytes.extend((0..PLANE).map(|at| (at % SIDE) as u8));
        bytes.extend([blue; PLANE]);
        bytes
    }

    #[test]
    fn pixels_and_labels_of_cifar10() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        for batch in 1..=5_u8 {
            let bytes = [record(&[batch], batch), record(&[9], 200 + batch)].concat();
            fs::write(inner.join(format!("data_batch_{batch}.bin")), bytes).unwrap();
        }
        let dataset = CifarDataset::open(folder.path(), &cifar10(Split::Train)).unwrap();
        assert_eq!(dataset.len(), 10);
        assert_eq!(dataset.label(4), Some(3));
        assert_eq!(dataset.classes()[9], "truck");
        assert_eq!(dataset.name(5), "data_batch_3.bin[1]");
        let image = dataset.image(5).unwrap();
        assert_eq!(image.pixels[..3], [0, 0, 203]);
        assert_eq!(image.pixels[3..6], [0, 1, 203]);
        assert_eq!(image.pixels[SIDE * 3..][..3], [1, 0, 203]);
        assert_eq!(dataset.image(10).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }

    #[test]
    fn both_labels_of_cifar100_from_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cifar-100-binary.tar.gz");
        let gzip =
            flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        let names = (0..20).map(|class| format!("super{class}")).collect::<Vec<_>>().join("\n");
        for (name, bytes) in
            [("train.bin", record(&[19, 99], 7)), ("coarse_label_names.txt", names.into_bytes())]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("cifar-100-binary/{name}"), bytes.as_slice()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        let coarse = CifarDataset::open(&path, &cifar100(Split::Train, Cifar100Labels::Coarse)).unwrap();
        assert_eq!((coarse.label(0), coarse.classes()[19].as_str()), (Some(19), "super19"));
        let fine = CifarDataset::open(&path, &cifar100(Split::Train, Cifar100Labels::Fine)).unwrap();
        assert_eq!((fine.label(0), fine.classes().len()), (Some(99), 100));
        assert_eq!(fine.image(0).unwrap().pixels[..6], [0, 0, 7, 0, 1, 7]);

        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = CifarDataset::open(&path, &cifar100(Split::Train, Cifar100Labels::Fine)).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DATA", "{error}");
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test_batch.bin");
        let layout = cifar10(Split::Test);
        assert_eq!(CifarDataset::open(folder.path(), &layout).unwrap_err().code(), "AMDIM_IO");
        fs::write(&path, &[record(&[1], 0), record(&[2], 0)].concat()[..5000]).unwrap();
        let error = CifarDataset::open(folder.path(), &layout).unwrap_err();
        assert!(
            matches!(error, DataError::WrongLength { expected_bytes: 6146, actual_bytes: 5000, .. }),
            "{error}"
        );
        fs::write(&path, record(&[10], 0)).unwrap();
        let error = CifarDataset::open(folder.path(), &layout).unwrap_err();
        assert!(error.to_string().contains("label 10 of picture 0"), "{error}");
    }
}
