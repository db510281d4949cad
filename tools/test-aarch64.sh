#!/usr/bin/env bash
# Tests the products for aarch64 (NEON) on another Linux machine, under emulation: npm run test:aarch64
#
# Runs the tests of amdim-kernels and amdim-cpu, and compares the shipped training step with the repository's reference
# values on the kernels `neon` and `portable`. Ten minutes, and as many again the first time, when candle is compiled for
# aarch64; this is why it is no part of `npm test`. On an aarch64 machine it runs without emulation.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
sysroot=/usr/aarch64-linux-gnu

missing() {
  echo "test-aarch64: $1 is missing; install it with: $2" >&2
  exit 1
}
command -v cargo >/dev/null || missing cargo "https://rustup.rs"
[ -d "$(rustc --print target-libdir --target $target)" ] || missing "Rust's $target" "rustup target add $target"
skip=()
if [ "$(uname -sm)" != "Linux aarch64" ]; then
  command -v aarch64-linux-gnu-gcc >/dev/null || missing "a linker for aarch64" "apt-get install gcc-aarch64-linux-gnu"
  [ -e $sysroot/lib/libc.so ] || missing "the C library of aarch64" "apt-get install libc6-dev-arm64-cross"
  command -v qemu-aarch64 >/dev/null || missing qemu-aarch64 "apt-get install qemu-user"
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L $sysroot"
  # Emulation is slow: 30 random cases a property instead of 100, and without the slopes of the loss in f64, which no
  # kernel has a fast form of.
  export QUICKCHECK_TESTS="${QUICKCHECK_TESTS:-30}"
  skip=(--skip gradients_are_the_slopes)
fi

# A variable of the caller's must not take NEON away from the tests.
unset AMDIM_KERNEL

cargo test --release --target $target -p amdim-kernels -p amdim-cpu -- "${skip[@]}"
for kernel in neon portable; do
  echo "test-aarch64: reference values, kernel $kernel"
  AMDIM_KERNEL=$kernel cargo run --release --quiet --target $target -p amdim-parity -- \
    crates/amdim-core/tests/golden/amdim --executor cpu
done
echo "test-aarch64: all passed"
