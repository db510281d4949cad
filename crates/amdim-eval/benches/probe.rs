//! Times of the two probes, on features of 10 classes.

use std::hint::black_box;

use amdim_eval::{Features, Labels, LinearConfig, LinearProbe, never, search};
use criterion::{Criterion, criterion_group, criterion_main};

/// Features around a centre a class, row after row, and the labels.
fn examples(rows: usize, dim: usize) -> (Vec<f32>, Vec<u32>) {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    let centres: Vec<f32> = (0..10 * dim).map(|_| 0.1 * noise()).collect();
    let labels: Vec<u32> = (0..rows as u32).map(|i| i % 10).collect();
    let centre = |label: u32| &centres[label as usize * dim..][..dim];
    let values = labels.iter().flat_map(|&label| centre(label)).map(|x| x + noise()).collect();
    (values, labels)
}

fn probes(criterion: &mut Criterion) {
    let (values, labels) = examples(20_000, 256);
    let features = Features::new("features", &values, 256).expect("finite features");
    let labels = Labels::new(&labels, 10).expect("labels below 10");
    let config = LinearConfig { max_iterations: 20, tolerance: 0.0, ..LinearConfig::default() };
    let mut group = criterion.benchmark_group("probe");
    group.sample_size(10);
    group.bench_function("linear, 20 iterations, 20000 x 256", |bencher| {
        bencher.iter(|| LinearProbe::fit(&config, black_box(features), labels, None, never()));
    });
    let queries = Features::new("queries", &values[..2000 * 256], 256).expect("finite features");
    group.bench_function("20 neighbours, 2000 of 20000 x 256", |bencher| {
        bencher.iter(|| search(black_box(queries), features, 20, never()));
    });
    group.finish();
}

criterion_group!(benches, probes);
criterion_main!(benches);
