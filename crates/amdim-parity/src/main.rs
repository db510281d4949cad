//! `amdim-parity DIR [--executor auto|cpu|candle] [--device NAME] [--dtype f32|f64] [--threads N]`

use std::path::PathBuf;
use std::process::ExitCode;

use amdim_core::executor::ExecutorKind;
use amdim_parity::{Setup, run};
use candle_core::DType;

const USAGE: &str = "usage: amdim-parity DIR [--executor auto|cpu|candle] [--device NAME] [--dtype f32|f64] [--threads N]

Compares the shipped training step with the reference numbers in DIR (manifest.json and its safetensors).
Prints a line a group, then `N passed, N failed`. Exits with 1 on a failure or when nothing ran, 2 on wrong usage.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let (folder, setup) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(message) => {
            eprintln!("amdim-parity: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&folder, &setup) {
        Ok(report) => {
            for group in &report.groups {
                println!("{group}");
            }
            println!("{} passed, {} failed", report.passed(), report.failed());
            if report.failed() == 0 && report.passed() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("amdim-parity: {error}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<(PathBuf, Setup), String> {
    let mut folder = None;
    let mut device = "cpu".to_string();
    let mut executor = ExecutorKind::Auto;
    let mut dtype = DType::F32;
    let mut threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--device" => device = value()?,
            "--executor" => {
                executor = match value()?.as_str() {
                    "auto" => ExecutorKind::Auto,
                    "cpu" => ExecutorKind::Cpu,
                    "candle" => ExecutorKind::Candle,
                    other => return Err(format!("--executor: auto, cpu or candle expected, got {other:?}")),
                }
            }
            "--dtype" => {
                dtype = match value()?.as_str() {
                    "f32" => DType::F32,
                    "f64" => DType::F64,
                    other => return Err(format!("--dtype: f32 or f64 expected, got {other:?}")),
                }
            }
            "--threads" => {
                let text = value()?;
                threads = text.parse().map_err(|_| format!("--threads: a number expected, got {text:?}"))?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            path if folder.is_none() => folder = Some(PathBuf::from(path)),
            extra => return Err(format!("unexpected argument {extra:?}")),
        }
    }
    let folder = folder.ok_or("a folder is missing")?;
    let device = amdim_core::device::open(&device).map_err(|error| error.to_string())?;
    Ok((folder, Setup { device, dtype, executor, threads }))
}
