//! Exponential, hyperbolic tangent and a logarithm of `f32` as plain arithmetic, so that loops over them become vector
//! code.
//!
//! They add up a Taylor series of a small argument, to which the first two reduce theirs by powers of two.

/// `1.5 * 2^23`: adding and subtracting it rounds an `f32` below `2^22` to a whole number, ties to even.
const ROUNDING: f32 = 12_582_912.0;
/// The upper bits of `ln 2`, few enough that small multiples are exact, and the rest.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `e^x` with a relative error below 2e-7. Below -87 it stays at `e^-87` (1.6e-38), above 88 at `e^88`; NaN stays.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let (power, rest) = reduce(x);
    (1.0 + expm1_small(rest)) * power
}

/// `tanh x` with a relative error below 5e-7; NaN stays.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Beyond 10 the result is 1 in `f32`.
    let x = if x < -10.0 { -10.0 } else { x };
    let x = if x > 10.0 { 10.0 } else { x };
    let (power, rest) = reduce(2.0 * x);
    // e^2x - 1, without a difference of near numbers where x is small.
    let minus_one = expm1_small(rest) * power + (power - 1.0);
    minus_one / (minus_one + 2.0)
}

/// `log(1 + x)` for x in 0..=1 with a relative error below 3e-7; NaN stays.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    // 2 atanh(s), where s is at most a third.
    let s = x / (2.0 + x);
    let square = s * s;
    let series = 1.0 / 15.0;
    let series = series * square + 1.0 / 13.0;
    let series = series * square + 1.0 / 11.0;
    let series = series * square + 1.0 / 9.0;
    let series = series * square + 1.0 / 7.0;
    let series = series * square + 0.2;
    let series = series * square + 1.0 / 3.0;
    2.0 * (series * square * s + s)
}

/// `(2^n, rest)` with `x = n ln 2 + rest` and `|rest| <= ln 2 / 2`; `|x| < 100`.
#[inline(always)]
fn reduce(x: f32) -> (f32, f32) {
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let rest = (x - n * LN_2[0]) - n * LN_2[1];
    let exponent = shifted.to_bits().wrapping_sub(ROUNDING.to_bits()).wrapping_add(127);
    (f32::from_bits(exponent << 23), rest)
}

/// `e^x - 1` for `|x| <= ln 2 / 2`.
#[inline(always)]
fn expm1_small(x: f32) -> f32 {
    let series = 1.0 / 5040.0;
    let series = series * x + 1.0 / 720.0;
    let series = series * x + 1.0 / 120.0;
    let series = series * x + 1.0 / 24.0;
    let series = series * x + 1.0 / 6.0;
    let series = series * x + 0.5;
    series * x * x + x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(limit: f32) -> impl Iterator<Item = f32> {
        let steps = 200_001;
        let even = (0..steps).map(move |i| (i as f32 / (steps - 1) as f32 * 2.0 - 1.0) * limit);
        even.chain((-40..7).flat_map(|power| [2f32.powi(power), -(2f32.powi(power))]))
    }

    fn relative_error(actual: f32, exact: f64) -> f64 {
        if exact == 0.0 { f64::from(actual) } else { ((f64::from(actual) - exact) / exact).abs() }
    }

    #[test]
    fn exp_is_near() {
        for x in arguments(87.0).filter(|x| x.abs() <= 87.0) {
            assert!(relative_error(exp(x), f64::from(x).exp()) < 2e-7, "{x}");
        }
    }

    #[test]
    fn tanh_is_near() {
        for x in arguments(12.0) {
            assert!(relative_error(tanh(x), f64::from(x).tanh()) < 5e-7, "{x}: {}", tanh(x));
        }
    }

    #[test]
    fn ln_1p_is_near() {
        for x in arguments(1.0).filter(|x| (0.0..=1.0).contains(x)) {
            assert!(relative_error(ln_1p(x), f64::from(x).ln_1p()) < 3e-7, "{x}: {}", ln_1p(x));
        }
        assert!(ln_1p(0.0) == 0.0 && ln_1p(f32::NAN).is_nan());
    }

    #[test]
    fn extremes() {
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!([tanh(f32::INFINITY), tanh(f32::NEG_INFINITY), tanh(0.0)], [1.0, -1.0, 0.0]);
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(f32::INFINITY).is_finite());
        assert_eq!(exp(0.0), 1.0);
    }
}
