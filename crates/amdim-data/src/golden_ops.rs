//! The operations of a golden file by name, for checks against the reference's values.

use serde_json::Value;

use crate::augment::color_jitter::Adjustment;
use crate::augment::{
    Extent, Filter, Region, Resampler, brightness, center_crop, color_jitter, contrast, grayscale,
    horizontal_flip, hue, normalize, saturation, translate,
};
use crate::decode::Part;
use crate::error::{DataError, Result};
use crate::image::Image;

/// The operations [`apply_named`] knows.
pub const OPERATIONS: [&str; 10] = [
    "resized_crop_pil",
    "adjust_brightness_pil",
    "adjust_contrast_pil",
    "adjust_saturation_pil",
    "adjust_hue_pil",
    "color_jitter_pil",
    "rgb_to_grayscale_pil",
    "hflip",
    "translate_reflect",
    "resize_center_crop_pil",
];

/// The operation of a golden file that gives floats.
pub const NORMALIZE: &str = "to_tensor_normalize";

/// What an operation gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// An 8-bit image.
    Pixels(Image),
    /// Floats `[channels, height, width]`.
    Float {
        /// The values.
        values: Vec<f32>,
        /// `[channels, height, width]`.
        shape: [usize; 3],
    },
}

/// Applies operation `operation` of a golden manifest (one of [`OPERATIONS`] or [`NORMALIZE`]) with its `params`.
///
/// # Errors
/// [`DataError::InvalidArgument`] for an unknown operation, a missing or wrong parameter, or a region outside the
/// image.
pub fn apply_named(operation: &str, image: &Image, params: &Value) -> Result<Output> {
    if operation == NORMALIZE {
        return normalized(image, params);
    }
    let mut output = image.clone();
    match operation {
        "resized_crop_pil" => resized_crop(image, params, &mut output)?,
        "adjust_brightness_pil" => {
            brightness::apply(&mut output, &brightness::Params { factor: number(params, "factor")? });
        }
        "adjust_contrast_pil" => {
            contrast::apply(&mut output, &contrast::Params { factor: number(params, "factor")? });
        }
        "adjust_saturation_pil" => {
            saturation::apply(&mut output, &saturation::Params { factor: number(params, "factor")? });
        }
        "adjust_hue_pil" => hue::apply(&mut output, &hue::Params { factor: number(params, "factor")? }),
        "color_jitter_pil" => color_jitter::apply(&mut output, &jitter_params(params)?),
        "rgb_to_grayscale_pil" => grayscale::apply(&mut output, &grayscale::Params { gray: true }),
        "hflip" => horizontal_flip::apply(&mut output, &horizontal_flip::Params { flip: true }),
        "translate_reflect" => {
            let params =
                translate::Params { right: integer(params, "x")? as i32, down: integer(params, "y")? as i32 };
            translate::apply(image, &params, &mut output);
        }
        "resize_center_crop_pil" => resized_center(image, params, &mut output)?,
        _ => {
            return Err(DataError::argument(
                "operation",
                format!("one of {OPERATIONS:?}, {NORMALIZE}"),
                operation,
            ));
        }
    }
    Ok(Output::Pixels(output))
}

fn normalized(image: &Image, params: &Value) -> Result<Output> {
    let channels = usize::from(image.channels);
    let params = normalize::Params {
        mean: numbers(params, "mean", channels)?,
        std: numbers(params, "std", channels)?,
    };
    let mut values = vec![0.0; image.pixels.len()];
    normalize::Normalizer::new(&params).apply(image, &mut values);
    Ok(Output::Float { values, shape: [channels, image.height as usize, image.width as usize] })
}

fn resized_crop(image: &Image, params: &Value, output: &mut Image) -> Result<()> {
    let side = |name: &str| positive(integer(params, name)?, name);
    let start = |name: &str| integer(params, name).and_then(|value| in_range(value, 0, name));
    let region =
        Region { left: start("left")?, top: start("top")?, width: side("width")?, height: side("height")? };
    let right = u64::from(region.left) + u64::from(region.width);
    let bottom = u64::from(region.top) + u64::from(region.height);
    if right > u64::from(image.width) || bottom > u64::from(image.height) {
        let expected = format!("inside {}x{} pixels", image.width, image.height);
        return Err(DataError::argument("region", expected, format!("{region:?}")));
    }
    let size = numbers(params, "size", 2)?;
    let extents = [positive(size[1] as i64, "size")?, positive(size[0] as i64, "size")?].map(Extent::all);
    Resampler::default().resize(image, region, extents, filter(params)?, output);
    Ok(())
}

fn resized_center(image: &Image, params: &Value, output: &mut Image) -> Result<()> {
    let crop = positive(integer(params, "crop")?, "crop")?;
    let resize = in_range(integer(params, "resize")?, i64::from(crop), "resize")?;
    let sizes = center_crop::Params { resize, crop };
    center_crop::apply(
        &Part::whole(image.clone()),
        &sizes,
        filter(params)?,
        &mut Resampler::default(),
        output,
    );
    Ok(())
}

fn jitter_params(params: &Value) -> Result<color_jitter::Params> {
    let names = params["order"].as_array().map(Vec::as_slice).unwrap_or_default();
    let order: Vec<Adjustment> = names
        .iter()
        .filter_map(|name| match name.as_str()? {
            "brightness" => Some(Adjustment::Brightness),
            "contrast" => Some(Adjustment::Contrast),
            "saturation" => Some(Adjustment::Saturation),
            "hue" => Some(Adjustment::Hue),
            _ => None,
        })
        .collect();
    let order = order.try_into().map_err(|_| {
        DataError::argument("order", "brightness, contrast, saturation, hue in some order", &params["order"])
    })?;
    Ok(color_jitter::Params {
        order,
        brightness: brightness::Params { factor: number(params, "brightness")? },
        contrast: contrast::Params { factor: number(params, "contrast")? },
        saturation: saturation::Params { factor: number(params, "saturation")? },
        hue: Some(hue::Params { factor: number(params, "hue")? }),
    })
}

fn filter(params: &Value) -> Result<Filter> {
    match params["interpolation"].as_str() {
        Some("bilinear") => Ok(Filter::Bilinear),
        Some("bicubic") => Ok(Filter::Bicubic),
        _ => Err(DataError::argument("interpolation", "bilinear or bicubic", &params["interpolation"])),
    }
}

fn number(params: &Value, name: &str) -> Result<f64> {
    params[name].as_f64().ok_or_else(|| DataError::argument(name, "a number", &params[name]))
}

fn integer(params: &Value, name: &str) -> Result<i64> {
    params[name].as_i64().ok_or_else(|| DataError::argument(name, "an integer", &params[name]))
}

fn positive(value: i64, name: &str) -> Result<u32> {
    in_range(value, 1, name)
}

fn in_range(value: i64, least: i64, name: &str) -> Result<u32> {
    let most = i64::from(super::augment::config::MAXIMUM_VIEW_PIXELS);
    if (least..=most).contains(&value) {
        return Ok(value as u32);
    }
    Err(DataError::argument(name, format!("{least} to {most}"), value))
}

fn numbers(params: &Value, name: &str, count: usize) -> Result<Vec<f64>> {
    let values: Option<Vec<f64>> =
        params[name].as_array().and_then(|values| values.iter().map(Value::as_f64).collect());
    values
        .filter(|values| values.len() == count)
        .ok_or_else(|| DataError::argument(name, format!("{count} numbers"), &params[name]))
}
