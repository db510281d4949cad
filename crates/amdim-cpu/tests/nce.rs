//! The fused loss against plain loops and finite differences in `f64`.

mod common;

use amdim_cpu::CpuError;
use amdim_cpu::nce::{Nce, NceConfig, NceMixture, NceReport, NceTerm, NceTermReport};
use amdim_kernels::{Bf16, Kernel, Pool, Real, Stored, WideBf16};
use common::{Random, kernels};

/// The report, and the gradients: `[view][map]`.
type Outcome<R> = (NceReport, [Vec<Vec<R>>; 2]);

#[derive(Clone)]
struct Problem {
    config: NceConfig,
    locations: Vec<usize>,
    embedding: usize,
    batch: usize,
    /// `[view][map]`
    views: [Vec<Vec<f64>>; 2],
    positions: [Vec<Option<Vec<u32>>>; 2],
}

impl Problem {
    fn new(
        batch: usize,
        embedding: usize,
        locations: &[usize],
        terms: &[(usize, usize)],
        random: &mut Random,
    ) -> Self {
        let terms = terms.iter().map(|&(source, target)| NceTerm { source, target }).collect();
        let mut view = || locations.iter().map(|l| random.values(batch * l * embedding)).collect();
        let views = [view(), view()];
        let mut drawn = || -> Vec<Option<Vec<u32>>> {
            let mut draw = |l: usize| (0..batch).map(|_| (random.bits() % l as u64) as u32).collect();
            locations.iter().map(|&l| (l > 1).then(|| draw(l))).collect()
        };
        let positions = [drawn(), drawn()];
        let config = NceConfig { score_clip: Some(20.0), logit_penalty: 0.04, terms, mixture: None };
        Self { config, locations: locations.to_vec(), embedding, batch, views, positions }
    }

    /// Makes the locations of a map the components of a mixture.
    fn with_mixture(mut self, map: usize, entropy_weight: f64, temperature: f64, stop: bool) -> Self {
        self.config.mixture = Some(NceMixture { map, entropy_weight, temperature, stop_posterior: stop });
        self.positions.iter_mut().for_each(|view| view[map] = None);
        self
    }

    fn run<S: Stored>(&self, kernel: Kernel, threads: usize) -> Outcome<S::Real> {
        let mut nce = Nce::<S>::new(self.config.clone(), &self.locations, self.embedding, kernel).unwrap();
        self.run_with(&mut nce, threads).unwrap()
    }

    fn run_with<S: Stored>(&self, nce: &mut Nce<S>, threads: usize) -> Result<Outcome<S::Real>, CpuError> {
        let pool = Pool::new(threads).unwrap();
        let stored = |value: &f64| S::from_real(S::Real::from_f64(*value));
        let views = self
            .views
            .each_ref()
            .map(|view| -> Vec<Vec<S>> { view.iter().map(|map| map.iter().map(stored).collect()).collect() });
        let views = views.each_ref().map(|view| -> Vec<&[S]> { view.iter().map(Vec::as_slice).collect() });
        let positions = self
            .positions
            .each_ref()
            .map(|view| -> Vec<Option<&[u32]>> { view.iter().map(|map| map.as_deref()).collect() });
        let garbage = || -> Vec<Vec<S::Real>> {
            self.views[0].iter().map(|map| vec![S::Real::from_f64(7.0); map.len()]).collect()
        };
        let [mut first, mut second] = [garbage(), garbage()];
        let report = nce
            .run(
                &pool,
                self.batch,
                [&views[0], &views[1]],
                [&positions[0], &positions[1]],
                [&mut first, &mut second],
            )?
            .clone();
        Ok((report, [first, second]))
    }

    /// The definition, one score at a time.
    fn plain(&self) -> NceReport {
        self.plain_with(&mut vec![])
    }

    /// The definition. `posteriors` are those of mixture features in the order in which they are needed; where there
    /// are none they are computed and appended.
    fn plain_with(&self, posteriors: &mut Vec<Vec<f64>>) -> NceReport {
        let Self { config, locations, embedding, batch, views, positions } = self;
        let mut report = NceReport::default();
        let mut scores = vec![];
        let given = !posteriors.is_empty();
        let mut needed = 0;
        for term in &config.terms {
            let mixture = config.mixture.filter(|mixture| mixture.map == term.source);
            let components = if mixture.is_some() { locations[term.source] } else { 1 };
            let mut this = NceTermReport::default();
            for (from, to) in [(0, 1), (1, 0)] {
                let targets = locations[term.target];
                let score = |i: usize, c: usize, j: usize, l: usize| -> f64 {
                    let position = positions[from][term.source].as_ref().map_or(c, |p| p[i] as usize);
                    let source =
                        &views[from][term.source][(i * locations[term.source] + position) * embedding..];
                    let target = &views[to][term.target][(j * targets + l) * embedding..];
                    (0..*embedding).map(|k| source[k] * target[k]).sum::<f64>() / (*embedding as f64).sqrt()
                };
                let clipped = |i, c, j, l| match config.score_clip {
                    Some(clip) => clip * (score(i, c, j, l) / clip).tanh(),
                    None => score(i, c, j, l),
                };
                let all = || (0..*batch).flat_map(|j| (0..targets).map(move |l| (j, l)));
                // The log-softmax of each positive of a source, and whether it is above the negatives.
                let normalised = |i: usize, c: usize| -> Vec<(f64, bool)> {
                    let negatives: Vec<f64> =
                        all().filter(|&(j, _)| j != i).map(|(j, l)| clipped(i, c, j, l)).collect();
                    let largest = negatives.iter().copied().fold(f64::MIN, f64::max);
                    let of = |own: f64| {
                        let top = largest.max(own);
                        let sum: f64 = negatives.iter().map(|n| (n - top).exp()).sum();
                        (own - top - ((own - top).exp() + sum).ln(), own > largest)
                    };
                    (0..targets).map(|l| of(clipped(i, c, i, l))).collect()
                };
                let share = 0.5 / (batch * targets) as f64;
                let mut squares = 0.0;
                for i in 0..*batch {
                    let sources: Vec<Vec<(f64, bool)>> = (0..components).map(|c| normalised(i, c)).collect();
                    for l in 0..targets {
                        let found: Vec<(f64, bool)> = sources.iter().map(|source| source[l]).collect();
                        let Some(mixture) = mixture else {
                            this.loss -= share * found[0].0;
                            this.top1 += share * f64::from(u8::from(found[0].1));
                            continue;
                        };
                        if !given {
                            let best = found.iter().map(|f| f.0).fold(f64::MIN, f64::max);
                            let raw: Vec<f64> =
                                found.iter().map(|f| (mixture.temperature * (f.0 - best)).exp()).collect();
                            let sum: f64 = raw.iter().sum();
                            posteriors.push(raw.iter().map(|r| r / sum).collect());
                        }
                        let q = &posteriors[needed];
                        needed += 1;
                        let entropy: f64 = q.iter().map(|&q| if q > 0.0 { -q * q.ln() } else { 0.0 }).sum();
                        let mean: f64 = q.iter().zip(&found).map(|(q, f)| q * f.0).sum();
                        this.loss -= share * (mean + mixture.entropy_weight * entropy);
                        this.entropy += share * entropy;
                        this.top1 += share
                            * q.iter().zip(&found).map(|(q, f)| if f.1 { *q } else { 0.0 }).sum::<f64>();
                    }
                    for (j, l) in all() {
                        for c in 0..components {
                            let raw = score(i, c, j, l);
                            scores.push(raw);
                            squares += raw * raw;
                        }
                    }
                }
                report.penalty +=
                    0.5 * config.logit_penalty * squares / (components * batch * batch * targets) as f64;
            }
            report.terms.push(this);
        }
        report.total = report.penalty + report.terms.iter().map(|term| term.loss).sum::<f64>();
        report.score_mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance =
            scores.iter().map(|s| (s - report.score_mean).powi(2)).sum::<f64>() / scores.len() as f64;
        report.score_std = variance.sqrt();
        report.score_max = scores.iter().map(|s| s.abs()).fold(0.0, f64::max);
        report
    }
}

fn assert_near(actual: &NceReport, expected: &NceReport, tolerance: f64, what: &str) {
    let numbers = |report: &NceReport| {
        let terms = report.terms.iter().flat_map(|term| [term.loss, term.entropy]);
        let rest = [report.total, report.penalty, report.score_mean, report.score_std, report.score_max];
        terms.chain(rest).collect::<Vec<f64>>()
    };
    for (a, e) in numbers(actual).iter().zip(numbers(expected)) {
        assert!((a - e).abs() <= tolerance * e.abs().max(1.0), "{what}: {actual:?} instead of {expected:?}");
    }
}

/// Shapes with primes, single locations and several blocks; clips on both sides of the fixed shift, and none.
fn problems() -> Vec<Problem> {
    let mut random = Random(3);
    let mut problems = vec![
        Problem::new(2, 1, &[1], &[(0, 0)], &mut random),
        Problem::new(3, 5, &[1, 4], &[(0, 1)], &mut random),
        Problem::new(7, 13, &[1, 6, 9], &[(0, 1), (0, 2), (1, 1)], &mut random),
        Problem::new(19, 8, &[1, 25, 49], &[(0, 1), (0, 2), (1, 1), (1, 2), (2, 2)], &mut random),
    ];
    for (problem, clip) in problems.iter_mut().zip([0.5, 3.0, 50.0, 20.0]) {
        problem.config.score_clip = Some(clip);
    }
    // Scores far apart, which a fixed shift could not hold.
    let mut wild = Problem::new(5, 3, &[1, 4], &[(0, 1), (1, 1)], &mut random);
    wild.config.score_clip = Some(500.0);
    wild.views.iter_mut().flatten().flatten().for_each(|value| *value *= 15.0);
    let mut unclipped = wild.clone();
    unclipped.config.score_clip = None;
    problems.extend([wild, unclipped]);
    let mut tame = Problem::new(19, 8, &[1, 25, 49], &[(0, 1), (1, 2)], &mut random);
    tame.config = NceConfig { score_clip: None, logit_penalty: 0.0, ..tame.config };
    problems.push(tame);
    // Mixture features beside other sources: at the best temperature, at others, with the posterior's gradient and
    // without, and with scores far apart.
    let terms = [(3, 1), (0, 1), (3, 2), (1, 1)];
    for (entropy_weight, temperature, stop) in
        [(0.5, 2.0, true), (0.5, 2.0, false), (0.1, 1.5, true), (0.3, 0.7, false), (0.0, 40.0, true)]
    {
        let problem = Problem::new(6, 7, &[1, 4, 9, 3], &terms, &mut random);
        problems.push(problem.with_mixture(3, entropy_weight, temperature, stop));
    }
    let mut wild = Problem::new(9, 5, &[1, 9, 4], &[(2, 1)], &mut random).with_mixture(2, 1.0, 1.0, true);
    wild.config.score_clip = Some(100.0);
    wild.views.iter_mut().flatten().flatten().for_each(|value| *value *= 8.0);
    let mut unclipped = wild.clone();
    unclipped.config.score_clip = None;
    problems.extend([wild, unclipped]);
    problems
}

#[test]
fn equals_plain_loops() {
    for (index, problem) in problems().iter().enumerate() {
        let expected = problem.plain();
        let (exact, _) = problem.run::<f64>(Kernel::Portable, 2);
        assert_near(&exact, &expected, 1e-10, &format!("f64, problem {index}"));
        for (a, e) in exact.terms.iter().zip(&expected.terms) {
            assert!((a.top1 - e.top1).abs() < 1e-12);
        }
        for kernel in kernels::<f32>() {
            let (single, _) = problem.run::<f32>(kernel, 2);
            assert_near(&single, &expected, 3e-6, &format!("{kernel} f32, problem {index}"));
        }
    }
}

#[test]
fn gradients_are_the_slopes() {
    for (index, mut problem) in problems().into_iter().enumerate() {
        let (_, gradients) = problem.run::<f64>(Kernel::Portable, 2);
        let mut random = Random(index as u64);
        // A stopped posterior stays what it is here.
        let mut posteriors = vec![];
        problem.plain_with(&mut posteriors);
        if problem.config.mixture.is_none_or(|mixture| !mixture.stop_posterior) {
            posteriors.clear();
        }
        for (view, gradients) in gradients.iter().enumerate() {
            for (map, gradients) in gradients.iter().enumerate() {
                for _ in 0..if problem.batch > 9 { 4 } else { 8 } {
                    let at = random.bits() as usize % problem.views[view][map].len();
                    let here = problem.views[view][map][at];
                    let mut total = |step: f64| {
                        problem.views[view][map][at] = here + step;
                        problem.plain_with(&mut posteriors.clone()).total
                    };
                    let slope = |step: f64, total: &mut dyn FnMut(f64) -> f64| {
                        (total(step) - total(-step)) / (2.0 * step)
                    };
                    let (coarse, fine) = (slope(2e-4, &mut total), slope(1e-4, &mut total));
                    problem.views[view][map][at] = here;
                    let slope = (4.0 * fine - coarse) / 3.0;
                    let gradient = gradients[at];
                    let near = (slope - gradient).abs() <= 2e-8 * (1.0 + slope.abs());
                    assert!(near, "problem {index}, view {view}, map {map}: {gradient}, slope {slope}");
                }
            }
        }
    }
}

#[test]
fn every_kernel_and_type_agrees_with_double() {
    fn compare<S: Stored>(problem: &Problem, kernel: Kernel, tolerance: f64) {
        let rounded = |value: &f64| S::from_real(S::Real::from_f64(*value)).to_real().to_f64();
        let views = problem.views.each_ref().map(|view| -> Vec<Vec<f64>> {
            view.iter().map(|map| map.iter().map(rounded).collect()).collect()
        });
        let same = Problem {
            views,
            config: problem.config.clone(),
            locations: problem.locations.clone(),
            positions: problem.positions.clone(),
            ..*problem
        };
        let (expected, exact) = same.run::<f64>(Kernel::Portable, 1);
        let (report, gradients) = problem.run::<S>(kernel, 2);
        assert!((report.total - expected.total).abs() <= tolerance * expected.total, "{kernel}");
        for (exact, gradients) in exact.iter().flatten().zip(gradients.iter().flatten()) {
            let norm = exact.iter().map(|e| e * e).sum::<f64>().sqrt();
            let error =
                exact.iter().zip(gradients).map(|(e, g)| (g.to_f64() - e).powi(2)).sum::<f64>().sqrt();
            assert!(error <= tolerance * norm, "{kernel}: off by {error} of {norm}");
        }
    }
    let problems = problems();
    for problem in problems[1..4].iter().chain(&problems[7..10]) {
        kernels::<f32>().for_each(|kernel| compare::<f32>(problem, kernel, 2e-5));
        kernels::<Bf16>().for_each(|kernel| compare::<Bf16>(problem, kernel, 2e-2));
        kernels::<WideBf16>().for_each(|kernel| compare::<WideBf16>(problem, kernel, 2e-2));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let plain = Problem::new(33, 24, &[1, 9], &[(0, 1), (1, 1)], &mut Random(9));
    let mixture = Problem::new(33, 24, &[1, 9, 5], &[(2, 1), (1, 1)], &mut Random(9));
    for problem in [plain, mixture.with_mixture(2, 0.2, 3.0, false)] {
        let results = [1, 2, 3].map(|threads| problem.run::<f32>(Kernel::best(), threads));
        assert!(results[0] == results[1] && results[0] == results[2]);
    }
}

/// A mixture of one component, its posterior 1 whatever the temperature, is that source; whatever is not read of a
/// mixture has no gradient.
#[test]
fn one_component_is_a_source_like_any_other() {
    let base = Problem::new(7, 6, &[1, 4], &[(0, 1)], &mut Random(4));
    let (expected, gradients) = base.run::<f64>(Kernel::Portable, 1);
    for stop in [true, false] {
        let mixture = Problem::new(7, 6, &[1, 4], &[(0, 1)], &mut Random(4)).with_mixture(0, 0.3, 2.0, stop);
        let (report, same) = mixture.run::<f64>(Kernel::Portable, 1);
        assert_near(&report, &expected, 1e-13, "one component");
        for (a, e) in same.iter().flatten().flatten().zip(gradients.iter().flatten().flatten()) {
            assert!((a - e).abs() < 1e-14, "{a} instead of {e}");
        }
    }
}

/// The sharper the posterior, the nearer to the best component alone.
#[test]
fn without_entropy_the_best_component_counts() {
    let loss = |entropy_weight: f64| {
        let problem = Problem::new(5, 6, &[4, 3], &[(1, 0)], &mut Random(8));
        let sharp = problem.with_mixture(1, entropy_weight, 1.0 / entropy_weight, true);
        sharp.run::<f64>(Kernel::Portable, 1).0.terms[0].loss
    };
    // The definition with a posterior of 1 for the best component.
    let hard = Problem::new(5, 6, &[4, 3], &[(1, 0)], &mut Random(8)).with_mixture(1, 0.0, 1e9, true);
    let mut posteriors = vec![];
    let expected = hard.plain_with(&mut posteriors).terms[0].loss;
    assert!(posteriors.iter().all(|q| q.iter().filter(|&&q| q > 0.999).count() == 1), "no ties");
    let errors = [1.0, 0.1, 0.01, 1e-4].map(|weight| expected - loss(weight));
    assert!(errors.windows(2).all(|pair| pair[0] > pair[1]), "{errors:?}");
    assert!(errors[3] >= 0.0 && errors[3] < 1e-4, "{errors:?}");
}

#[test]
fn memory_is_used_again_after_a_larger_batch() {
    let small = Problem::new(5, 6, &[1, 4], &[(0, 1), (1, 1)], &mut Random(1));
    let large = Problem::new(21, 6, &[1, 4], &[(0, 1), (1, 1)], &mut Random(2));
    let mut nce = Nce::<f64>::new(small.config.clone(), &small.locations, 6, Kernel::best()).unwrap();
    let fresh = small.run_with(&mut nce, 1).unwrap();
    large.run_with(&mut nce, 1).unwrap();
    assert!(small.run_with(&mut nce, 1).unwrap() == fresh);
}

#[test]
fn nan_reaches_the_total() {
    let mut problem = Problem::new(4, 6, &[1, 4], &[(0, 1)], &mut Random(1));
    problem.views[1][1][3] = f64::NAN;
    for kernel in kernels::<f32>() {
        assert!(problem.run::<f32>(kernel, 1).0.total.is_nan(), "{kernel}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = |change: fn(&mut Problem)| {
        let mut problem = Problem::new(4, 6, &[1, 4], &[(0, 1), (1, 1)], &mut Random(1));
        change(&mut problem);
        let nce = Nce::<f64>::new(problem.config.clone(), &problem.locations, 6, Kernel::best());
        nce.and_then(|mut nce| problem.run_with(&mut nce, 1)).map(|_| ()).unwrap_err()
    };
    let objective = |error| matches!(error, CpuError::Objective { .. });
    assert!(objective(problem(|p| p.config.score_clip = Some(0.0))));
    assert!(objective(problem(|p| p.config.logit_penalty = f64::NAN)));
    assert!(objective(problem(|p| p.config.terms.clear())));
    assert!(objective(problem(|p| p.config.terms[0].target = 2)));
    assert!(objective(problem(|p| {
        p.config.mixture =
            Some(NceMixture { map: 2, entropy_weight: 1.0, temperature: 1.0, stop_posterior: true });
    })));
    let mixture = |entropy_weight, temperature| {
        let problem = Problem::new(4, 6, &[1, 4], &[(0, 1)], &mut Random(1));
        let problem = problem.with_mixture(0, entropy_weight, temperature, true);
        Nce::<f64>::new(problem.config, &problem.locations, 6, Kernel::best()).map(|_| ()).unwrap_err()
    };
    assert!(
        objective(mixture(-1.0, 1.0)) && objective(mixture(1.0, 0.0)) && objective(mixture(1.0, f64::NAN))
    );
    let many = Problem::new(4, 6, &[1, 257], &[(1, 0)], &mut Random(1)).with_mixture(1, 1.0, 1.0, true);
    assert!(objective(
        Nce::<f64>::new(many.config, &many.locations, 6, Kernel::best()).map(|_| ()).unwrap_err()
    ));
    assert!(objective(problem(|p| {
        p.config.mixture =
            Some(NceMixture { map: 1, entropy_weight: 1.0, temperature: 1.0, stop_posterior: true });
    })));
    assert!(objective(problem(|p| p.batch = 1)));
    assert!(objective(problem(|p| p.positions[1][1] = None)));
    assert!(objective(problem(|p| p.positions[0][1] = Some(vec![0, 4, 0, 0]))));
    assert!(matches!(problem(|p| p.positions[0][1] = Some(vec![0])), CpuError::Length { .. }));
    assert!(matches!(problem(|p| p.batch = 5), CpuError::Length { .. }));
}
