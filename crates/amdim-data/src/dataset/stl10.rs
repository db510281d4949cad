//! STL-10 in its binary version (Coates, Lee, Ng 2011, "An Analysis of Single Layer Networks in Unsupervised Feature
//! Learning").
//!
//! A picture is 3 x 96 x 96 bytes: the red plane, then green, then blue, each column by column. Labels are 1 to 10 in
//! a file of their own; the 100,000 unlabelled pictures have none.

use std::path::Path;

use super::records::{Records, check_class_bytes, find_members, read_class_names, take_member};
use super::source::Stl10Split;
use super::{Dataset, check_index};
use crate::error::{DataError, Result};
use crate::image::Image;

const SIDE: usize = 96;
const PLANE: usize = SIDE * SIDE;

const CLASSES: [&str; 10] =
    ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"];

/// An opened STL-10. Pictures are read from the files when asked for; those of an archive are in memory (2.8 GB for
/// the unlabelled ones: unpack the archive where that is too much).
#[derive(Debug)]
pub struct Stl10Dataset {
    parts: Vec<Part>,
    classes: Vec<String>,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    pictures: Records,
    /// Classes from 0; none for the unlabelled part.
    labels: Option<Vec<u8>>,
}

impl Stl10Dataset {
    /// Opens the files of `split` under `path`.
    pub(crate) fn open(path: &Path, split: Stl10Split) -> Result<Self> {
        const TRAIN: (&str, Option<&str>) = ("train_X.bin", Some("train_y.bin"));
        const UNLABELED: (&str, Option<&str>) = ("unlabeled_X.bin", None);
        let files: &[(&str, Option<&str>)] = match split {
            Stl10Split::Train => &[TRAIN],
            Stl10Split::Test => &[("test_X.bin", Some("test_y.bin"))],
            Stl10Split::Unlabeled => &[UNLABELED],
            Stl10Split::TrainUnlabeled => &[TRAIN, UNLABELED],
        };
        let mut wanted = vec!["class_names.txt"];
        wanted.extend(files.iter().flat_map(|(pictures, labels)| [*pictures].into_iter().chain(*labels)));
        let mut members = find_members(path, &wanted)?;
        let mut parts = Vec::with_capacity(files.len());
        for &(name, label_file) in files {
            let place = format!("{name} in {}", path.display());
            let pictures = Records::whole(&place, take_member(&mut members, path, name)?, 3 * PLANE)?;
            let labels = match label_file {
                Some(file) => {
                    let place = format!("{file} in {}", path.display());
                    let bytes = take_member(&mut members, path, file)?;
                    Some(read_labels(&place, &Records::counted(&place, bytes, 0, 1, pictures.len())?)?)
                }
                None => None,
            };
            parts.push(Part { name, pictures, labels });
        }
        if parts.iter().all(|part| part.labels.is_none()) {
            return Ok(Self { parts, classes: Vec::new() });
        }
        let named =
            read_class_names(&mut members, "class_names.txt")?.filter(|names| names.len() == CLASSES.len());
        Ok(Self { parts, classes: named.unwrap_or_else(|| CLASSES.map(str::to_owned).to_vec()) })
    }

    fn locate(&self, index: usize) -> Option<(&Part, usize)> {
        let mut within = index;
        for part in &self.parts {
            if within < part.pictures.len() {
                return Some((part, within));
            }
            within -= part.pictures.len();
        }
        None
    }
}

fn read_labels(place: &str, records: &Records) -> Result<Vec<u8>> {
    let labels = records.column(0)?;
    if let Some(index) = labels.iter().position(|&label| label == 0) {
        return Err(DataError::format(place, format!("label 0 of picture {index}, expected 1 to 10")));
    }
    let labels: Vec<u8> = labels.iter().map(|label| label - 1).collect();
    check_class_bytes(place, &labels, CLASSES.len())?;
    Ok(labels)
}

impl Dataset for Stl10Dataset {
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.pictures.len()).sum()
    }

    fn label(&self, index: usize) -> Option<u32> {
        let (part, within) = self.locate(index)?;
        part.labels.as_ref().map(|labels| u32::from(labels[within]))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.locate(index)
            .map_or_else(|| index.to_string(), |(part, within)| format!("{}[{within}]", part.name))
    }

    fn image(&self, index: usize) -> Result<Image> {
        check_index(index, self.len())?;
        let mut planes = vec![0; 3 * PLANE];
        if let Some((part, within)) = self.locate(index) {
            part.pictures.read(within, 0, &mut planes)?;
        }
        let mut pixels = vec![0; 3 * PLANE];
        for (channel, plane) in planes.chunks_exact(PLANE).enumerate() {
            for (x, column) in plane.chunks_exact(SIDE).enumerate() {
                for (y, &value) in column.iter().enumerate() {
                    pixels[(y * SIDE + x) * 3 + channel] = value;
                }
            }
        }
        Image::new(SIDE as u32, SIDE as u32, 3, pixels)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Red counts rows, green columns, blue is constant; stored column by column.
    fn picture(blue: u8) -> Vec<u8> {
        let red = (0..PLANE).map(|at| (at % SIDE) as u8);
        let green = (0..PLANE).map(|at| (at / SIDE) as u8);
        red.chain(green).chain([blue; PLANE]).collect()
    }

    #[test]
    fn pixels_and_labels() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train_X.bin"), [picture(1), picture(2)].concat()).unwrap();
        fs::write(folder.path().join("train_y.bin"), [10, 1]).unwrap();
        fs::write(folder.path().join("unlabeled_X.bin"), picture(3)).unwrap();
        let dataset = Stl10Dataset::open(folder.path(), Stl10Split::TrainUnlabeled).unwrap();
        assert_eq!((dataset.len(), dataset.classes().len()), (3, 10));
        assert_eq!([dataset.label(0), dataset.label(1), dataset.label(2)], [Some(9), Some(0), None]);
        let image = dataset.image(2).unwrap();
        assert_eq!(image.pixels[..6], [0, 0, 3, 0, 1, 3]);
        assert_eq!(image.pixels[SIDE * 3..][..3], [1, 0, 3]);
        assert_eq!(dataset.name(2), "unlabeled_X.bin[0]");
        let unlabeled = Stl10Dataset::open(folder.path(), Stl10Split::Unlabeled).unwrap();
        assert!(unlabeled.classes().is_empty());
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test_X.bin"), picture(1)).unwrap();
        for (labels, text) in
            [(vec![1, 2], "expected 1 bytes, got 2"), (vec![0], "label 0"), (vec![11], "label 10")]
        {
            fs::write(folder.path().join("test_y.bin"), labels).unwrap();
            let error = Stl10Dataset::open(folder.path(), Stl10Split::Test).unwrap_err();
            assert_eq!(error.code(), "AMDIM_DATA");
            assert!(error.to_string().contains(text), "{error}");
        }
        fs::write(folder.path().join("test_X.bin"), &picture(1)[..100]).unwrap();
        let error = Stl10Dataset::open(folder.path(), Stl10Split::Test).unwrap_err();
        assert!(error.to_string().contains("expected 27648 bytes, got 100"), "{error}");
    }
}
