//! The classifiers that watch the encoder while it learns: one linear, one with a hidden layer and batch norm.
//!
//! Forward, losses and gradients of both on flat vectors. `amdim-core`'s `Classifiers` defines them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use amdim_kernels::gemm::{Destination, Factor, Finish, Gemm, Right, Rows};
use amdim_kernels::{Kernel, Pool, Real, vectorized};

use crate::CpuError;
use crate::elementwise::{add_rows, add_squared_distances};
use crate::error::check_length;

/// Added to the variance of the hidden layer.
const EPSILON: f64 = 1e-5;
/// Share of the new batch in the running statistics.
const MOMENTUM: f64 = 0.1;
/// Rows of a product that a thread takes at a time.
const ROWS: usize = 16;
/// Rows of a gradient of weights that a thread takes at a time.
const OUTPUTS: usize = 64;

/// Sizes and settings of both classifiers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifierSettings {
    /// Channels of the features.
    pub embedding: usize,
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
    /// Soft clip of the logits; positive.
    pub logit_clip: f64,
    /// Weight of the mean squared logit.
    pub logit_penalty: f64,
    /// Share of a label's weight that all classes get alike, `0..1`.
    pub label_smoothing: f64,
    /// Weight of the predictions' entropy, which is subtracted from the loss.
    pub confidence_penalty: f64,
}

/// One classifier's numbers of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HeadReport {
    /// Loss in nats.
    pub loss: f64,
    /// Rows classified rightly, of `labelled`.
    pub correct: usize,
    /// Rows with a label.
    pub labelled: usize,
}

/// Both classifiers' numbers of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClassifierReport {
    /// The linear classifier.
    pub linear: HeadReport,
    /// The one with a hidden layer.
    pub mlp: HeadReport,
}

/// What classifiers learn from.
#[derive(Debug, Clone, Copy)]
pub struct LabelledRows<'a, R> {
    /// `[rows, embedding]`
    pub features: &'a [R],
    /// `[rows]`, -1 for none.
    pub labels: &'a [i64],
    /// Factors of the features, `[rows, embedding]`, and of the hidden activations, `[rows, hidden]` (dropout).
    pub masks: Option<[&'a [R]; 2]>,
}

/// Where the tensors lie in the flat parameter vector, in the reference's order.
#[derive(Debug, Clone)]
struct Places {
    /// `[hidden, embedding]`
    hidden: Range<usize>,
    norm_scale: Range<usize>,
    norm_shift: Range<usize>,
    /// `[classes, hidden]`
    mlp: Range<usize>,
    mlp_bias: Range<usize>,
    /// `[classes, embedding]`
    linear: Range<usize>,
    linear_bias: Range<usize>,
}

/// Both classifiers' arithmetic, with the memory that it works in. Nothing is allocated while batches don't grow.
#[derive(Debug)]
pub struct OnlineClassifiers<R: Real> {
    settings: ClassifierSettings,
    places: Places,
    kernel: Kernel,
    gemm: Gemm<R>,
    /// `[rows, embedding]`: the features after dropout.
    input: Vec<R>,
    /// `[rows, hidden]`: before the batch norm; then its gradient.
    hidden: Vec<R>,
    /// `[rows, hidden]`: normalised, before scale and shift.
    normalised: Vec<R>,
    /// `[rows, hidden]`: rectified, after dropout.
    activation: Vec<R>,
    /// `[rows, classes]`, and their gradients.
    logits: Vec<R>,
    packed: Vec<R>,
    /// Of each thread.
    scratch: Vec<Mutex<Vec<R>>>,
    /// Sums over channels.
    channels: [Vec<R>; 4],
}

impl<R: Real> OnlineClassifiers<R> {
    /// Classifiers of these sizes.
    ///
    /// # Errors
    /// [`CpuError::Objective`] for a size of 0; [`CpuError::Kernel`] for a kernel that can't run here.
    pub fn new(settings: ClassifierSettings, kernel: Kernel) -> Result<Self, CpuError> {
        let ClassifierSettings { embedding, hidden, classes, .. } = settings;
        if embedding == 0 || hidden == 0 || classes == 0 {
            return Err(CpuError::Objective {
                problem: "classifiers need features, hidden units and classes",
            });
        }
        if !kernel.is_supported() {
            return Err(amdim_kernels::KernelError::Unsupported { kernel }.into());
        }
        let mut end = 0;
        let mut place = |length: usize| {
            end += length;
            end - length..end
        };
        let places = Places {
            hidden: place(hidden * embedding),
            norm_scale: place(hidden),
            norm_shift: place(hidden),
            mlp: place(classes * hidden),
            mlp_bias: place(classes),
            linear: place(classes * embedding),
            linear_bias: place(classes),
        };
        let gemm = Gemm::new(kernel);
        let sizes = [
            [embedding, hidden],
            [hidden, classes],
            [embedding, classes],
            [classes, hidden],
            [classes, embedding],
            [hidden, embedding],
        ];
        let packed = sizes.iter().map(|&[inner, n]| gemm.packed_len(inner, n)).max().unwrap_or(0);
        Ok(Self {
            settings,
            places,
            kernel,
            gemm,
            input: vec![],
            hidden: vec![],
            normalised: vec![],
            activation: vec![],
            logits: vec![],
            packed: vec![R::default(); packed],
            scratch: vec![],
            channels: std::array::from_fn(|_| vec![R::default(); hidden]),
        })
    }

    /// Length of the flat parameter vector.
    pub fn parameter_len(&self) -> usize {
        self.places.linear_bias.end
    }

    /// Bytes that [`OnlineClassifiers::train`] holds for `rows` rows on `threads` threads; nothing is allocated for them.
    pub fn bytes(&self, rows: usize, threads: usize) -> usize {
        let ClassifierSettings { embedding, hidden, classes, .. } = self.settings;
        let of_rows = rows * (embedding + 3 * hidden + classes);
        let scratch = threads * self.gemm.transposed_scratch(rows, OUTPUTS);
        (of_rows + scratch + self.packed.len() + 4 * hidden) * size_of::<R>()
    }

    /// Losses and hits of a batch, and the gradient of the sum of both losses, which replaces what `gradient` held, and
    /// what `feature_gradient` held where the features want theirs. The running statistics move.
    ///
    /// # Shapes
    /// - parameters, gradient: `[parameter_len]`; running: `[2, hidden]` (mean, variance)
    /// - feature gradient: `[rows, embedding]`
    ///
    /// # Errors
    /// [`CpuError::Length`]; [`CpuError::Objective`] for fewer than two rows or a label that is no class.
    pub fn train(
        &mut self,
        pool: &Pool,
        parameters: &[R],
        running: &mut [R],
        batch: LabelledRows<R>,
        gradient: &mut [R],
        mut feature_gradient: Option<&mut [R]>,
    ) -> Result<ClassifierReport, CpuError> {
        let LabelledRows { features, labels, masks } = batch;
        let rows = labels.len();
        self.check(parameters, running, batch, gradient)?;
        if let Some(feature_gradient) = &feature_gradient {
            check_length("gradient of the features", feature_gradient.len(), features.len())?;
        }
        self.resize(pool, rows);
        let Places { hidden, norm_scale, norm_shift, mlp, mlp_bias, linear, linear_bias } =
            self.places.clone();
        let ClassifierSettings { embedding, hidden: units, classes, .. } = self.settings;
        let kernel = self.kernel;

        // The linear classifier.
        let mut logits = std::mem::take(&mut self.logits);
        self.product(
            pool,
            features,
            &parameters[linear.clone()],
            classes,
            Some(&parameters[linear_bias.clone()]),
            &mut logits,
        );
        let linear_report = self.cross_entropy(&mut logits, labels);
        self.weight_gradient(pool, &logits, classes, features, embedding, &mut gradient[linear.clone()]);
        if let Some(feature_gradient) = &mut feature_gradient {
            self.backward_product(pool, &logits, classes, &parameters[linear], feature_gradient);
        }
        column_sums(&logits, &mut gradient[linear_bias]);

        // The hidden layer.
        let mut input = std::mem::take(&mut self.input);
        let mut before = std::mem::take(&mut self.hidden);
        match masks {
            Some([mask, _]) => vectorized!(kernel, {
                for ((to, &feature), &factor) in input.iter_mut().zip(features).zip(mask) {
                    *to = feature * factor;
                }
            }),
            None => input.copy_from_slice(features),
        }
        self.product(pool, &input, &parameters[hidden.clone()], units, None, &mut before);
        self.normalise(&before, running);
        let mut activation = std::mem::take(&mut self.activation);
        let (scale, shift) = (&parameters[norm_scale.clone()], &parameters[norm_shift.clone()]);
        let normalised = &self.normalised;
        vectorized!(kernel, {
            for (to, from) in activation.chunks_exact_mut(units).zip(normalised.chunks_exact(units)) {
                for (c, (to, &value)) in to.iter_mut().zip(from).enumerate() {
                    let value = value * scale[c] + shift[c];
                    *to = if value < R::default() { R::default() } else { value };
                }
            }
            if let Some([_, mask]) = masks {
                activation.iter_mut().zip(mask).for_each(|(value, &factor)| *value *= factor);
            }
        });

        // Its classifier.
        self.product(
            pool,
            &activation,
            &parameters[mlp.clone()],
            classes,
            Some(&parameters[mlp_bias.clone()]),
            &mut logits,
        );
        let mlp_report = self.cross_entropy(&mut logits, labels);
        self.weight_gradient(pool, &logits, classes, &activation, units, &mut gradient[mlp.clone()]);
        column_sums(&logits, &mut gradient[mlp_bias]);

        // Back to the hidden layer: `before` becomes the gradient of the activation, then of the product.
        self.backward_product(pool, &logits, classes, &parameters[mlp], &mut before);
        vectorized!(kernel, {
            // A dropped unit's activation is 0 as well, so that one comparison serves ReLU and dropout.
            for (gradient, &active) in before.iter_mut().zip(&activation) {
                *gradient = if active <= R::default() { R::default() } else { *gradient };
            }
            if let Some([_, mask]) = masks {
                before.iter_mut().zip(mask).for_each(|(gradient, &factor)| *gradient *= factor);
            }
        });
        let [_, inverse, sums, products] = &mut self.channels;
        let normalised = &self.normalised;
        vectorized!(
            kernel,
            norm_backward(&mut before, normalised, scale, inverse, (&mut *sums, &mut *products))
        );
        gradient[norm_shift].copy_from_slice(sums);
        gradient[norm_scale].copy_from_slice(products);
        self.weight_gradient(pool, &before, units, &input, embedding, &mut gradient[hidden.clone()]);
        if let Some(feature_gradient) = feature_gradient {
            // `input` has served; it becomes the gradient of what dropout let through.
            self.backward_product(pool, &before, units, &parameters[hidden], &mut input);
            vectorized!(kernel, {
                if let Some([mask, _]) = masks {
                    input.iter_mut().zip(mask).for_each(|(gradient, &factor)| *gradient *= factor);
                }
                feature_gradient.iter_mut().zip(&input).for_each(|(sum, &gradient)| *sum += gradient);
            });
        }

        (self.logits, self.input, self.hidden, self.activation) = (logits, input, before, activation);
        Ok(ClassifierReport { linear: linear_report, mlp: mlp_report })
    }

    /// `result = from weights^T + bias`; weights `[n, inner]`.
    fn product(
        &mut self,
        pool: &Pool,
        from: &[R],
        weights: &[R],
        n: usize,
        bias: Option<&[R]>,
        result: &mut [R],
    ) {
        let (gemm, inner) = (self.gemm, weights.len() / n);
        let packed = &mut self.packed[..gemm.packed_len(inner, n)];
        pool.for_each_chunk(packed, gemm.panel_len(inner), |panel, packed, _| {
            gemm.pack_panel(panel, Right::Columns(Rows::new(weights, inner)), packed);
        });
        self.multiply(pool, from, inner, n, bias, result);
    }

    /// `result = gradients weights`; weights `[outputs, n]`.
    fn backward_product(
        &mut self,
        pool: &Pool,
        gradients: &[R],
        outputs: usize,
        weights: &[R],
        result: &mut [R],
    ) {
        let (gemm, n) = (self.gemm, weights.len() / outputs);
        let packed = &mut self.packed[..gemm.packed_len(outputs, n)];
        gemm.pack(Right::Rows(Rows::new(weights, n)), packed);
        self.multiply(pool, gradients, outputs, n, None, result);
    }

    fn multiply(
        &self,
        pool: &Pool,
        from: &[R],
        inner: usize,
        n: usize,
        bias: Option<&[R]>,
        result: &mut [R],
    ) {
        let right = &self.packed[..self.gemm.packed_len(inner, n)];
        pool.for_each_chunk(result, ROWS * n, |index, result, _| {
            let rows = result.len() / n;
            let left = Rows::new(&from[index * ROWS * inner..][..rows * inner], inner);
            let finish = Finish { bias, ..Finish::default() };
            self.gemm.multiply(&[Factor { left: left.into(), right }], n, finish, Destination::Real(result));
        });
    }

    /// `gradient = outputs^T inputs`.
    fn weight_gradient(
        &self,
        pool: &Pool,
        outputs: &[R],
        out: usize,
        inputs: &[R],
        inner: usize,
        gradient: &mut [R],
    ) {
        pool.for_each_chunk(gradient, OUTPUTS * inner, |index, gradient, thread| {
            let width = gradient.len() / inner;
            let left = Rows::strided(&outputs[index * OUTPUTS..], out, width);
            let mut scratch = self.scratch[thread].lock().unwrap_or_else(PoisonError::into_inner);
            self.gemm.multiply_transposed(
                left,
                Rows::new(inputs, inner).into(),
                gradient,
                false,
                &mut scratch,
            );
        });
    }

    /// Normalises the hidden layer by the statistics of the batch and moves the running ones.
    fn normalise(&mut self, before: &[R], running: &mut [R]) {
        let units = self.settings.hidden;
        let rows = before.len() / units;
        let count = rows as f64;
        let [mean, inverse, sums, squares] = &mut self.channels;
        sums.fill(R::default());
        squares.fill(R::default());
        vectorized!(self.kernel, add_rows(before, sums));
        for (mean, sum) in mean.iter_mut().zip(sums) {
            *mean = R::from_f64(sum.to_f64() / count);
        }
        vectorized!(self.kernel, add_squared_distances(before, mean, squares));
        let (running_mean, running_variance) = running.split_at_mut(units);
        for c in 0..units {
            let square = squares[c].to_f64();
            inverse[c] = R::from_f64(1.0 / (square / count + EPSILON).sqrt());
            let move_towards = |running: &mut R, batch: f64| {
                *running = R::from_f64((1.0 - MOMENTUM) * running.to_f64() + MOMENTUM * batch);
            };
            move_towards(&mut running_mean[c], mean[c].to_f64());
            move_towards(&mut running_variance[c], square / (count - 1.0));
        }
        let normalised = &mut self.normalised;
        vectorized!(self.kernel, {
            for (to, from) in normalised.chunks_exact_mut(units).zip(before.chunks_exact(units)) {
                for (c, (to, &value)) in to.iter_mut().zip(from).enumerate() {
                    *to = (value - mean[c]) * inverse[c];
                }
            }
        });
    }

    /// Loss and hits; replaces the logits by the gradients of the loss.
    fn cross_entropy(&self, logits: &mut [R], labels: &[i64]) -> HeadReport {
        let ClassifierSettings { classes, logit_clip: clip, logit_penalty: penalty, .. } = self.settings;
        let ClassifierSettings { label_smoothing, confidence_penalty, .. } = self.settings;
        let labelled = labels.iter().filter(|&&label| label >= 0).count();
        let mut report = HeadReport { labelled, ..HeadReport::default() };
        let (share, all) = (1.0 / labelled.max(1) as f64, logits.len() as f64);
        for (row, &label) in logits.chunks_exact_mut(classes).zip(labels) {
            let clipped = |logit: R| clip * (logit.to_f64() / clip).tanh();
            let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &logit| largest.max(clipped(logit)));
            let sum: f64 = row.iter().map(|&logit| (clipped(logit) - largest).exp()).sum();
            let log_sum = sum.ln();
            let log_probability = |logit: R| clipped(logit) - largest - log_sum;
            let entropy = if confidence_penalty > 0.0 {
                -row.iter().map(|&logit| log_probability(logit).exp() * log_probability(logit)).sum::<f64>()
            } else {
                0.0
            };
            let mut best = 0;
            for (class, logit) in row.iter().enumerate() {
                best = if *logit > row[best] { class } else { best };
            }
            report.correct += usize::from(label == best as i64);
            report.loss -= if label >= 0 { share * confidence_penalty * entropy } else { 0.0 };
            for (class, logit) in row.iter_mut().enumerate() {
                let (value, soft) = (logit.to_f64(), clipped(*logit));
                report.loss += penalty * value * value / all;
                let mut gradient = 2.0 * penalty * value / all;
                if label >= 0 {
                    let own = f64::from(u8::from(class as i64 == label));
                    let target = (1.0 - label_smoothing) * own + label_smoothing / classes as f64;
                    let log = soft - largest - log_sum;
                    report.loss -= share * target * log;
                    let probability = (soft - largest).exp() / sum;
                    let slope = 1.0 - (soft / clip).powi(2);
                    let certain = confidence_penalty * probability * (log + entropy);
                    gradient += share * (probability - target + certain) * slope;
                }
                *logit = R::from_f64(gradient);
            }
        }
        report
    }

    fn resize(&mut self, pool: &Pool, rows: usize) {
        let ClassifierSettings { embedding, hidden, classes, .. } = self.settings;
        let zero = R::default();
        self.input.resize(rows * embedding, zero);
        self.hidden.resize(rows * hidden, zero);
        self.normalised.resize(rows * hidden, zero);
        self.activation.resize(rows * hidden, zero);
        self.logits.resize(rows * classes, zero);
        let length = self.gemm.transposed_scratch(rows, OUTPUTS);
        self.scratch.resize_with(pool.threads(), || Mutex::new(vec![]));
        for scratch in &mut self.scratch {
            let scratch = scratch.get_mut().unwrap_or_else(PoisonError::into_inner);
            if scratch.len() < length {
                scratch.resize(length, zero);
            }
        }
    }

    fn check(
        &self,
        parameters: &[R],
        running: &[R],
        LabelledRows { features, labels, masks }: LabelledRows<R>,
        gradient: &[R],
    ) -> Result<(), CpuError> {
        let ClassifierSettings { embedding, hidden, classes, .. } = self.settings;
        let rows = labels.len();
        check_length("classifiers' parameters", parameters.len(), self.parameter_len())?;
        check_length("classifiers' gradient", gradient.len(), self.parameter_len())?;
        check_length("classifiers' running statistics", running.len(), 2 * hidden)?;
        check_length("features", features.len(), rows * embedding)?;
        if let Some([input, units]) = masks {
            check_length("mask of the features", input.len(), rows * embedding)?;
            check_length("mask of the hidden units", units.len(), rows * hidden)?;
        }
        if rows < 2 {
            return Err(CpuError::Objective { problem: "batch norm needs at least 2 rows" });
        }
        if labels.iter().any(|&label| label < -1 || label >= classes as i64) {
            return Err(CpuError::Objective { problem: "a label is no class and not -1 (none)" });
        }
        Ok(())
    }
}

/// Sums over rows, in `f64`.
fn column_sums<R: Real>(rows: &[R], sums: &mut [R]) {
    let width = sums.len();
    for (c, sum) in sums.iter_mut().enumerate() {
        *sum = R::from_f64(rows.iter().skip(c).step_by(width).map(|value| value.to_f64()).sum());
    }
}

/// From the gradients of a batch norm's result to those of its input, with the gradients of shift and scale in `sums`
/// and `products`.
#[inline(always)]
fn norm_backward<R: Real>(
    gradients: &mut [R],
    normalised: &[R],
    scale: &[R],
    inverse: &[R],
    (sums, products): (&mut [R], &mut [R]),
) {
    let units = scale.len();
    let (inverse, sums, products) = (&inverse[..units], &mut sums[..units], &mut products[..units]);
    sums.fill(R::default());
    products.fill(R::default());
    for (gradients, normalised) in gradients.chunks_exact(units).zip(normalised.chunks_exact(units)) {
        for (c, (&gradient, &value)) in gradients.iter().zip(normalised).enumerate() {
            sums[c] += gradient;
            products[c] += gradient * value;
        }
    }
    let share = R::from_f64(units as f64 / gradients.len() as f64);
    for (gradients, normalised) in gradients.chunks_exact_mut(units).zip(normalised.chunks_exact(units)) {
        for (c, (gradient, &value)) in gradients.iter_mut().zip(normalised).enumerate() {
            let centred = *gradient - sums[c] * share - value * (products[c] * share);
            *gradient = scale[c] * inverse[c] * centred;
        }
    }
}
