//! AMX: eight tiles of sixteen rows of 64 bytes, and products of bf16 between them.
//!
//! Tiles belong to a thread, like registers, but no compiler of this crate's code knows of them: they keep their values
//! from one instruction to the next, until [`TileUnit::release`].

#[cfg(test)]
pub(crate) mod emulated;

use std::arch::asm;

use crate::{Bf16, Stored};

/// Rows of a whole tile.
pub(crate) const TILE_ROWS: usize = 16;

/// Bytes of a whole tile's row.
pub(crate) const ROW_BYTES: usize = 64;

/// Shapes of the tiles, as `ldtilecfg` reads them.
#[repr(C, align(64))]
pub(crate) struct Shapes {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// Eight tiles of sixteen rows of 64 bytes; `reserved` and the eight places without a tile must be 0.
    pub(crate) const WHOLE: Self = {
        let mut shapes =
            Self { palette: 1, first_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut tile = 0;
        while tile < 8 {
            shapes.row_bytes[tile] = ROW_BYTES as u16;
            shapes.rows[tile] = TILE_ROWS as u8;
            tile += 1;
        }
        shapes
    };
}

/// A thread's tiles, numbered 0 to 7. Strides are in bytes.
///
/// Every function is `unsafe` for the same reasons: the processor must have the instructions, all but `configure` need
/// tiles that were configured by this thread and not released since, and memory must be valid for the rows and bytes
/// of the tile's shape.
pub(crate) trait TileUnit {
    /// Gives all tiles their shapes, and zeros.
    unsafe fn configure(shapes: &Shapes);
    /// Gives the tiles back, so that the system need not save them any more.
    unsafe fn release();
    /// Fills a tile with zeros.
    unsafe fn zero<const TILE: u8>();
    /// Reads a tile's rows, `stride` apart.
    unsafe fn load<const TILE: u8>(from: *const u8, stride: isize);
    /// Writes a tile's rows, `stride` apart.
    unsafe fn store<const TILE: u8>(to: *mut u8, stride: isize);
    /// `sum[i][j] += left[i][2k] right[k][2j] + left[i][2k + 1] right[k][2j + 1]` over `k`: sums are `f32`, factors
    /// bf16. Subnormal numbers count as zero.
    unsafe fn multiply_add<const SUM: u8, const LEFT: u8, const RIGHT: u8>();
}

/// The processor's own tiles: AMX-TILE and AMX-BF16.
pub(crate) struct Amx;

// SAFETY (all `unsafe` blocks): the trait's contract. None of these instructions touches a flag, the stack or a
// register beside the tiles.
impl TileUnit for Amx {
    #[inline(always)]
    unsafe fn configure(shapes: &Shapes) {
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes, options(nostack, preserves_flags, readonly)) }
    }

    #[inline(always)]
    unsafe fn release() {
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }

    #[inline(always)]
    unsafe fn zero<const TILE: u8>() {
        unsafe { asm!("tilezero tmm{}", const TILE, options(nostack, preserves_flags, nomem)) }
    }

    #[inline(always)]
    unsafe fn load<const TILE: u8>(from: *const u8, stride: isize) {
        unsafe {
            asm!(
                "tileloadd tmm{tile}, [{from} + {stride}*1]", tile = const TILE, from = in(reg) from,
                stride = in(reg) stride, options(nostack, preserves_flags, readonly)
            );
        }
    }

    #[inline(always)]
    unsafe fn store<const TILE: u8>(to: *mut u8, stride: isize) {
        unsafe {
            asm!(
                "tilestored [{to} + {stride}*1], tmm{tile}", tile = const TILE, to = in(reg) to,
                stride = in(reg) stride, options(nostack, preserves_flags)
            );
        }
    }

    #[inline(always)]
    unsafe fn multiply_add<const SUM: u8, const LEFT: u8, const RIGHT: u8>() {
        unsafe {
            asm!(
                "tdpbf16ps tmm{sum}, tmm{left}, tmm{right}", sum = const SUM, left = const LEFT,
                right = const RIGHT, options(nostack, preserves_flags, nomem)
            );
        }
    }
}

/// Whether the processor has AMX for bf16, the system lets this process use it, and a product comes out right.
pub(crate) fn is_available() -> bool {
    // SAFETY: the processor has tiles, the system saves them and lets this process use them.
    has_instructions() && is_permitted() && unsafe { multiplies_right::<Amx>() }
}

/// AMX-BF16 and AMX-TILE by CPUID, and the state of both (XCR0) enabled by the system.
fn has_instructions() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// # Safety
    /// The system has enabled `xgetbv`.
    #[target_feature(enable = "xsave")]
    unsafe fn enabled_states() -> u64 {
        // SAFETY: the caller's contract.
        unsafe { _xgetbv(0) }
    }

    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const TILE_STATES: u64 = 1 << 17 | 1 << 18;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: OSXSAVE says so.
    features & AMX_BF16 != 0
        && features & AMX_TILE != 0
        && unsafe { enabled_states() } & TILE_STATES == TILE_STATES
}

/// Asks Linux for the tiles' 8 KiB of state a thread, which it grants to whole processes, on demand (5.16 on).
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    use std::ffi::c_long;

    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }

    const ARCH_PRCTL: c_long = 158;
    const ARCH_REQ_XCOMP_PERM: c_long = 0x1023;
    const TILE_DATA: c_long = 18;
    // SAFETY: the call takes two numbers and writes no memory; a system that doesn't know it answers with an error.
    unsafe { syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

/// How other systems lend tiles has not been tried.
#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// Whether one product of whole tiles, added twice, has the sums that plain loops give.
///
/// # Safety
/// The processor has the instructions of `U`.
unsafe fn multiplies_right<U: TileUnit>() -> bool {
    const INNER: usize = ROW_BYTES / size_of::<Bf16>();
    let left = |i: usize, k: usize| ((i + 2 * k) % 7) as f32 - 3.0;
    let right = |k: usize, j: usize| ((3 * k + j) % 5) as f32 - 2.0;
    let mut lefts = [[Bf16::default(); INNER]; TILE_ROWS];
    // Only every other row, so that strides are looked at, too.
    let mut rights = [[Bf16::default(); INNER]; TILE_ROWS * 2];
    for i in 0..TILE_ROWS {
        for k in 0..INNER {
            lefts[i][k] = Bf16::from_real(left(i, k));
            rights[k / 2 * 2][2 * i + k % 2] = Bf16::from_real(right(k, i));
        }
    }
    let mut sums = [[f32::NAN; TILE_ROWS]; TILE_ROWS];
    // SAFETY: the caller's contract; the arrays hold whole tiles.
    unsafe {
        U::configure(&Shapes::WHOLE);
        U::zero::<0>();
        U::load::<1>(lefts.as_ptr().cast(), ROW_BYTES as isize);
        U::load::<2>(rights.as_ptr().cast(), 2 * ROW_BYTES as isize);
        U::multiply_add::<0, 1, 2>();
        U::multiply_add::<0, 1, 2>();
        U::store::<0>(sums.as_mut_ptr().cast(), ROW_BYTES as isize);
        U::release();
    }
    sums.iter().enumerate().all(|(i, sums)| {
        sums.iter().enumerate().all(|(j, &sum)| {
            let expected: f32 = (0..INNER).map(|k| left(i, k) * right(k, j)).sum();
            sum == 2.0 * expected
        })
    })
}
