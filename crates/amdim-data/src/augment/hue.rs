//! Hue: colours turned around the colour wheel.

#![allow(clippy::inline_always, reason = "parts of a vectorised loop")]

use super::pixels::{Change, map_pixels};
use crate::image::Image;
use crate::vector::{cut, kernel};
use amdim_kernels::vectorized;
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
    if image.channels == 3 {
        // The product is cut towards zero, then wraps into 8 bits.
        turn_pixels(image.pixels.as_chunks_mut().0, (params.factor * 255.0) as i32);
    }
}

fn turn_pixels(pixels: &mut [[u8; 3]], shift: i32) {
    vectorized!(kernel(), map_pixels(pixels, &Turn { shift }));
}

struct Turn {
    shift: i32,
}

impl Change for Turn {
    #[inline(always)]
    fn change(&self, levels: [i32; 3]) -> [i32; 3] {
        turned(levels, self.shift)
    }
}

/// One pixel there and back, without branches, so that many are computed at once.
///
/// Pillow's `rgb2hsv` and `hsv2rgb` mix single and double precision. Most of it is single here, where one rounding
/// gives the same number; the test compares all colours with Pillow's own steps.
#[inline(always)]
fn turned([red, green, blue]: [i32; 3], shift: i32) -> [i32; 3] {
    let high = red.max(green).max(blue);
    let low = red.min(green).min(blue);
    let range = high - low;
    // Where the hue starts, the channel that raises it and the one that lowers it.
    let (start, raising, lowering) = if red == high {
        (0.0, blue, green)
    } else if green == high {
        (2.0, red, blue)
    } else {
        (4.0, green, red)
    };
    // Of a gray pixel, whose hue does not matter, nothing is divided by zero.
    let divisor = range.max(1) as f32;
    let part = |level: i32| (high - level) as f32 / divisor;
    // One of the two parts is 1.
    let sixths = if raising == low { (start + 1.0) - part(lowering) } else { (start - 1.0) + part(raising) };
    let turn = sixths / 6.0;
    let turn = if sixths < 0.0 { turn + 1.0 } else { turn };
    let hue = (times_255(turn) + shift) & 0xFF;
    let saturation = times_255(range as f32 / high.max(1) as f32);

    let sixth = hue * 6 / 255;
    let fraction = (hue * 6 - sixth * 255) as f32 / 255.0;
    let share = saturation as f32 / 255.0;
    let lowest = cut(high as f32 * (1.0 - share) + 0.5);
    // Falls through odd sixths, rises through even ones.
    let kept = if sixth & 1 == 1 { fraction } else { 1.0 - fraction };
    let between = cut(high as f32 * (1.0 - share * kept) + 0.5);
    let choose = |is_high: bool, is_between: bool| {
        if is_high {
            high
        } else if is_between {
            between
        } else {
            lowest
        }
    };
    // The hue 255 is the sixth 6, which is the sixth 0 again.
    let sixth = if sixth == 6 { 0 } else { sixth };
    [
        choose(sixth == 0 || sixth == 5, sixth == 1 || sixth == 4),
        choose(sixth == 1 || sixth == 2, sixth == 0 || sixth == 3),
        choose(sixth == 3 || sixth == 4, sixth == 2 || sixth == 5),
    ]
}

/// The exact product of a number in `0.0..=1.0` with 255, cut to a whole number.
#[inline(always)]
fn times_255(share: f32) -> i32 {
    // The product may round up to a whole number that it does not reach; both differences are exact.
    let rounded = cut(share * 256.0 - share);
    let is_above = (share * 256.0 - rounded as f32) - share < 0.0;
    rounded - i32::from(is_above)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillow's `rgb2hsv`, a shift and `hsv2rgb` with the precision of each of their variables.
    fn pillow([red, green, blue]: [u8; 3], shift: u8) -> [u8; 3] {
        let high = red.max(green).max(blue);
        let low = red.min(green).min(blue);
        if high == low {
            return [high; 3];
        }
        let range = f32::from(high - low);
        let part = |value: u8| f32::from(high - value) / range;
        let sixths = if red == high {
            part(blue) - part(green)
        } else if green == high {
            (2.0 + f64::from(part(red)) - f64::from(part(blue))) as f32
        } else {
            (4.0 + f64::from(part(green)) - f64::from(part(red))) as f32
        };
        let turn = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
        let hue = ((f64::from(turn) * 255.0) as u8).wrapping_add(shift);
        let saturation = (f64::from(range / f32::from(high)) * 255.0) as u8;
        if saturation == 0 {
            return [high; 3];
        }
        let sixths = f64::from(hue) * 6.0 / 255.0;
        let fraction = (sixths - sixths.floor()) as f32;
        let share = (f64::from(saturation) / 255.0) as f32;
        let level = f64::from(high);
        let round = |value: f64| (value + 0.5) as u8;
        let p = round(level * (1.0 - f64::from(share)));
        let q = round(level * (1.0 - f64::from(share * fraction)));
        let t = round(level * (1.0 - f64::from(share) * (1.0 - f64::from(fraction))));
        match sixths as u8 % 6 {
            0 => [high, t, p],
            1 => [q, high, p],
            2 => [p, high, t],
            3 => [p, q, high],
            4 => [t, p, high],
            _ => [high, p, q],
        }
    }

    #[test]
    fn all_colours_equal_pillow() {
        for shift in [0, 131] {
            for first in 0..=255 {
                let colours = (0..=0xFFFF_u16).map(|rest| [first, (rest >> 8) as u8, rest as u8]);
                let mut pixels: Vec<[u8; 3]> = colours.clone().collect();
                turn_pixels(&mut pixels, i32::from(shift));
                for (colour, pixel) in colours.zip(pixels) {
                    assert_eq!(pixel, pillow(colour, shift), "{colour:?} + {shift}");
                }
            }
        }
    }

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
