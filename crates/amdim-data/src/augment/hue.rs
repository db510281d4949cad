//! Hue: colours turned around the colour wheel.

use std::sync::LazyLock;

use crate::image::Image;
use amdim_random::Stream;

/// How far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Turns of the wheel, -0.5..=0.5.
    pub factor: f64,
}

/// Draws a factor from `-strength..strength`.
pub fn sample(strength: f64, stream: &mut Stream) -> Params {
    Params { factor: stream.uniform(-strength, strength) }
}

/// Converts to Pillow's 8-bit HSV, adds `factor * 255` to the hue modulo 256 and converts back, as `torchvision`
/// does on Pillow images. The way there and back alone loses levels, for factor 0 too. A gray image stays as it is.
pub fn apply(image: &mut Image, params: &Params) {
    if image.channels != 3 {
        return;
    }
    // The product is cut towards zero, then wraps into 8 bits.
    let shift = (params.factor * 255.0) as i32 as u8;
    let sectors = &*SECTORS;
    for pixel in image.pixels.as_chunks_mut::<3>().0 {
        let [hue, saturation, value] = to_hsv(*pixel);
        if saturation != 0 {
            *pixel = to_rgb(sectors[usize::from(hue.wrapping_add(shift))], saturation, value);
        } else {
            *pixel = [value; 3];
        }
    }
}

/// Pillow's `rgb2hsv`: single precision where its variables are `float`, double where its literals make it so.
#[inline]
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let high = red.max(green).max(blue);
    let low = red.min(green).min(blue);
    if high == low {
        return [0, 0, high];
    }
    let range = f32::from(high - low);
    let saturation = range / f32::from(high);
    let part = |value: u8| f32::from(high - value) / range;
    let sixth = if red == high {
        part(blue) - part(green)
    } else if green == high {
        (2.0 + f64::from(part(red)) - f64::from(part(blue))) as f32
    } else {
        (4.0 + f64::from(part(green)) - f64::from(part(red))) as f32
    };
    let turn = f64::from(sixth) / 6.0 + 1.0;
    // What lies in 5/6..11/6 modulo 1.
    let hue = (if turn >= 1.0 { turn - 1.0 } else { turn }) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, high]
}

/// A hue's sixth of the wheel and how far into it.
#[derive(Clone, Copy)]
struct Sector {
    sixth: u8,
    fraction: f32,
}

static SECTORS: LazyLock<[Sector; 256]> = LazyLock::new(|| {
    std::array::from_fn(|hue| {
        let sixths = hue as f64 * 6.0 / 255.0;
        let whole = sixths.floor();
        Sector { sixth: whole as u8 % 6, fraction: (sixths - whole) as f32 }
    })
});

/// Pillow's `hsv2rgb` for a saturation above 0.
#[inline]
fn to_rgb(sector: Sector, saturation: u8, value: u8) -> [u8; 3] {
    let share = (f64::from(saturation) / 255.0) as f32;
    let level = f64::from(value);
    let p = round_level(level * (1.0 - f64::from(share)));
    let q = round_level(level * (1.0 - f64::from(share * sector.fraction)));
    let t = round_level(level * (1.0 - f64::from(share) * (1.0 - f64::from(sector.fraction))));
    match sector.sixth {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

/// C's `round` for 0..=255, without the call.
#[inline]
fn round_level(level: f64) -> u8 {
    (level + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_a_turn_exchanges_primaries() {
        // Factor 1/3 is 85 of 255: red becomes green, green blue, blue red.
        let mut image = Image::new(3, 1, 3, vec![200, 0, 0, 0, 200, 0, 0, 0, 200]).unwrap();
        apply(&mut image, &Params { factor: 1.0 / 3.0 });
        assert_eq!(image.pixels, [0, 200, 0, 0, 0, 200, 200, 0, 0]);
    }

    #[test]
    fn gray_keeps_its_level() {
        let mut image = Image::new(1, 1, 3, vec![77, 77, 77]).unwrap();
        apply(&mut image, &Params { factor: 0.3 });
        assert_eq!(image.pixels, [77; 3]);
    }

    #[test]
    fn factors_are_symmetric() {
        let mut stream = Stream::for_view(9, 0, 0, 1);
        let factors: Vec<f64> = (0..10_000).map(|_| sample(0.2, &mut stream).factor).collect();
        assert!(factors.iter().all(|factor| factor.abs() <= 0.2));
        // Standard error of the mean 0.0012.
        assert!((factors.iter().sum::<f64>() / 10_000.0).abs() < 0.006);
        let square = factors.iter().map(|factor| factor * factor).sum::<f64>() / 10_000.0;
        assert!((square - 0.04 / 3.0).abs() < 0.0006, "{square}");
    }
}
