//! The two walks of a group of target pictures over its rows: sums over the negatives, then gradients.

use amdim_kernels::gemm::{Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::{Buffer, Kernel, Real, Stored, vectorized};

/// Target rows whose scores are held at once.
pub(super) const BLOCK: usize = 128;

/// A group's own memory.
#[derive(Debug)]
pub(super) struct Group<S: Stored> {
    /// Products before they are scores: of the first blocks, from the first walk to the second, and room for one more.
    pub(super) kept: Buffer<S::Real>,
    /// Of each of them, the score over the clip; empty without a clip.
    pub(super) shares: Buffer<S::Real>,
    /// Derivatives of a block, `[rows, sources]`.
    pub(super) derivatives: Buffer<S>,
    pub(super) packed: Buffer<S::Packed>,
    /// Gradients of the stacked sources.
    pub(super) gradients: Buffer<S::Real>,
    /// Four values a source: sum of `exp` over the negatives, its shift, sum of scores, sum of their squares.
    pub(super) sums: [Buffer<f64>; 4],
    /// Largest negative, and largest absolute score, of each source.
    pub(super) largest: [Buffer<S::Real>; 2],
    /// Sums over a block.
    pub(super) block: [Buffer<S::Real>; 4],
    /// Added to scores before the negatives are gathered: 0, or less than any number for a row's own sources.
    pub(super) exclusion: Buffer<S::Real>,
}

impl<S: Stored> Group<S> {
    /// Where the products of a block are, with `count` sources, and whether they stay there for the second walk.
    fn place(&self, block: usize, count: usize) -> (usize, bool) {
        let last = self.kept.len() / (BLOCK * count) - 1;
        (block.min(last) * BLOCK * count, block < last)
    }
}

/// A group's part of a walk.
pub(super) struct Walk<'a, S: Stored> {
    pub(super) group: &'a mut Group<S>,
    pub(super) first_picture: usize,
    pub(super) targets: &'a [S],
    pub(super) positives: &'a mut [S::Real],
    pub(super) target_gradients: &'a mut [S::Real],
}

/// The constants of one walk.
#[derive(Clone, Copy)]
pub(super) struct Scale<R> {
    /// `1 / sqrt(embedding)`
    pub(super) score: R,
    /// The clip; without one, the largest `f32`, which no score exceeds.
    pub(super) clip: R,
    pub(super) is_clipped: bool,
    pub(super) fixed_shift: bool,
    pub(super) batch: usize,
    pub(super) slots: usize,
    pub(super) locations: usize,
}

impl<R> Scale<R> {
    pub(super) fn sources(&self) -> usize {
        self.batch * self.slots
    }

    /// The sources whose positive a row of a group's targets is, each with the place of its score in
    /// `Memory::positives` as the group has it.
    fn own(&self, row: usize, first_picture: usize) -> impl Iterator<Item = (usize, usize)> + use<R> {
        let (batch, slots, locations) = (self.batch, self.slots, self.locations);
        let (picture, location) = (row / locations, row % locations);
        let source = move |slot| slot * batch + first_picture + picture;
        (0..slots).map(move |slot| (source(slot), (picture * slots + slot) * locations + location))
    }
}

/// What all groups read in a walk.
pub(super) struct Shared<'a, S: Stored> {
    pub(super) gemm: Gemm<S>,
    pub(super) kernel: Kernel,
    pub(super) embedding: usize,
    pub(super) columns: &'a [S::Packed],
    pub(super) rows: &'a [S::Packed],
    pub(super) shifts: &'a [S::Real],
    pub(super) negative_weights: &'a [S::Real],
    pub(super) penalties: &'a [S::Real],
    pub(super) scale: Scale<S::Real>,
}

impl<S: Stored> Shared<'_, S> {
    /// Products of a block's targets and all sources, before they are divided by the root of the embedding, and their
    /// scores over the clip, where there is one.
    fn products(&self, targets: &[S], kept: &mut [S::Real], shares: &mut [S::Real]) {
        let factor = Factor { left: Rows::new(targets, self.embedding).into(), right: self.columns };
        let to = Destination::Real(&mut *kept);
        self.gemm.multiply(&[factor], self.scale.sources(), Finish::default(), to);
        vectorized!(self.kernel, share_of_clip(self.scale, kept, shares));
    }
}

/// First walk: the positives, and sums over the negatives.
pub(super) fn gather<S: Stored>(shared: &Shared<S>, walk: &mut Walk<S>) {
    let (count, clip) = (shared.scale.sources(), shared.scale.clip);
    let Walk { group, first_picture, targets, positives, .. } = walk;
    group.sums[0][..count].fill(0.0);
    group.sums[1][..count].fill(if shared.scale.fixed_shift { clip.to_f64() } else { f64::NEG_INFINITY });
    group.sums[2][..count].fill(0.0);
    group.sums[3][..count].fill(0.0);
    group.largest[0][..count].fill(S::Real::from_f64(f64::NEG_INFINITY));
    group.largest[1][..count].fill(S::Real::default());
    for (index, targets) in targets.chunks(BLOCK * shared.embedding).enumerate() {
        let rows = targets.len() / shared.embedding;
        let (place, _) = group.place(index, count);
        let scores = place..place + rows * count;
        let shares = group.shares.get_mut(scores.clone()).unwrap_or_default();
        shared.products(targets, &mut group.kept[scores], shares);
        let block = (index * BLOCK, rows, place);
        if shared.scale.is_clipped {
            vectorized!(
                shared.kernel,
                gather_block::<S, true>(shared.scale, group, block, *first_picture, positives)
            );
        } else {
            vectorized!(
                shared.kernel,
                gather_block::<S, false>(shared.scale, group, block, *first_picture, positives)
            );
        }
    }
}

#[inline(always)]
fn gather_block<S: Stored, const CLIPPED: bool>(
    scale: Scale<S::Real>,
    group: &mut Group<S>,
    (first_row, rows, place): (usize, usize, usize),
    first_picture: usize,
    positives: &mut [S::Real],
) {
    let Scale { score, clip, fixed_shift, .. } = scale;
    let count = scale.sources();
    let (zero, lowest) = (S::Real::default(), S::Real::from_f64(f64::NEG_INFINITY));
    let [sums, squares, largest, exponentials] = &mut group.block;
    let (sums, squares) = (&mut sums[..count], &mut squares[..count]);
    let (largest, exponentials) = (&mut largest[..count], &mut exponentials[..count]);
    let (largest_score, exclusion) = (&mut group.largest[1][..count], &mut group.exclusion[..count]);
    for values in [&mut *sums, &mut *squares, &mut *exponentials] {
        values.fill(zero);
    }
    largest.fill(lowest);
    let products = &group.kept[place..place + rows * count];
    // A score that is not clipped is its product, but for a factor.
    let (shares, factor) =
        if CLIPPED { (&group.shares[place..place + rows * count], clip) } else { (products, score) };
    let rows = || products.chunks_exact(count).zip(shares.chunks_exact(count)).enumerate();
    for (row, (products, shares)) in rows() {
        for (column, place) in scale.own(first_row + row, first_picture) {
            positives[place] = factor * shares[column];
            exclusion[column] = lowest;
        }
        for c in 0..count {
            let raw = products[c] * score;
            sums[c] += raw;
            squares[c] += raw * raw;
            largest_score[c] = highest(raw.abs(), largest_score[c]);
            let negative = factor * shares[c] + exclusion[c];
            largest[c] = highest(negative, largest[c]);
            if fixed_shift {
                exponentials[c] += (negative - clip).exp();
            }
        }
        scale.own(first_row + row, first_picture).for_each(|(column, _)| exclusion[column] = zero);
    }
    // Where every row is a positive there is no negative; any finite shift does.
    let least = -clip;
    for (row, (_, shares)) in rows().filter(|_| !fixed_shift) {
        scale.own(first_row + row, first_picture).for_each(|(column, _)| exclusion[column] = lowest);
        for c in 0..count {
            let shift = highest(largest[c], least);
            exponentials[c] += (factor * shares[c] + exclusion[c] - shift).exp();
        }
        scale.own(first_row + row, first_picture).for_each(|(column, _)| exclusion[column] = zero);
    }
    let [total, shifts, score_sums, score_squares] = &mut group.sums;
    for c in 0..count {
        let sum = exponentials[c].to_f64();
        if fixed_shift {
            total[c] += sum;
        } else {
            let block_shift = highest(largest[c], least).to_f64();
            let shift = shifts[c].max(block_shift);
            total[c] = total[c] * (shifts[c] - shift).exp() + sum * (block_shift - shift).exp();
            shifts[c] = shift;
        }
        score_sums[c] += sums[c].to_f64();
        score_squares[c] += squares[c].to_f64();
        let before = &mut group.largest[0][c];
        *before = highest(largest[c], *before);
    }
}

/// `tanh(score / clip)` of as many products as there are `shares`.
#[inline(always)]
fn share_of_clip<R: Real>(scale: Scale<R>, products: &[R], shares: &mut [R]) {
    let inverse_clip = R::from_f64(1.0 / scale.clip.to_f64());
    for (share, &product) in shares.iter_mut().zip(products) {
        *share = (product * scale.score * inverse_clip).tanh();
    }
}

/// Second walk: derivatives by the scores, and from these the gradients of targets and sources.
pub(super) fn backward<S: Stored>(shared: &Shared<S>, walk: &mut Walk<S>) {
    let (count, embedding) = (shared.scale.sources(), shared.embedding);
    let Walk { group, first_picture, targets, positives, target_gradients } = walk;
    let blocks = targets.chunks(BLOCK * embedding).zip(target_gradients.chunks_mut(BLOCK * embedding));
    for (index, (targets, gradients)) in blocks.enumerate() {
        let rows = targets.len() / embedding;
        let (place, is_kept) = group.place(index, count);
        let scores = place..place + rows * count;
        let is_clipped = shared.scale.is_clipped;
        if !is_kept {
            let shares = group.shares.get_mut(scores.clone()).unwrap_or_default();
            shared.products(targets, &mut group.kept[scores.clone()], shares);
        }
        let products = &group.kept[scores.clone()];
        let shares = if is_clipped { &group.shares[scores] } else { products };
        let derivatives = &mut group.derivatives[..rows * count];
        let first = (index * BLOCK, *first_picture);
        if is_clipped {
            vectorized!(
                shared.kernel,
                derive_block::<S, true>(shared, [products, shares], derivatives, first, positives)
            );
        } else {
            vectorized!(
                shared.kernel,
                derive_block::<S, false>(shared, [products, shares], derivatives, first, positives)
            );
        }
        let derivatives = Rows::new(&group.derivatives[..rows * count], count);
        let factor = Factor { left: derivatives.into(), right: shared.rows };
        let finish = Finish { accumulate: true, ..Finish::default() };
        shared.gemm.multiply(&[factor], embedding, finish, Destination::Real(gradients));
        let sources = &mut group.gradients[..count * embedding];
        let targets = Rows::new(targets, embedding);
        shared.gemm.multiply_transposed(derivatives, targets.into(), sources, index > 0, &mut group.packed);
    }
}

#[inline(always)]
fn derive_block<S: Stored, const CLIPPED: bool>(
    shared: &Shared<S>,
    [products, shares]: [&[S::Real]; 2],
    derivatives: &mut [S],
    (first_row, first_picture): (usize, usize),
    positives: &[S::Real],
) {
    let Scale { score, clip, .. } = shared.scale;
    let count = shared.scale.sources();
    let one = S::Real::from_f64(1.0);
    let (shifts, weights) = (&shared.shifts[..count], &shared.negative_weights[..count]);
    let penalties = &shared.penalties[..count];
    let scores = products.chunks_exact(count).zip(shares.chunks_exact(count));
    for (row, ((products, shares), derivatives)) in
        scores.zip(derivatives.chunks_exact_mut(count)).enumerate()
    {
        for (c, ((&product, &share), to)) in products.iter().zip(shares).zip(&mut *derivatives).enumerate() {
            let raw = product * score;
            *to = S::from_real(if CLIPPED {
                let by_score = (clip * share - shifts[c]).exp() * weights[c];
                by_score * (one - share * share) + penalties[c] * raw
            } else {
                (raw - shifts[c]).exp() * weights[c] + penalties[c] * raw
            });
        }
        for (column, place) in shared.scale.own(first_row + row, first_picture) {
            let (by_score, share) = (positives[place], shares[column]);
            let slope = if CLIPPED { one - share * share } else { one };
            let penalty = penalties[column] * products[column] * score;
            derivatives[column] = S::from_real(by_score * slope + penalty);
        }
    }
}

/// The larger; the second where the first is NaN.
#[inline(always)]
fn highest<R: Real>(a: R, b: R) -> R {
    if a > b { a } else { b }
}
