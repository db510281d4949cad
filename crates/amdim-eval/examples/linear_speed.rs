//! Speed of the linear probe on features in a file.
//!
//! ```sh
//! cargo run --release -p amdim-eval --example linear_speed -- FOLDER DIM CLASSES L2 TOLERANCE MAX_ITERATIONS
//! ```
//!
//! Reads `train.f32` `[n, dim]` and `train.labels` `[n]` (u32) in the folder, fits on two threads, prints one JSON object
//! and writes the weights and biases for features as they are to `ours.probe`, in f64. `tools/peers/probes.mjs` runs it
//! in alternation with scikit-learn: the public package fits probes on pictures only.

use std::error::Error;
use std::fs::{read, write};
use std::path::Path;
use std::time::Instant;

use amdim_eval::{Features, Labels, LinearConfig, LinearProbe, never};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, dim, classes, l2, tolerance, max_iterations] = &arguments[..] else {
        return Err("expected FOLDER DIM CLASSES L2 TOLERANCE MAX_ITERATIONS".into());
    };
    let folder = Path::new(folder);
    let config = LinearConfig {
        l2: l2.parse()?,
        tolerance: tolerance.parse()?,
        max_iterations: max_iterations.parse()?,
    };
    let values: Vec<f32> = read(folder.join("train.f32"))?
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect();
    let labels: Vec<u32> = read(folder.join("train.labels"))?
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| u32::from_le_bytes(bytes))
        .collect();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;

    let began = Instant::now();
    let probe = threads.install(|| {
        let features = Features::new("features", &values, dim.parse()?)?;
        let labels = Labels::new(&labels, classes.parse()?)?;
        Ok::<_, Box<dyn Error + Send + Sync>>(LinearProbe::fit(&config, features, labels, None, never())?)
    });
    let seconds = began.elapsed().as_secs_f64();
    let probe = probe.map_err(|error| error.to_string())?;

    let (mut parameters, mut biases) = (Vec::new(), Vec::new());
    for (weights, &bias) in probe.weights.chunks_exact(probe.dim()).zip(&probe.bias) {
        let mut bias = f64::from(bias);
        for ((&weight, &mean), &std) in weights.iter().zip(&probe.mean).zip(&probe.std) {
            let weight = f64::from(weight) / f64::from(std);
            bias -= weight * f64::from(mean);
            parameters.push(weight);
        }
        biases.push(bias);
    }
    parameters.append(&mut biases);
    write(folder.join("ours.probe"), parameters.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
    let (iterations, converged, objective) = (probe.iterations, probe.converged, probe.objective);
    println!(
        r#"{{"seconds": {seconds}, "iterations": {iterations}, "converged": {converged}, "objective": {objective}}}"#
    );
    Ok(())
}
