//! Speed of the encoder for 32 pixels: a training step without the loss (forward and backward of two views), and
//! evaluation.
//!
//! `cargo bench -p amdim-cpu` (`AMDIM_THREADS=n` for another number of threads than the machine's). One element is
//! a pair of pictures when training, a picture in evaluation.

#[path = "../tests/common/amdim.rs"]
mod amdim;

use std::sync::Arc;
use std::thread::available_parallelism;

use amdim_cpu::CpuNetwork;
use amdim_kernels::{Bf16, Kernel, Pool, Stored, WideBf16};
use amdim_network::{Init, Network};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Widths and batch of the encoder; the letters of `docs/design`.
const CONFIGS: [(&str, usize, usize, usize); 3] =
    [("a", 32, 256, 64), ("b", 64, 512, 64), ("c", 128, 1024, 32)];

/// Numbers that look random enough to multiply.
fn numbers(count: usize, scale: f32) -> Vec<f32> {
    (0..count).map(|i| ((i as f32 * 12.9898).sin() * 43758.547).fract() * scale).collect()
}

fn parameters(network: &Network) -> Vec<f32> {
    let mut values = numbers(network.parameter_len(), 0.1);
    for parameter in &network.parameters {
        if let Init::Constant(value) = parameter.init {
            values[parameter.range()].fill(value.max(0.01));
        }
    }
    values
}

fn threads() -> usize {
    let asked = std::env::var("AMDIM_THREADS").ok().and_then(|value| value.parse().ok());
    asked.unwrap_or_else(|| available_parallelism().map_or(1, Into::into))
}

fn step<S: Stored<Real = f32>>(criterion: &mut Criterion, precision: &str) {
    let mut group = criterion.benchmark_group(format!("step/{precision}"));
    group.sample_size(10);
    let kernel = Kernel::selected().expect("AMDIM_KERNEL names a kernel of this processor");
    for (name, width, embedding, batch) in CONFIGS {
        let network = Arc::new(amdim::encoder(3, width, embedding, 3, false).expect("it fits 32 pixels"));
        let pool = Arc::new(Pool::new(threads()).expect("threads start"));
        let mut executor = CpuNetwork::<S>::new(network.clone(), kernel, pool, 2).expect("it fits 32 pixels");
        let (parameters, mut buffers) = (parameters(&network), network.initial_buffers());
        let views = [0.9, 1.1].map(|scale| numbers(batch * network.input.len(), scale));
        let output_gradients: Vec<Vec<f32>> =
            network.output_shapes().iter().map(|shape| numbers(batch * shape.len(), 1e-3)).collect();
        let output_gradients: Vec<&[f32]> = output_gradients.iter().map(Vec::as_slice).collect();
        let mut gradients = vec![0.0; parameters.len()];

        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("train/{name}"), |bencher| {
            bencher.iter(|| {
                gradients.fill(0.0);
                executor.set_parameters(&parameters).expect("lengths match");
                for (slot, view) in views.iter().enumerate() {
                    executor.forward(slot, &mut buffers, view, batch).expect("lengths match");
                }
                for slot in [0, 1] {
                    executor.backward(slot, &output_gradients, &mut gradients).expect("the slot is full");
                }
            });
        });
        let all = executor.network().all_outputs();
        group.bench_function(format!("infer/{name}"), |bencher| {
            bencher.iter(|| executor.infer(&buffers, &views[0], batch, &all).expect("lengths match"));
        });
    }
    group.finish();
}

fn both(criterion: &mut Criterion) {
    step::<f32>(criterion, "f32");
    if Kernel::selected().is_ok_and(Kernel::has_fast_bf16) {
        step::<Bf16>(criterion, "bf16");
    } else {
        step::<WideBf16>(criterion, "bf16");
    }
}

criterion_group!(benches, both);
criterion_main!(benches);
