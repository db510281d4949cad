//! The operations of policies against Pillow's results (tools/make-augment-fixtures.py), equal to the last level.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use amdim_data::augment::factor::Params as Factor;
use amdim_data::augment::policy::affine::Axis;
use amdim_data::augment::policy::{Step, cutout, posterize, rotate, shear, shift, solarize};
use amdim_data::{Image, Limits, decode};

const PICTURES: [&str; 7] = ["natural", "odd", "pale", "flat", "tiny", "gray", "wide"];

fn fixture(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(name)).unwrap()
}

/// The picture and its results, which stand below each other in the file.
fn images(name: &str, count: usize) -> Vec<Image> {
    let sheet = decode::decode(&fixture(&format!("{name}.png")), &Limits::default()).unwrap();
    let sheet = sheet.into_channels(if name == "gray" { 1 } else { 3 });
    let (width, height) = (sheet.width, sheet.height / count as u32);
    assert_eq!(sheet.height, height * count as u32);
    let values = width as usize * height as usize * usize::from(sheet.channels);
    let image = |pixels: &[u8]| Image::new(width, height, sheet.channels, pixels.to_vec()).unwrap();
    sheet.pixels.chunks_exact(values).map(image).collect()
}

fn step(operation: &str, arguments: &[f64], image: &Image) -> Step {
    match (operation, arguments) {
        ("shearX", &[slope]) => Step::Shear(shear::Params { axis: Axis::X, slope }),
        ("shearY", &[slope]) => Step::Shear(shear::Params { axis: Axis::Y, slope }),
        ("shiftX", &[pixels]) => Step::Shift(shift::Params { axis: Axis::X, pixels }),
        ("shiftY", &[pixels]) => Step::Shift(shift::Params { axis: Axis::Y, pixels }),
        ("rotate", &[degrees]) => Step::Rotate(rotate::Params { degrees }),
        ("autoContrast", &[]) => Step::AutoContrast,
        ("invert", &[]) => Step::Invert,
        ("equalize", &[]) => Step::Equalize,
        ("solarize", &[threshold]) => Step::Solarize(solarize::Params { threshold }),
        ("posterize", &[bits]) => Step::Posterize(posterize::Params { bits: bits as u32 }),
        ("contrast", &[factor]) => Step::Contrast(Factor { factor }),
        ("color", &[factor]) => Step::Color(Factor { factor }),
        ("brightness", &[factor]) => Step::Brightness(Factor { factor }),
        ("sharpness", &[factor]) => Step::Sharpness(Factor { factor }),
        ("cutout", &[across, down, pixels]) => {
            let size = [image.width, image.height];
            let place = [across * f64::from(size[0]), down * f64::from(size[1])];
            Step::Cutout(cutout::around(place, pixels, size))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn operations_equal_pillow() {
    let cases: Vec<(String, Vec<f64>)> = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let mut wrong = Vec::new();
    let mut changed: BTreeMap<&str, u32> = BTreeMap::new();
    // Left over from another picture, as in a pipeline.
    let mut other = Image::new(3, 3, 3, vec![77; 27]).unwrap();
    for name in PICTURES {
        let images = images(name, cases.len() + 1);
        for ((operation, arguments), expected) in cases.iter().zip(&images[1..]) {
            let mut image = images[0].clone();
            step(operation, arguments, &image).apply(&mut image, &mut other);
            if image != *expected {
                let differences = image.pixels.iter().zip(&expected.pixels).filter(|(a, b)| a != b).count();
                wrong.push(format!("{name} {operation} {arguments:?}: {differences} values"));
            }
            *changed.entry(operation).or_default() += u32::from(*expected != images[0]);
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // Every operation did something to several pictures.
    assert!(changed.len() == 15 && changed.values().all(|&count| count >= 3), "{changed:?}");
}
