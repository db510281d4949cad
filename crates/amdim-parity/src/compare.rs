//! Comparing, tensor by tensor, and counting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::manifest::{Data, Entry, TensorFile, Values};

/// Tolerance where the manifest has none, as a share of the tensor's largest magnitude.
const DEFAULT_TOLERANCE: f64 = 1e-5;
/// Share of all elements after a step that may lie outside, where the manifest speaks of `step_outliers`.
const OUTLIER_SHARE: f64 = 1e-3;

/// What came of a folder.
#[derive(Debug, Default)]
pub struct Report {
    /// One group a file and kind of value.
    pub groups: Vec<Group>,
}

/// A group of expectations: what they have in common, how many passed, the worst.
#[derive(Debug)]
pub struct Group {
    /// File and kind, e.g. `enc32.safetensors grad`.
    pub name: String,
    /// Expectations that held.
    pub passed: usize,
    /// What failed, each with the reason.
    pub failures: Vec<String>,
    /// Cases that are listed without counting.
    pub listed: usize,
    /// The worst error as a share of its tolerance, and whose it is.
    pub worst: Option<(f64, String)>,
    /// Elements outside their tolerance that the manifest allows.
    pub outliers: usize,
}

impl Group {
    fn new(name: String) -> Self {
        Self { name, passed: 0, failures: vec![], listed: 0, worst: None, outliers: 0 }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failures.is_empty() { "ok  " } else { "FAIL" };
        write!(f, "{verdict} {:<58} {:>3} passed", self.name, self.passed)?;
        if let Some((share, name)) = &self.worst {
            write!(f, "  worst {share:.3} of its tolerance ({name})")?;
        }
        if self.outliers > 0 {
            write!(f, "  {} elements outside, as allowed", self.outliers)?;
        }
        if self.listed > 0 {
            write!(f, "  {} listed, not counted", self.listed)?;
        }
        for failure in &self.failures {
            write!(f, "\n       {failure}")?;
        }
        Ok(())
    }
}

impl Report {
    /// Expectations that held.
    pub fn passed(&self) -> usize {
        self.groups.iter().map(|group| group.passed).sum()
    }

    /// Expectations that did not.
    pub fn failed(&self) -> usize {
        self.groups.iter().map(|group| group.failures.len()).sum()
    }

    /// The group of this name, made on first use.
    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        if let Some(index) = self.groups.iter().position(|group| group.name == name) {
            return &mut self.groups[index];
        }
        self.groups.push(Group::new(name.into()));
        self.groups.last_mut().expect("a group was just pushed")
    }

    pub(crate) fn fail(&mut self, group: &str, reason: &str) {
        self.group(group).failures.push(reason.into());
    }
}

impl Group {
    pub(crate) fn pass(&mut self, share: f64, name: &str) {
        self.passed += 1;
        if self.worst.as_ref().is_none_or(|(worst, _)| share > *worst) {
            self.worst = Some((share, name.into()));
        }
    }
}

/// The worst error as a share of the tolerance, at most 1; else what is wrong.
pub fn within(ours: &[f32], expected: &[f32], tolerance: Option<f64>) -> Result<f64, String> {
    if expected.len() != ours.len() {
        return Err(format!("{} values computed, {} expected", ours.len(), expected.len()));
    }
    let tolerance = tolerance.unwrap_or_else(|| usual_tolerance(expected));
    let mut worst = 0f64;
    for (&ours, &expected) in ours.iter().zip(expected) {
        let error = (f64::from(ours) - f64::from(expected)).abs();
        if !error.is_finite() {
            return Err(format!("{ours} computed, {expected} expected"));
        }
        worst = worst.max(error);
    }
    let share = share_of(worst, tolerance);
    if share <= 1.0 { Ok(share) } else { Err(format!("error {worst:.3e}, tolerance {tolerance:.3e}")) }
}

fn usual_tolerance(expected: &[f32]) -> f64 {
    DEFAULT_TOLERANCE * expected.iter().fold(0f64, |largest, value| largest.max(f64::from(value.abs())))
}

/// An error as a share of its tolerance. An expected zero has no magnitude to compare with; then only zero itself passes.
fn share_of(error: f64, tolerance: f64) -> f64 {
    if tolerance > 0.0 {
        error / tolerance
    } else if error == 0.0 {
        0.0
    } else {
        f64::INFINITY
    }
}

/// The comparison of one file: every expected tensor is ticked off once.
pub struct Comparison<'a> {
    entry: &'a Entry,
    file: &'a TensorFile,
    open: BTreeSet<&'a str>,
    report: Report,
    stepped: BTreeMap<u32, Stepped>,
}

/// Elements of the parameters after some steps, over all tensors.
#[derive(Default)]
struct Stepped {
    elements: usize,
    outside: Vec<(String, usize)>,
}

impl<'a> Comparison<'a> {
    pub fn new(entry: &'a Entry, file: &'a TensorFile) -> Self {
        let mut report = Report::default();
        let mut open = BTreeSet::new();
        for (name, info) in &entry.tensors {
            match file.tensors.get(name) {
                None => {
                    report.fail(&group_name(entry, name), &format!("{name}: listed, but not in the file"));
                }
                Some(values) if values.shape != info.shape => {
                    let reason =
                        format!("{name}: the manifest says {:?}, the file {:?}", info.shape, values.shape);
                    report.fail(&group_name(entry, name), &reason);
                }
                Some(_) if is_input(name) => {}
                Some(_) => {
                    open.insert(name.as_str());
                }
            }
        }
        for name in file.tensors.keys().filter(|name| !entry.tensors.contains_key(*name)) {
            report.fail(&group_name(entry, name), &format!("{name}: in the file, but not listed"));
        }
        Self { entry, file, open, report, stepped: BTreeMap::new() }
    }

    /// Whether the file expects a tensor of this name.
    pub fn expects(&self, name: &str) -> bool {
        self.open.contains(name)
    }

    pub fn fail(&mut self, name: &str, reason: &str) {
        let group = group_name(self.entry, name);
        self.report.fail(&group, reason);
    }

    /// Compares floats with the tensor `name`, if the file expects it.
    pub fn floats(&mut self, name: &str, ours: &[f32]) {
        self.compare(name, ours, None);
    }

    /// Compares one number with the scalar `name`, if the file expects it.
    pub fn scalar(&mut self, name: &str, ours: f64) {
        self.compare(name, &[ours as f32], None);
    }

    /// Compares a parameter after `steps` steps; few of its elements may lie outside, by at most `2 lr steps`.
    pub fn stepped(&mut self, name: &str, ours: &[f32], steps: u32, learning_rate: f64) {
        let parameter = name.split_once('.').map_or(name, |(_, rest)| rest);
        let noise = self.entry.null_gradient_parameters.iter().any(|null| null == parameter);
        let allowed = self.entry.step_outliers.is_some() && !noise;
        self.compare(name, ours, allowed.then_some((steps, 2.0 * learning_rate * f64::from(steps))));
    }

    /// Compares a counter exactly, if the file expects it.
    pub fn counter(&mut self, name: &str, ours: i64) {
        let Some(expected) = self.tick(name) else { return };
        let group = self.report.group(&group_name(self.entry, name));
        match &expected.data {
            Data::Integer(values) if values == &[ours] => group.pass(0.0, name),
            other => group.failures.push(format!("{name}: {ours} computed, {other:?} expected")),
        }
    }

    fn tick(&mut self, name: &str) -> Option<&'a Values> {
        self.open.remove(name).then(|| &self.file.tensors[name])
    }

    fn compare(&mut self, name: &str, ours: &[f32], outliers: Option<(u32, f64)>) {
        let Some(expected) = self.tick(name) else { return };
        let group = self.report.group(&group_name(self.entry, name));
        let Data::Float(values) = &expected.data else {
            group.failures.push(format!("{name}: floats computed, other values expected"));
            return;
        };
        if values.len() != ours.len() {
            group.failures.push(format!("{name}: {} values computed, {} expected", ours.len(), values.len()));
            return;
        }
        let tolerance = self.entry.tensors[name].suggested_atol.unwrap_or_else(|| usual_tolerance(values));
        let (mut worst, mut outside) = (0f64, 0);
        for (&ours, &expected) in ours.iter().zip(values) {
            let error = (f64::from(ours) - f64::from(expected)).abs();
            if !error.is_finite() {
                group.failures.push(format!("{name}: {ours} computed, {expected} expected"));
                return;
            }
            if error > tolerance && outliers.is_some_and(|(_, limit)| error <= limit) {
                outside += 1;
            } else {
                worst = worst.max(error);
            }
        }
        if let Some((steps, _)) = outliers {
            let stepped = self.stepped.entry(steps).or_default();
            stepped.elements += ours.len();
            if outside > 0 {
                stepped.outside.push((name.into(), outside));
            }
        }
        let share = share_of(worst, tolerance);
        if share <= 1.0 {
            group.pass(share, name);
        } else {
            group.failures.push(format!("{name}: error {worst:.3e}, tolerance {tolerance:.3e}"));
        }
    }

    /// Ends the comparison: what the file expects and nothing computed is a failure.
    pub fn finish(mut self) -> Vec<Group> {
        for name in std::mem::take(&mut self.open) {
            self.fail(name, &format!("{name}: expected, but nothing here computes it"));
        }
        for (steps, stepped) in std::mem::take(&mut self.stepped) {
            let outside: usize = stepped.outside.iter().map(|(_, count)| count).sum();
            let group = self.report.group(&group_name(self.entry, &format!("step{steps}.")));
            group.outliers = outside;
            if outside as f64 > OUTLIER_SHARE * stepped.elements as f64 {
                let all = stepped.elements;
                group.failures.push(format!(
                    "{outside} of {all} elements outside, at most 0.1 %: {:?}",
                    stepped.outside
                ));
            }
        }
        self.report.groups
    }
}

fn is_input(name: &str) -> bool {
    name.starts_with("in.") || name.starts_with("init.")
}

fn group_name(entry: &Entry, name: &str) -> String {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or(name);
    let kind = if first.starts_with("cls") && parts.next() == Some("grad") {
        format!("{first}.grad")
    } else {
        first.into()
    };
    format!("{} {kind}", entry.file)
}
