//! Loops compiled twice: for every processor, and for AVX2 (and the bit instructions that came with it) where the
//! processor at hand has it.
//!
//! Nothing here changes a result: the loops are integer arithmetic or single operations of floats, which Rust never
//! fuses or reorders.

/// Whether the AVX2 version runs: the processor has it, and `AMDIM_KERNEL` does not ask for less.
///
/// A wrong `AMDIM_KERNEL` is reported by the executor; here it counts as none.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    use std::sync::LazyLock;

    use amdim_kernels::Kernel;

    static HAS_AVX2: LazyLock<bool> = LazyLock::new(|| {
        let selected = Kernel::selected().unwrap_or_else(|_| Kernel::best());
        matches!(selected, Kernel::Amx | Kernel::Avx512 | Kernel::Avx2) && is_detected()
    });
    *HAS_AVX2
}

#[cfg(target_arch = "x86_64")]
fn is_detected() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

/// Cuts a number from 0 up to 2^22 to a whole one.
///
/// Rust's own conversion saturates, which the compiler does one number at a time.
#[allow(clippy::inline_always, reason = "part of vectorised loops")]
#[inline(always)]
pub(crate) fn cut(value: f32) -> i32 {
    /// The smallest number whose neighbours are 1 apart.
    const WHOLE: f32 = 8_388_608.0;
    let shifted = value + WHOLE;
    let nearest = shifted.to_bits() as i32 - WHOLE.to_bits() as i32;
    nearest - i32::from(shifted - WHOLE > value)
}

/// Defines functions whose body is compiled for AVX2 too and chosen at run time. Constant generics go in brackets.
///
/// What the body calls must be `#[inline(always)]`, or it runs without the wider instructions.
macro_rules! vectorised {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $([$(const $generic:ident: $kind:ty),+])? ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$attribute])*
        $visibility fn $name$(<$(const $generic: $kind),+>)?($($argument: $type),*) $(-> $result)? {
            #[allow(clippy::inline_always, reason = "it must become part of the function below")]
            #[inline(always)]
            fn plain$(<$(const $generic: $kind),+>)?($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
            fn avx2$(<$(const $generic: $kind),+>)?($($argument: $type),*) $(-> $result)? {
                plain$(::<$($generic),+>)?($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            if $crate::vector::has_avx2() {
                // SAFETY: the processor has these instructions.
                return unsafe { avx2$(::<$($generic),+>)?($($argument),*) };
            }
            plain$(::<$($generic),+>)?($($argument),*)
        }
    )*};
}
pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn cuts_as_a_cast_does() {
        for quarters in 0..2000 {
            let value = quarters as f32 / 4.0;
            for value in [value, value.next_up(), value.next_down().max(0.0)] {
                assert_eq!(cut(value), value as i32, "{value}");
            }
        }
    }
}
