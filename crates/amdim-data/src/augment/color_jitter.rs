//! Colour jitter: brightness, contrast, saturation and hue in a random order.

use super::config::ColorJitterConfig;
use super::{brightness, contrast, hue, saturation};
use crate::image::Image;
use amdim_random::Stream;

/// One of the four adjustments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// See [`brightness`].
    Brightness,
    /// See [`contrast`].
    Contrast,
    /// See [`saturation`].
    Saturation,
    /// See [`hue`].
    Hue,
}

/// The order and the four factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The adjustments in the order they are made.
    pub order: [Adjustment; 4],
    /// Brightness factor.
    pub brightness: brightness::Params,
    /// Contrast factor.
    pub contrast: contrast::Params,
    /// Saturation factor.
    pub saturation: saturation::Params,
    /// Hue factor; none leaves the hue alone (factor 0 would still lose levels on the way through HSV).
    pub hue: Option<hue::Params>,
}

/// Draws whether there is any jitter (`config.probability`), its order and its factors.
pub fn sample(config: &ColorJitterConfig, stream: &mut Stream) -> Option<Params> {
    if !stream.chance(config.probability) {
        return None;
    }
    let mut order = [Adjustment::Brightness, Adjustment::Contrast, Adjustment::Saturation, Adjustment::Hue];
    stream.shuffle(&mut order);
    Some(Params {
        order,
        brightness: brightness::sample(config.brightness, stream),
        contrast: contrast::sample(config.contrast, stream),
        saturation: saturation::sample(config.saturation, stream),
        hue: (config.hue > 0.0).then(|| hue::sample(config.hue, stream)),
    })
}

/// Makes the four adjustments, each rounded to 8 bits before the next, as `torchvision`'s `ColorJitter` on Pillow
/// images.
pub fn apply(image: &mut Image, params: &Params) {
    for adjustment in params.order {
        match adjustment {
            Adjustment::Brightness => brightness::apply(image, &params.brightness),
            Adjustment::Contrast => contrast::apply(image, &params.contrast),
            Adjustment::Saturation => saturation::apply(image, &params.saturation),
            Adjustment::Hue => {
                if let Some(params) = &params.hue {
                    hue::apply(image, params);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const REFERENCE: ColorJitterConfig =
        ColorJitterConfig { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 };

    #[test]
    fn every_order_is_equally_likely() {
        let mut stream = Stream::for_view(4, 0, 0, 0);
        let mut counts: HashMap<[Adjustment; 4], u32> = HashMap::new();
        let drawn = (0..30_000).filter_map(|_| sample(&REFERENCE, &mut stream)).map(|params| params.order);
        let mut total = 0_u32;
        for order in drawn {
            *counts.entry(order).or_default() += 1;
            total += 1;
        }
        // 24,000 expected with standard deviation 69; 1,000 an order with 31.
        assert!(total.abs_diff(24_000) < 350, "{total}");
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|&count| count.abs_diff(total / 24) < 160), "{counts:?}");
    }

    #[test]
    fn zero_strengths_change_nothing() {
        let config =
            ColorJitterConfig { probability: 1.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };
        let original = Image::new(2, 1, 3, vec![200, 10, 30, 9, 80, 7]).unwrap();
        let mut image = original.clone();
        apply(&mut image, &sample(&config, &mut Stream::for_view(1, 1, 1, 1)).unwrap());
        assert_eq!(image, original);
    }
}
