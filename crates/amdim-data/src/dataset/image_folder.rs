//! Picture files in a directory, or in a `.tar` or `.tar.gz` of one.
//!
//! Classes are the folders at the top, in the order of their names, which is the order of the labels; pictures are in
//! the order of their paths. Both orders are by bytes, as Python's `sorted` and so `torchvision`'s `ImageFolder` have
//! it. Names that start with a dot and `__MACOSX` are passed over. Other files that are not pictures by their
//! extension (.jpg .jpeg .png .gif .bmp .webp, in any case) are ignored and counted.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::archive::for_each_entry;
use super::files::decode_file;
use super::records::Bytes;
use super::source::FolderLabels;
use super::{Dataset, check_index};
use crate::decode::{ChoosePart, Limits, Part, Wanted, decode_part};
use crate::error::{DataError, Result};
use crate::image::Image;

const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "gif", "bmp", "webp"];

/// An opened image folder. Of a directory and of a plain archive only the paths are held, of a compressed archive the
/// encoded pictures too.
#[derive(Debug)]
pub struct ImageFolder {
    pictures: Pictures,
    classes: Vec<String>,
    ignored: usize,
    store: Store,
    limits: Limits,
}

/// A list of pictures, with little memory for each: a folder may hold millions.
#[derive(Debug, Default)]
struct Pictures {
    /// All paths below the folder, one behind the other, with `/` between folders.
    paths: String,
    entries: Vec<Entry>,
}

/// A picture in the list.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its path starts.
    start: usize,
    /// Bytes of its path.
    length: u32,
    label: Option<Label>,
    /// How many were found before it.
    found: u32,
}

/// A label, kept as one more than it is, so that no label takes no room.
#[derive(Debug, Clone, Copy)]
struct Label(std::num::NonZeroU32);

impl Label {
    fn new(value: u32) -> Option<Self> {
        value.checked_add(1).and_then(std::num::NonZeroU32::new).map(Self)
    }

    fn get(self) -> u32 {
        self.0.get() - 1
    }
}

impl Pictures {
    fn push(&mut self, path: &str) {
        let (start, found) = (self.paths.len(), self.entries.len() as u32);
        self.paths.push_str(path);
        self.entries.push(Entry { start, length: path.len() as u32, label: None, found });
    }

    fn path(&self, entry: &Entry) -> &str {
        &self.paths[entry.start..][..entry.length as usize]
    }

    fn sort(&mut self) {
        let Self { paths, entries } = self;
        let path = |entry: &Entry| &paths[entry.start..][..entry.length as usize];
        entries.sort_unstable_by(|a, b| path(a).cmp(path(b)));
    }
}

#[derive(Debug)]
enum Store {
    Directory(PathBuf),
    /// The archive, or the encoded pictures of a compressed one, and where each lies, in the order in which they were
    /// found.
    Archive(Bytes, Vec<Range<u64>>),
}

/// What was found, before it is put in order.
#[derive(Default)]
struct Found {
    pictures: Pictures,
    top_folders: BTreeSet<String>,
    ignored: usize,
}

impl ImageFolder {
    /// Lists the directory, or reads the archive, at `path`.
    pub(crate) fn open(
        path: &Path,
        subfolder: Option<&str>,
        labels: FolderLabels,
        limits: &Limits,
    ) -> Result<Self> {
        let subfolder = subfolder.map(|folder| folder.trim_matches('/')).filter(|folder| !folder.is_empty());
        let metadata = fs::metadata(path).map_err(|error| DataError::io(path.display(), error))?;
        let place = subfolder
            .map_or_else(|| path.display().to_string(), |folder| path.join(folder).display().to_string());
        let (found, store) = if metadata.is_dir() {
            let root = subfolder.map_or_else(|| path.to_owned(), |folder| path.join(folder));
            let mut found = Found::default();
            list(&root, "", &mut found)?;
            (found, Store::Directory(root))
        } else {
            read_archive(path, subfolder, limits)?
        };
        let (pictures, classes, ignored) = arrange(&place, found, labels)?;
        Ok(Self { pictures, classes, ignored, store, limits: *limits })
    }
}

/// Whether a file name is that of a picture, by its extension.
pub(super) fn is_picture_name(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Adds what is below `folder`, whose path below the root is `prefix` (empty, or ending in `/`).
fn list(folder: &Path, prefix: &str, found: &mut Found) -> Result<()> {
    let io_error = |error| DataError::io(folder.display(), error);
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let file_name = entry.file_name();
        let name = file_name.to_string_lossy();
        if is_hidden(&name) {
            continue;
        }
        // Follows links, as a folder of links to pictures is a usual way to make a subset.
        let metadata =
            fs::metadata(entry.path()).map_err(|error| DataError::io(entry.path().display(), error))?;
        if metadata.is_dir() {
            if prefix.is_empty() {
                found.top_folders.insert(name.to_string());
            }
            list(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if metadata.is_file() && is_picture_name(&name) && file_name.to_str().is_some() {
            found.pictures.push(&format!("{prefix}{name}"));
        } else {
            found.ignored += 1;
        }
    }
    Ok(())
}

fn read_archive(path: &Path, subfolder: Option<&str>, limits: &Limits) -> Result<(Found, Store)> {
    let mut found = Found::default();
    let (mut unpacked, mut ranges) = (Vec::new(), Vec::new());
    let mut is_plain = false;
    for_each_entry(path, |entry| {
        let below = match subfolder {
            Some(folder) => entry.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
            None => Some(entry.path.as_str()),
        };
        let Some(below) =
            below.filter(|below| !below.is_empty() && !below.split('/').any(is_hidden)).map(str::to_owned)
        else {
            return Ok(());
        };
        if let Some((top, _)) = below.split_once('/').or(entry.is_directory.then_some((below.as_str(), ""))) {
            found.top_folders.insert(top.to_owned());
        }
        if entry.is_directory {
            return Ok(());
        }
        if !is_picture_name(&below) {
            found.ignored += 1;
            return Ok(());
        }
        limits.check_bytes(entry.size).map_err(|error| error.with_picture(&below))?;
        let start = if let Some(position) = entry.position {
            is_plain = true;
            position
        } else {
            let start = unpacked.len();
            entry.read_to(&mut unpacked)?;
            start as u64
        };
        found.pictures.push(&below);
        ranges.push(start..start + entry.size);
        Ok(())
    })?;
    unpacked.shrink_to_fit();
    let bytes = if is_plain { Bytes::open(path)? } else { Bytes::Memory(unpacked) };
    Ok((found, Store::Archive(bytes, ranges)))
}

/// Sorts the pictures and gives them their labels: `(pictures, classes, ignored files)`.
fn arrange(place: &str, found: Found, labels: FolderLabels) -> Result<(Pictures, Vec<String>, usize)> {
    let Found { mut pictures, top_folders, ignored } = found;
    if pictures.entries.is_empty() {
        return Err(DataError::NoPictures { place: place.to_owned(), ignored });
    }
    pictures.sort();
    let labelled = match labels {
        FolderLabels::None => false,
        FolderLabels::Folders => true,
        FolderLabels::Auto => pictures.paths.contains('/'),
    };
    if !labelled {
        return Ok((pictures, Vec::new(), ignored));
    }
    let classes: Vec<String> = top_folders.into_iter().collect();
    let mut counts = vec![0_usize; classes.len()];
    let Pictures { paths, entries } = &mut pictures;
    for picture in entries {
        let path = &paths[picture.start..][..picture.length as usize];
        let class = path
            .split_once('/')
            .and_then(|(top, _)| classes.binary_search_by(|class| class.as_str().cmp(top)).ok());
        let Some(class) = class else {
            return Err(DataError::MissingLabel {
                place: place.to_owned(),
                picture: path.to_owned(),
                hint: "move it into a class folder, or ask for no labels".to_owned(),
            });
        };
        counts[class] += 1;
        picture.label = Label::new(class as u32);
    }
    if let Some(empty) = counts.iter().position(|&count| count == 0) {
        return Err(DataError::EmptyClass { place: place.to_owned(), class: classes[empty].clone() });
    }
    Ok((pictures, classes, ignored))
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.pictures.entries.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.pictures.entries.get(index)?.label.map(Label::get)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        let entry = self.pictures.entries.get(index);
        entry.map_or_else(|| index.to_string(), |entry| self.pictures.path(entry).to_owned())
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.part(index, &mut Wanted::all).map(|part| part.image)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        check_index(index, self.len())?;
        let picture = &self.pictures.entries[index];
        let path = self.pictures.path(picture);
        let decoded = match &self.store {
            Store::Archive(bytes, ranges) => bytes
                .range(&ranges[picture.found as usize])
                .map_err(|error| DataError::io(path, error))
                .and_then(|bytes| decode_part(&bytes, &self.limits, choose)),
            Store::Directory(root) => decode_file(&root.join(path), &self.limits, choose),
        };
        decoded.map_err(|error| error.with_picture(path))
    }

    fn ignored_files(&self) -> usize {
        self.ignored
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A 2x2 gray PNG of `level`.
    fn png(level: u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let picture = image::GrayImage::from_pixel(2, 2, image::Luma([level]));
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn write(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "train/dog/b.PNG", &png(3));
        write(folder.path(), "train/dog/a.png", &png(2));
        write(folder.path(), "train/cat/deep/z.png", &png(1));
        write(folder.path(), "train/cat/notes.txt", b"text");
        write(folder.path(), "train/.hidden/x.png", &png(9));
        folder
    }

    fn archive(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        let file = File::create(&path).unwrap();
        if Path::new(name).extension().is_some_and(|extension| extension == "gz") {
            let mut builder =
                tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
            builder.append_dir_all("./train", root.join("train")).unwrap();
            builder.into_inner().unwrap().finish().unwrap();
        } else {
            let mut builder = tar::Builder::new(file);
            builder.append_dir_all("train", root.join("train")).unwrap();
            builder.finish().unwrap();
        }
        path
    }

    fn open(path: &Path, subfolder: Option<&str>, labels: FolderLabels) -> Result<ImageFolder> {
        ImageFolder::open(path, subfolder, labels, &Limits::default())
    }

    #[test]
    fn directories_and_archives_are_the_same() {
        let folder = tree();
        let sources =
            [folder.path().to_owned(), archive(folder.path(), "a.tar"), archive(folder.path(), "a.tar.gz")];
        for source in sources {
            let dataset = open(&source, Some("train/"), FolderLabels::Auto).unwrap();
            assert_eq!(dataset.classes(), ["cat", "dog"]);
            let names: Vec<String> = (0..dataset.len()).map(|index| dataset.name(index)).collect();
            assert_eq!(names, ["cat/deep/z.png", "dog/a.png", "dog/b.PNG"]);
            for (index, (label, level)) in [(0, 1), (1, 2), (1, 3)].into_iter().enumerate() {
                assert_eq!(dataset.label(index), Some(label));
                assert_eq!(dataset.image(index).unwrap().pixels, [level; 12]);
            }
            assert_eq!(dataset.ignored_files(), 1);
            let unlabelled = open(&source, Some("train"), FolderLabels::None).unwrap();
            assert_eq!((unlabelled.label(0), unlabelled.classes().len(), unlabelled.len()), (None, 0, 3));
        }
    }

    #[test]
    fn flat_folders_have_no_labels() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "one.png", &png(1));
        let dataset = open(folder.path(), None, FolderLabels::Auto).unwrap();
        assert_eq!((dataset.len(), dataset.label(0), dataset.classes().len()), (1, None, 0));
        assert!(matches!(
            open(folder.path(), None, FolderLabels::Folders),
            Err(DataError::MissingLabel { .. })
        ));
        write(folder.path(), "class/two.png", &png(1));
        let error = open(folder.path(), None, FolderLabels::Auto).unwrap_err();
        assert!(
            matches!(error, DataError::MissingLabel { ref picture, .. } if picture == "one.png"),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "notes.txt", b"text");
        let error = open(folder.path(), None, FolderLabels::Auto).unwrap_err();
        assert!(matches!(error, DataError::NoPictures { ignored: 1, .. }), "{error}");
        assert!(error.to_string().contains(".jpg"), "{error}");
        write(folder.path(), "full/a.png", &png(1));
        fs::create_dir(folder.path().join("empty")).unwrap();
        let error = open(folder.path(), None, FolderLabels::Auto).unwrap_err();
        assert!(matches!(error, DataError::EmptyClass { ref class, .. } if class == "empty"), "{error}");
        let tree = tree();
        let error = open(&archive(tree.path(), "a.tar"), Some("test"), FolderLabels::Auto).unwrap_err();
        assert!(matches!(error, DataError::NoPictures { .. }), "{error}");
    }

    #[test]
    fn damaged_content_is_an_error() {
        let folder = tree();
        let path = archive(folder.path(), "a.tar.gz");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() * 2 / 3]).unwrap();
        assert_eq!(open(&path, None, FolderLabels::Auto).unwrap_err().code(), "AMDIM_DATA");
        let plain = archive(folder.path(), "a.tar");
        let whole = fs::read(&plain).unwrap();
        // Within the mark of the end, after every entry, in every header and in every file.
        for bytes in (1..whole.len() - 512).step_by(100).chain((1..whole.len() - 512).step_by(512)) {
            fs::write(&plain, &whole[..bytes]).unwrap();
            let error = open(&plain, None, FolderLabels::Auto).unwrap_err();
            assert_eq!(error.code(), "AMDIM_DATA", "{bytes}: {error}");
        }
        fs::write(&path, b"this is a text file, not an archive").unwrap();
        assert_eq!(open(&path, None, FolderLabels::Auto).unwrap_err().code(), "AMDIM_DATA");
        write(folder.path(), "train/cat/text.png", b"a text file");
        let dataset = open(folder.path(), Some("train"), FolderLabels::Auto).unwrap();
        let error = dataset.image(1).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DECODE");
        assert!(error.to_string().contains("cat/text.png"), "{error}");
    }

    #[test]
    fn limits_hold_before_reading() {
        let folder = tree();
        let limits = Limits { max_bytes: 10, ..Limits::default() };
        let dataset = ImageFolder::open(folder.path(), Some("train"), FolderLabels::Auto, &limits).unwrap();
        assert_eq!(dataset.image(0).unwrap_err().code(), "AMDIM_LIMIT");
        let path = archive(folder.path(), "a.tar");
        let error = ImageFolder::open(&path, None, FolderLabels::Auto, &limits).unwrap_err();
        assert_eq!(error.code(), "AMDIM_LIMIT");
    }
}
