//! Bounds and divergences on given features, with the peculiarities of the code that the numbers come from.
//!
//! They are compared in f64 on the processor, whatever the setup: several are small differences of numbers near 1, of which
//! f32 leaves fewer digits than the tolerance asks for, and the reference computes in f64 too.

use std::collections::BTreeSet;
use std::path::Path;

use amdim_core::estimator::{Bound, Compat, Scores};
use amdim_core::tensors;
use candle_core::{DType, Device, Tensor, Var};

use crate::compare::{Report, within};
use crate::manifest::{BoundCase, ParityError, TensorFile, tensor_files};

/// The reference's other name of a bound.
const ALIASES: [(&str, Bound); 1] = [("kl", Bound::Nwj)];
/// Prefixes of single scores, and the tensor that holds these.
const DISCRIMINATOR: &str = "discriminator";
const GENERATOR: &str = "generator";
const SCORES: &str = "discriminator.scores";

/// Compares every case, and what the file has of discriminators and generators.
pub fn run(
    folder: &Path,
    cases: &[BoundCase],
    known: &mut BTreeSet<String>,
    report: &mut Report,
) -> Result<(), ParityError> {
    let mut found = BTreeSet::new();
    for name in tensor_files(folder)?.into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>() {
        let file = TensorFile::read(folder, &name)?;
        let mut numbers = Numbers { file: &file, name: &name, report, open: file.tensors.keys().collect() };
        for case in cases.iter().filter(|case| file.tensors.contains_key(&format!("{}.local", case.case))) {
            found.insert(&case.case);
            if let Err(error) = numbers.case(case) {
                let group = format!("{name} {}", case.case);
                numbers.report.fail(&group, &format!("{}: {error}", case.measure));
            }
        }
        if file.tensors.contains_key(SCORES) {
            numbers.single_scores()?;
        }
        numbers.finish();
        known.insert(name);
    }
    for case in cases.iter().filter(|case| !found.contains(&case.case)) {
        report.fail("manifest.json", &format!("{} {}: no file has its features", case.case, case.measure));
    }
    Ok(())
}

/// The bound that the files call so; its name without regard to case and hyphens.
fn bound_of(measure: &str) -> Result<Bound, ParityError> {
    let plain = |name: &str| name.to_lowercase().replace('-', "");
    let named = |bound: &Bound| plain(bound.name()) == plain(measure);
    let alias = || ALIASES.iter().find(|(name, _)| *name == plain(measure)).map(|(_, bound)| *bound);
    let unknown = || ParityError::Manifest(format!("measure {measure:?} is unknown here"));
    Bound::ALL.iter().copied().find(named).or_else(alias).ok_or_else(unknown)
}

struct Numbers<'a> {
    file: &'a TensorFile,
    name: &'a str,
    report: &'a mut Report,
    /// Tensors that nothing has computed or read yet.
    open: BTreeSet<&'a String>,
}

impl Numbers<'_> {
    fn case(&mut self, case: &BoundCase) -> Result<(), ParityError> {
        let BoundCase { case, measure, suggested_atol } = case;
        let bound = bound_of(measure)?;
        let local = self.read(&format!("{case}.local"))?; // [N, units, locations]
        let global = self.read(&format!("{case}.global"))?; // [N, units, globals]
        let loss = loss(bound, &local, &global)?;
        let gradients = loss.backward()?;
        self.check(case, &format!("{case}.{measure}.loss"), &loss, *suggested_atol)?;
        for (leaf, what) in [(&local, "local"), (&global, "global")] {
            let gradient = gradients.get(leaf).cloned().map_or_else(|| leaf.zeros_like(), Ok)?;
            self.check(case, &format!("{case}.{measure}.grad_{what}"), &gradient, *suggested_atol)?;
        }
        Ok(())
    }

    /// Expectations over single scores: what a discriminator sees of real and of made samples, and a generator's loss;
    /// tensors `PREFIX.MEASURE.WHAT`.
    fn single_scores(&mut self) -> Result<(), ParityError> {
        let scores = self.read(SCORES)?;
        for name in self.file.tensors.keys() {
            let [of, measure, what] = name.split('.').collect::<Vec<_>>()[..] else { continue };
            let compat = Compat::RdevonDim;
            let value = match (of, what) {
                (DISCRIMINATOR, "positive") => bound_of(measure)?.positive(&scores, compat)?,
                (GENERATOR, "non-saturating") => bound_of(measure)?.positive(&scores, compat)?.neg()?,
                (DISCRIMINATOR, "negative") | (GENERATOR, "minimax") => {
                    bound_of(measure)?.negative(&scores, compat)?
                }
                _ => continue,
            };
            self.check(of, name, &value.mean_all()?, None)?;
        }
        Ok(())
    }

    fn read(&mut self, name: &str) -> Result<Var, ParityError> {
        let (shape, values) = self.file.floats(name)?;
        self.open.retain(|open| *open != name);
        Ok(Var::from_tensor(&tensors::from_slice(values, shape, DType::F64, &Device::Cpu)?)?)
    }

    fn check(
        &mut self,
        group: &str,
        name: &str,
        ours: &Tensor,
        tolerance: Option<f64>,
    ) -> Result<(), ParityError> {
        let (_, expected) = self.file.floats(name)?;
        self.open.retain(|open| *open != name);
        let group = self.report.group(&format!("{} {group}", self.name));
        match within(&tensors::to_vec(ours)?, expected, tolerance) {
            Ok(share) => group.pass(share, name),
            Err(reason) => group.failures.push(format!("{name}: {reason}")),
        }
        Ok(())
    }

    fn finish(self) {
        for name in self.open {
            self.report.fail(self.name, &format!("{name}: expected, but nothing here computes it"));
        }
    }
}

/// The reference's loss: minus the bound. Several globals of a picture are averaged over by InfoNCE, and are further
/// locations to the others.
fn loss(bound: Bound, local: &Tensor, global: &Tensor) -> Result<Tensor, ParityError> {
    let (n, units, locations) = local.dims3()?;
    let globals = global.dim(2)?;
    let targets = local.transpose(1, 2)?.reshape((n * locations, units))?;
    let of_one = |index: usize| -> Result<Tensor, ParityError> {
        let sources = global.narrow(2, index, 1)?.squeeze(2)?.contiguous()?;
        Ok(sources.matmul(&targets.t()?)?.reshape((n, n, locations))?)
    };
    let scores = (0..globals).map(of_one).collect::<Result<Vec<_>, _>>()?;
    let value = |scores: &Tensor| -> Result<Tensor, ParityError> {
        Ok(bound.value(&Scores::of_pairs(scores, n - 1)?, Compat::RdevonDim)?)
    };
    if bound == Bound::InfoNce {
        let values = scores.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        return Ok(Tensor::stack(&values, 0)?.mean_all()?.neg()?);
    }
    Ok(value(&Tensor::cat(&scores, 2)?)?.neg()?)
}
