#!/usr/bin/env bash
# Compiles the addon with the `cuda` feature on a machine without a GPU: npm run check:cuda
#
# nvcc and its headers come from PyPI into a virtual environment under target/; no GPU and no driver are needed to
# compile. candle's kernels take about 18 CPU minutes the first time, which is why this is no part of `npm run check`.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in python3 cargo; do
  command -v "$tool" >/dev/null || {
    echo "check-cuda: $tool is missing; install it with: apt-get install python3 python3-venv (Rust: https://rustup.rs)" >&2
    exit 1
  }
done

venv="$PWD/target/cuda-venv"
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85

CUDA_HOME="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13"
export CUDA_HOME
export PATH="$CUDA_HOME/bin:$PATH"
# Any architecture will do for a check; 8.0 is the oldest with all that the kernels use.
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"
nvcc --version | tail -n 1

cargo check --release -p amdim-node --features cuda
echo "check-cuda: the addon compiles with the cuda feature"
