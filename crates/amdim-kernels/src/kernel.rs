//! Which instruction set the hot loops use: found at run time, or forced by `AMDIM_KERNEL`.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::KernelError;

/// Name of the environment variable that forces a kernel.
pub const KERNEL_VARIABLE: &str = "AMDIM_KERNEL";

/// A family of instructions that every hot loop is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// AVX-512, with products of bf16 by AMX tiles (Intel from Sapphire Rapids on; Linux alone).
    Amx,
    /// AVX-512 F, BW, DQ, VL; products of [`Bf16`](crate::Bf16) by `vdpbf16ps` where the processor has it.
    Avx512,
    /// AVX2 and FMA, with the instructions on bits that came with them (BMI, LZCNT).
    Avx2,
    /// NEON (aarch64).
    Neon,
    /// Plain Rust; every processor, f32 and f64.
    Portable,
}

impl Kernel {
    /// All kernels, the fastest first.
    pub const ALL: [Self; 5] = [Self::Amx, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Whether this processor (and, for AMX, its operating system) can run it.
    pub fn is_supported(self) -> bool {
        static SUPPORTED: OnceLock<[bool; 5]> = OnceLock::new();
        SUPPORTED.get_or_init(|| Self::ALL.map(detect))[self as usize]
    }

    /// The fastest kernel that this processor can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|kernel| kernel.is_supported()).unwrap_or(Self::Portable)
    }

    /// The kernel named by the environment variable `AMDIM_KERNEL`, or else [`Kernel::best`].
    ///
    /// # Errors
    /// [`KernelError::Unknown`] for a name that is none, [`KernelError::Unsupported`] for a kernel that this
    /// processor can't run.
    pub fn selected() -> Result<Self, KernelError> {
        let Some(name) = std::env::var_os(KERNEL_VARIABLE).filter(|name| !name.is_empty()) else {
            return Ok(Self::best());
        };
        let kernel: Self = name.to_string_lossy().parse()?;
        if kernel.is_supported() { Ok(kernel) } else { Err(KernelError::Unsupported { kernel }) }
    }

    /// Whether it multiplies [`Bf16`](crate::Bf16) faster than f32 here: by AMX, or by `vdpbf16ps` on AMD's processors. On
    /// Intel's that instruction does half of what f32 ones do in its time (Emerald Rapids); tiles are their fast way, which
    /// a virtual machine may hide. Where it does not, [`WideBf16`](crate::WideBf16) is as fast as f32.
    pub fn has_fast_bf16(self) -> bool {
        match self {
            Self::Amx => true,
            Self::Avx512 => has_avx512_bf16() && !is_intel(),
            Self::Avx2 | Self::Neon | Self::Portable => false,
        }
    }

    /// What [`vectorized!`](crate::vectorized) calls.
    ///
    /// # Panics
    /// If this processor doesn't support it.
    #[doc(hidden)]
    #[inline]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        assert!(self.is_supported(), "the kernel {self} on this processor");
        match self {
            // SAFETY: the processor has the instructions; see `detect`.
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512 => unsafe { with_avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { with_avx2(work) },
            // NEON is part of every aarch64 processor, and needs no switch.
            _ => work(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

/// Runs an expression compiled for a [`Kernel`]'s instructions, so that loops in it use whole registers. What it calls
/// takes part where it is inlined (`#[inline(always)]`).
///
/// A macro, because the closure that it makes must be inlined for certain: one that the compiler leaves outside is
/// compiled for the instructions that all processors of the architecture have.
///
/// ```
/// use amdim_kernels::{Kernel, vectorized};
///
/// let mut values = [1.0f32, -2.0, 3.0];
/// vectorized!(Kernel::best(), values.iter_mut().for_each(|value| *value = value.max(0.0)));
/// assert_eq!(values, [1.0, 0.0, 3.0]);
/// ```
///
/// # Panics
/// If this processor doesn't support the kernel.
#[macro_export]
macro_rules! vectorized {
    ($kernel:expr, $work:expr) => {
        $kernel.run(
            #[inline(always)]
            || $work,
        )
    };
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kernel {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Self, KernelError> {
        let found = Self::ALL.into_iter().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| KernelError::Unknown { name: name.into() })
    }
}

/// # Safety
/// The processor has these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
unsafe fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// # Safety
/// The processor has these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt")]
unsafe fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
fn detect(kernel: Kernel) -> bool {
    let avx512 = || {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
    };
    match kernel {
        Kernel::Amx => avx512() && has_avx512_bf16() && crate::simd::amx::is_available(),
        Kernel::Neon => false,
        Kernel::Avx512 => avx512(),
        Kernel::Avx2 => {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
        }
        Kernel::Portable => true,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect(kernel: Kernel) -> bool {
    // NEON is part of every aarch64 processor.
    kernel == Kernel::Portable || (kernel == Kernel::Neon && cfg!(target_arch = "aarch64"))
}

/// Whether the processor has `vdpbf16ps`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512_bf16() -> bool {
    is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512_bf16() -> bool {
    false
}

/// Whether Intel made the processor, by its name's first, second and last four letters.
#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    let name = std::arch::x86_64::__cpuid(0);
    [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes) == [*b"Genu", *b"ineI", *b"ntel"]
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_kernels() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.to_string().parse::<Kernel>(), Ok(kernel));
        }
        assert_eq!("sse".parse::<Kernel>(), Err(KernelError::Unknown { name: "sse".into() }));
    }

    #[test]
    fn the_best_kernel_is_supported() {
        assert!(Kernel::best().is_supported());
        assert!(Kernel::Portable.is_supported());
    }
}
