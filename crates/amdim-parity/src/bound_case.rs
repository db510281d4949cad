//! Bounds and divergences on given features, with the peculiarities of the code that the numbers come from.

use std::collections::BTreeSet;
use std::path::Path;

use amdim_core::estimator::{Bound, Compat, Scores};
use amdim_core::tensors;
use candle_core::{Tensor, Var};

use crate::Setup;
use crate::compare::{Report, within};
use crate::manifest::{BoundCase, ParityError, TensorFile, tensor_files};

/// Names of the measures, as the files have them.
const MEASURES: [(&str, Bound); 10] = [
    ("JSD", Bound::Jsd),
    ("GAN", Bound::Gan),
    ("X2", Bound::X2),
    ("KL", Bound::Nwj),
    ("nwj", Bound::Nwj),
    ("RKL", Bound::Rkl),
    ("H2", Bound::H2),
    ("infonce", Bound::InfoNce),
    ("dv", Bound::Dv),
    ("W1", Bound::W1),
];
/// Prefixes of single scores, and the tensor that holds these.
const DISCRIMINATOR: &str = "discriminator";
const GENERATOR: &str = "generator";
const SCORES: &str = "discriminator.scores";

/// Compares every case, and what the file has of discriminators and generators.
pub fn run(
    folder: &Path,
    cases: &[BoundCase],
    setup: &Setup,
    known: &mut BTreeSet<String>,
    report: &mut Report,
) -> Result<(), ParityError> {
    for name in tensor_files(folder)?.into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>() {
        let file = TensorFile::read(folder, &name)?;
        let mut numbers = Numbers { file: &file, name: &name, report, open: file.tensors.keys().collect() };
        for case in cases.iter().filter(|case| file.tensors.contains_key(&format!("{}.local", case.case))) {
            if let Err(error) = numbers.case(case, setup) {
                let group = format!("{name} {}", case.case);
                numbers.report.fail(&group, &format!("{}: {error}", case.measure));
            }
        }
        if file.tensors.contains_key(SCORES) {
            numbers.single_scores(setup)?;
        }
        numbers.finish();
        known.insert(name);
    }
    Ok(())
}

fn bound_of(measure: &str) -> Result<Bound, ParityError> {
    let found = MEASURES.iter().find(|(name, _)| *name == measure);
    let unknown = || ParityError::Manifest(format!("measure {measure:?} is unknown here"));
    Ok(found.ok_or_else(unknown)?.1)
}

struct Numbers<'a> {
    file: &'a TensorFile,
    name: &'a str,
    report: &'a mut Report,
    /// Tensors that nothing has computed or read yet.
    open: BTreeSet<&'a String>,
}

impl Numbers<'_> {
    fn case(&mut self, case: &BoundCase, setup: &Setup) -> Result<(), ParityError> {
        let BoundCase { case, measure, suggested_atol } = case;
        let bound = bound_of(measure)?;
        let local = self.read(&format!("{case}.local"), setup)?; // [N, units, locations]
        let global = self.read(&format!("{case}.global"), setup)?; // [N, units, globals]
        let loss = loss(bound, &local, &global)?;
        let gradients = loss.backward()?;
        self.check(case, &format!("{case}.{measure}.loss"), &loss, *suggested_atol)?;
        for (leaf, what) in [(&local, "local"), (&global, "global")] {
            let gradient = gradients.get(leaf).cloned().map_or_else(|| leaf.zeros_like(), Ok)?;
            self.check(case, &format!("{case}.{measure}.grad_{what}"), &gradient, *suggested_atol)?;
        }
        Ok(())
    }

    /// Expectations over single scores: what a discriminator sees of real and of made samples, and a generator's loss.
    fn single_scores(&mut self, setup: &Setup) -> Result<(), ParityError> {
        let scores = self.read(SCORES, setup)?;
        for (measure, bound) in MEASURES {
            let names = [
                ("positive", DISCRIMINATOR),
                ("negative", DISCRIMINATOR),
                ("minimax", GENERATOR),
                ("non-saturating", GENERATOR),
            ];
            for (what, of) in names {
                let name = format!("{of}.{measure}.{what}");
                if !self.file.tensors.contains_key(&name) {
                    continue;
                }
                let value = match what {
                    "positive" => bound.positive(&scores, Compat::RdevonDim)?,
                    "non-saturating" => bound.positive(&scores, Compat::RdevonDim)?.neg()?,
                    _ => bound.negative(&scores, Compat::RdevonDim)?,
                };
                self.check(of, &name, &value.mean_all()?, None)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, name: &str, setup: &Setup) -> Result<Var, ParityError> {
        let (shape, values) = self.file.floats(name)?;
        self.open.retain(|open| *open != name);
        Ok(Var::from_tensor(&tensors::from_slice(values, shape, setup.dtype, &setup.device)?)?)
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
