//! The instructions that loops over bytes are compiled for, and arithmetic that suits them.
//!
//! Nothing here changes a result: the loops are integer arithmetic or single operations of floats, which Rust never
//! fuses or reorders.

use std::sync::LazyLock;

use amdim_kernels::Kernel;

/// The kernel for [`vectorized!`](amdim_kernels::vectorized): AVX2 where the processor has it and `AMDIM_KERNEL` does
/// not ask for less.
///
/// Wider registers gain nothing in loops over bytes. A wrong `AMDIM_KERNEL` is reported by the executor; here it counts
/// as none.
pub(crate) fn kernel() -> Kernel {
    static KERNEL: LazyLock<Kernel> =
        LazyLock::new(|| match Kernel::selected().unwrap_or_else(|_| Kernel::best()) {
            Kernel::Amx | Kernel::Avx512 if Kernel::Avx2.is_supported() => Kernel::Avx2,
            other => other,
        });
    *KERNEL
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
