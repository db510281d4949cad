//! Clusters of features by k-means.

use amdim_random::{Purpose, Stream};
use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::knn::unit_rows;
use crate::matrix::{Matrix, Write, multiply};
use crate::stop::{Stop, check};

/// Rows that one task compares with the centres.
const ROWS: usize = 256;

/// How clusters are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KMeansConfig {
    /// Number of clusters; at least 1 and at most the number of rows.
    pub clusters: usize,
    /// Starts, of which the one that ends with the lowest inertia counts; at least 1.
    pub restarts: usize,
    /// Steps of one start at most, at least 1.
    pub max_iterations: usize,
    /// What the first centres depend on.
    pub seed: u64,
}

/// Clusters of rows of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// `[rows]`, clusters from 0.
    pub clusters: Vec<u32>,
    /// Sum of the squared distances of the rows to the centres of their clusters.
    pub inertia: f64,
    /// Steps of the start that counts.
    pub iterations: usize,
}

impl KMeans {
    /// Lloyd's steps from centres drawn by k-means++, until no row changes its cluster. Rows are divided by their
    /// length first, so that distances are those of cosine similarity. A centre that lost all of its rows moves to the
    /// row farthest from its own.
    ///
    /// # Errors
    /// - [`EvalError::InvalidArgument`]: an option out of range
    /// - [`EvalError::Cancelled`]
    ///
    /// # Source
    /// S. P. Lloyd, 1982, "Least squares quantization in PCM"; D. Arthur and S. Vassilvitskii, 2007, "k-means++: the
    /// advantages of careful seeding", section 2.2.
    pub fn fit(config: &KMeansConfig, features: Features<'_>, stop: Stop<'_>) -> Result<Self> {
        let rows = features.rows();
        check_range("clusters", config.clusters, rows)?;
        check_range("restarts", config.restarts, usize::MAX)?;
        check_range("maxIterations", config.max_iterations, usize::MAX)?;
        let units = unit_rows(features.values(), features.dim());
        let points = Points { values: &units, dim: features.dim() };
        let mut best: Option<Self> = None;
        for start in 0..config.restarts {
            let mut stream = Stream::new(config.seed, Purpose::Clusters, start as u64);
            let centres = points.first_centres(config.clusters, &mut stream, stop)?;
            let found = points.improve(centres, config.max_iterations, stop)?;
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        best.ok_or(EvalError::EmptySet { what: "restarts" })
    }
}

fn check_range(name: &'static str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let expected =
        if most == usize::MAX { "at least 1".to_owned() } else { format!("1 to {most} (the rows)") };
    Err(EvalError::InvalidArgument { name, expected, actual: value.to_string() })
}

/// Rows to be put into clusters, `[rows, dim]`.
#[derive(Clone, Copy)]
struct Points<'a> {
    values: &'a [f32],
    dim: usize,
}

/// The nearest centre of a row.
#[derive(Clone, Copy, PartialEq)]
struct Nearest {
    cluster: u32,
    /// Squared distance.
    distance: f32,
}

impl Points<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// Each centre is a row, drawn with the square of its distance to the nearest centre so far as weight.
    fn first_centres(&self, clusters: usize, stream: &mut Stream, stop: Stop<'_>) -> Result<Vec<f32>> {
        let first = stream.below(self.rows() as u64) as usize;
        let mut centres = self.row(first).to_vec();
        let mut nearest: Vec<f32> = vec![f32::INFINITY; self.rows()];
        for _ in 1..clusters {
            let newest = &centres[centres.len() - self.dim..];
            let found = self.nearest(newest, stop)?;
            nearest.iter_mut().zip(found).for_each(|(least, found)| *least = least.min(found.distance));
            let total: f64 = nearest.iter().map(|&distance| f64::from(distance)).sum();
            let mut left = stream.unit() * total;
            let drawn = nearest.iter().position(|&distance| {
                left -= f64::from(distance);
                left < 0.0
            });
            // Where no row is away from a centre, any will do.
            let row = drawn.unwrap_or_else(|| stream.below(self.rows() as u64) as usize);
            centres.extend_from_slice(self.row(row));
        }
        Ok(centres)
    }

    /// Lloyd's steps.
    fn improve(&self, mut centres: Vec<f32>, max_iterations: usize, stop: Stop<'_>) -> Result<KMeans> {
        let clusters = centres.len() / self.dim;
        let mut nearest = self.nearest(&centres, stop)?;
        let mut iterations = 0;
        while iterations < max_iterations {
            iterations += 1;
            fill_empty(&mut nearest, clusters);
            centres = self.means(&nearest, clusters);
            let found = self.nearest(&centres, stop)?;
            let is_settled = found.iter().zip(&nearest).all(|(new, old)| new.cluster == old.cluster);
            nearest = found;
            if is_settled {
                break;
            }
        }
        let inertia = nearest.iter().enumerate().map(|(row, nearest)| {
            let centre = &centres[nearest.cluster as usize * self.dim..][..self.dim];
            let square = |(&x, &c): (&f32, &f32)| (f64::from(x) - f64::from(c)).powi(2);
            self.row(row).iter().zip(centre).map(square).sum::<f64>()
        });
        Ok(KMeans {
            inertia: inertia.sum(),
            clusters: nearest.iter().map(|nearest| nearest.cluster).collect(),
            iterations,
        })
    }

    /// The nearest of `centres` `[clusters, dim]` for each row; of equally near ones the first.
    fn nearest(&self, centres: &[f32], stop: Stop<'_>) -> Result<Vec<Nearest>> {
        let clusters = centres.len() / self.dim;
        let square = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>();
        let squares: Vec<f32> = centres.chunks_exact(self.dim).map(square).collect();
        let blocks: Vec<Vec<Nearest>> = self
            .values
            .par_chunks(ROWS * self.dim)
            .map(|rows| {
                check(stop)?;
                let count = rows.len() / self.dim;
                let mut products = vec![0.0; count * clusters];
                let (left, right) =
                    (Matrix::new(rows, count, self.dim), Matrix::new(centres, clusters, self.dim));
                multiply(&mut products, Write::Replace, left, right.transposed());
                let of = |(row, products): (&[f32], &[f32])| {
                    let part = |(product, c): (&f32, &f32)| c - 2.0 * product;
                    let parts = products.iter().zip(&squares).map(part).zip(0..);
                    let least = |a: (f32, u32), b: (f32, u32)| if b.0 < a.0 { b } else { a };
                    let (part, cluster) = parts.fold((f32::INFINITY, 0), least);
                    Nearest { cluster, distance: (part + square(row)).max(0.0) }
                };
                Ok(rows.chunks_exact(self.dim).zip(products.chunks_exact(clusters)).map(of).collect())
            })
            .collect::<Result<_>>()?;
        Ok(blocks.concat())
    }

    /// The means of the rows of each cluster, summed in the order of the rows.
    fn means(&self, nearest: &[Nearest], clusters: usize) -> Vec<f32> {
        let mut members: Vec<Vec<usize>> = vec![vec![]; clusters];
        for (row, nearest) in nearest.iter().enumerate() {
            members[nearest.cluster as usize].push(row);
        }
        let mut centres = vec![0.0; clusters * self.dim];
        centres.par_chunks_exact_mut(self.dim).zip(&members).for_each(|(centre, members)| {
            let mut sums = vec![0.0; self.dim];
            for &row in members {
                sums.iter_mut().zip(self.row(row)).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            let count = members.len() as f64;
            centre.iter_mut().zip(sums).for_each(|(centre, sum)| *centre = (sum / count) as f32);
        });
        centres
    }
}

/// Gives each cluster without rows the row farthest from its centre, of clusters that keep another.
fn fill_empty(nearest: &mut [Nearest], clusters: usize) {
    let mut counts = vec![0_usize; clusters];
    for nearest in &*nearest {
        counts[nearest.cluster as usize] += 1;
    }
    for cluster in 0..clusters {
        if counts[cluster] > 0 {
            continue;
        }
        let mut farthest: Option<usize> = None;
        for (row, candidate) in nearest.iter().enumerate() {
            let is_farther = farthest.is_none_or(|best| candidate.distance > nearest[best].distance);
            if counts[candidate.cluster as usize] > 1 && is_farther {
                farthest = Some(row);
            }
        }
        // There are as many rows as clusters at least, so that some cluster has two.
        if let Some(row) = farthest {
            counts[nearest[row].cluster as usize] -= 1;
            counts[cluster] += 1;
            nearest[row] = Nearest { cluster: cluster as u32, distance: 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn fit(values: &[f32], dim: usize, config: KMeansConfig) -> Result<KMeans> {
        KMeans::fit(&config, Features::new("features", values, dim)?, never())
    }

    const CONFIG: KMeansConfig = KMeansConfig { clusters: 3, restarts: 4, max_iterations: 100, seed: 1 };

    /// Rows near 0, 120 and 240 degrees, in turn.
    fn three_directions(rows: usize) -> Vec<f32> {
        let angle = |i: usize| ((i % 3 * 120) as f32 + (i * 7 % 20) as f32 - 10.0).to_radians();
        (0..rows).flat_map(|i| [angle(i).cos() * (1 + i) as f32, angle(i).sin() * (1 + i) as f32]).collect()
    }

    #[test]
    fn directions_are_found_whatever_the_lengths() {
        let found = fit(&three_directions(90), 2, CONFIG).unwrap();
        let cluster = |i: usize| found.clusters[i];
        assert!((0..90).all(|i| cluster(i) == cluster(i % 3)), "{:?}", found.clusters);
        assert!(cluster(0) != cluster(1) && cluster(1) != cluster(2) && cluster(0) != cluster(2));
        assert!(found.iterations < 10, "{}", found.iterations);
    }

    #[test]
    fn the_end_is_a_fixed_point_of_plain_steps() {
        let (rows, dim) = (ROWS + 60, 3);
        let values: Vec<f32> = (0..rows * dim).map(|i| (i * i * 31 % 1013) as f32 / 500.0 - 1.0).collect();
        let found = fit(&values, dim, KMeansConfig { clusters: 5, ..CONFIG }).unwrap();
        let units = unit_rows(&values, dim);
        let mut centres = vec![vec![0.0; dim]; 5];
        for cluster in 0..5 {
            let of: Vec<usize> = (0..rows).filter(|&row| found.clusters[row] == cluster).collect();
            for (j, centre) in centres[cluster as usize].iter_mut().enumerate() {
                *centre = of.iter().map(|row| f64::from(units[row * dim + j])).sum::<f64>() / of.len() as f64;
            }
        }
        let mut inertia = 0.0;
        for row in 0..rows {
            let distance = |centre: &Vec<f64>| -> f64 {
                (0..dim).map(|j| (f64::from(units[row * dim + j]) - centre[j]).powi(2)).sum()
            };
            let least = centres.iter().map(distance).fold(f64::INFINITY, f64::min);
            let own = distance(&centres[found.clusters[row] as usize]);
            assert!(own <= least + 1e-6, "row {row}: {own} against {least}");
            inertia += own;
        }
        assert!((found.inertia - inertia).abs() < 1e-4, "{} against {inertia}", found.inertia);
    }

    #[test]
    fn as_many_clusters_as_rows_leave_nothing_over() {
        let values = three_directions(8);
        let found = fit(&values, 2, KMeansConfig { clusters: 8, ..CONFIG }).unwrap();
        let mut seen = found.clusters.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
        assert!(found.inertia < 1e-10, "{}", found.inertia);
        // Equal rows can't fill two clusters, and that is no reason to go on for ever.
        assert!(fit(&[1.0; 6], 2, CONFIG).unwrap().inertia < 1e-10);
    }

    #[test]
    fn an_empty_cluster_takes_the_farthest_row() {
        let nearest = |cluster, distance| Nearest { cluster, distance };
        let mut rows = [nearest(0, 0.1), nearest(0, 0.5), nearest(2, 9.0), nearest(0, 0.3)];
        fill_empty(&mut rows, 3);
        assert_eq!(rows.map(|row| row.cluster), [0, 1, 2, 0]);
    }

    #[test]
    fn options_out_of_range_are_named() {
        for (config, expected) in [
            (KMeansConfig { clusters: 0, ..CONFIG }, "clusters"),
            (KMeansConfig { clusters: 4, ..CONFIG }, "clusters"),
            (KMeansConfig { restarts: 0, ..CONFIG }, "restarts"),
            (KMeansConfig { max_iterations: 0, ..CONFIG }, "maxIterations"),
        ] {
            match fit(&three_directions(3), 2, config) {
                Err(EvalError::InvalidArgument { name, .. }) => assert_eq!(name, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
