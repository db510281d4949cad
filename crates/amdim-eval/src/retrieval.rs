//! How well pictures find those of their class.

use rayon::prelude::*;

use crate::error::{EvalError, Result, check_count};
use crate::features::Features;
use crate::knn::{BASE_BLOCK, Block, unit_rows};
use crate::labels::Labels;
use crate::stop::{Stop, check};

/// Queries that one task ranks.
const TILE: usize = 128;

/// How well each picture finds those of its class among all others, or in a gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// Mean over queries of the average precision: the mean, over those of the class, of the share of the class among
    /// all that are ranked up to there. 0..1; at chance about the share of the class.
    pub mean_average_precision: f64,
    /// For each `k` asked for: share of queries with one of their class among the `k` nearest, 0..1.
    pub recall: Vec<f64>,
    /// Pictures that had one of their class to find.
    pub queries: usize,
    /// Pictures with none of their class to find, which are no queries.
    pub left_out: usize,
}

/// Pictures that search or are searched in: their features, and a label for each.
#[derive(Debug, Clone, Copy)]
pub struct LabelledFeatures<'a> {
    /// `[pictures, dim]`
    pub features: Features<'a>,
    /// `[pictures]`
    pub labels: Labels<'a>,
}

/// Takes each picture as query and ranks all others by cosine similarity, exactly; of equally near ones the lower index
/// first.
///
/// Recall is that of metric learning: whether anything right is among the first `k`. Time grows with the square of the
/// pictures.
///
/// # Errors
/// - [`EvalError::Shape`]: another number of labels than pictures
/// - [`EvalError::EmptySet`]: no two pictures of the same class
/// - [`EvalError::InvalidArgument`]: a `k` of 0
/// - [`EvalError::Cancelled`]
///
/// # Source
/// Average precision: C. D. Manning, P. Raghavan, H. Schütze, 2008, Introduction to Information Retrieval, section 8.4.
/// Recall at k: H. Jégou, M. Douze, C. Schmid, 2011, "Product quantization for nearest neighbor search".
pub fn retrieval(
    features: Features<'_>,
    labels: Labels<'_>,
    ks: &[usize],
    stop: Stop<'_>,
) -> Result<Retrieval> {
    let own = LabelledFeatures { features, labels };
    search(own, own, true, ks, stop)
}

/// Takes each picture of `queries` as query and ranks all of `gallery`, another set of pictures; else as [`retrieval`].
///
/// Labels of both are in one numbering of classes; the gallery may have further classes.
///
/// # Errors
/// - [`EvalError::Shape`]: another number of labels than pictures, or of values a picture or of classes in the gallery
/// - [`EvalError::EmptySet`]: no query has one of its class in the gallery
/// - [`EvalError::InvalidArgument`]: a `k` of 0
/// - [`EvalError::Cancelled`]
pub fn gallery_retrieval(
    queries: LabelledFeatures<'_>,
    gallery: LabelledFeatures<'_>,
    ks: &[usize],
    stop: Stop<'_>,
) -> Result<Retrieval> {
    check_count("values of a gallery picture", queries.features.dim(), gallery.features.dim())?;
    check_count("classes of the gallery", queries.labels.classes(), gallery.labels.classes())?;
    search(queries, gallery, false, ks, stop)
}

/// Ranks the gallery for each query; with `same_set` both are the same pictures, and none is ranked for itself.
fn search(
    queries: LabelledFeatures<'_>,
    gallery: LabelledFeatures<'_>,
    same_set: bool,
    ks: &[usize],
    stop: Stop<'_>,
) -> Result<Retrieval> {
    let (rows, dim) = (gallery.features.rows(), gallery.features.dim());
    check_count("labels", queries.features.rows(), queries.labels.count())?;
    check_count("labels", rows, gallery.labels.count())?;
    if ks.contains(&0) {
        let expected = "at least 1".to_owned();
        return Err(EvalError::InvalidArgument { name: "recallAt", expected, actual: "0".to_owned() });
    }
    let units = unit_rows(queries.features.values(), dim);
    let blocks: Vec<Block> =
        gallery.features.values().par_chunks(BASE_BLOCK * dim).map(|rows| Block::new(rows, dim)).collect();
    let counts = gallery.labels.histogram();
    let ranked: Vec<Vec<Query>> = units
        .par_chunks(TILE * dim)
        .enumerate()
        .map_init(
            || (vec![0.0; TILE * rows], vec![0.0; TILE * BASE_BLOCK], Vec::with_capacity(rows)),
            |(similarities, scratch, order), (tile, units)| {
                for (i, block) in blocks.iter().enumerate() {
                    check(stop)?;
                    block.similarities(units, scratch, |query, row| {
                        similarities[query * rows + i * BASE_BLOCK..][..row.len()].copy_from_slice(row);
                    });
                }
                let of = |(i, similarities): (usize, &[f32])| {
                    let query = tile * TILE + i;
                    let label = queries.labels.values()[query];
                    let wanted = counts[label as usize] - usize::from(same_set);
                    let itself = same_set.then_some(query);
                    (wanted > 0)
                        .then(|| rank(label, itself, similarities, gallery.labels.values(), wanted, order))
                };
                let rows = similarities.chunks_exact(rows).take(units.len() / dim);
                Ok(rows.enumerate().filter_map(of).collect())
            },
        )
        .collect::<Result<_>>()?;
    let found: Vec<Query> = ranked.into_iter().flatten().collect();
    if found.is_empty() {
        let what = if same_set {
            "pictures with another of their class"
        } else {
            "pictures with one of their class in the gallery"
        };
        return Err(EvalError::EmptySet { what });
    }
    let count = found.len();
    let share = |k: usize| found.iter().filter(|query| query.first <= k).count() as f64 / count as f64;
    Ok(Retrieval {
        mean_average_precision: found.iter().map(|query| query.average_precision).sum::<f64>() / count as f64,
        recall: ks.iter().map(|&k| share(k)).collect(),
        queries: count,
        left_out: queries.features.rows() - count,
    })
}

/// What one query came to.
struct Query {
    average_precision: f64,
    /// Rank from 1 of the first of its class.
    first: usize,
}

/// Ranks all but the query itself; `wanted` of them are of its class, `label`. `order` is scratch.
fn rank(
    label: u32,
    itself: Option<usize>,
    similarities: &[f32],
    labels: &[u32],
    wanted: usize,
    order: &mut Vec<u64>,
) -> Query {
    order.clear();
    let keys = similarities.iter().enumerate().filter(|&(index, _)| Some(index) != itself);
    order.extend(keys.map(|(index, &x)| u64::from(descending(x)) << 32 | index as u64));
    order.sort_unstable();
    let (mut hits, mut sum, mut first) = (0, 0.0, 0);
    for (at, key) in order.iter().enumerate() {
        if labels[*key as u32 as usize] != label {
            continue;
        }
        hits += 1;
        sum += f64::from(hits) / (at + 1) as f64;
        if hits == 1 {
            first = at + 1;
        }
        if hits as usize == wanted {
            break;
        }
    }
    Query { average_precision: sum / wanted as f64, first }
}

/// An integer that falls as a finite number rises; 0 and -0 are the same.
fn descending(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn of(values: &[f32], dim: usize, labels: &[u32], ks: &[usize]) -> Result<Retrieval> {
        let classes = labels.iter().max().map_or(0, |&most| most as usize + 1).max(2);
        retrieval(Features::new("features", values, dim)?, Labels::new(labels, classes)?, ks, never())
    }

    #[test]
    fn known_ranks_have_their_known_precision() {
        // At 0, 10, 30 and 70 degrees with classes a b a a, and one alone in its class at 180.
        let angles = [0.0_f32, 10.0, 30.0, 70.0, 180.0];
        let values: Vec<f32> =
            angles.iter().flat_map(|a| [a.to_radians().cos(), a.to_radians().sin()]).collect();
        let found = of(&values, 2, &[0, 1, 0, 0, 2], &[1, 2, 3]).unwrap();
        // From 0: b a a; from 30: b, a at 0, a at 70; from 70: a at 30, b, a at 0.
        let each = [[1.0 / 2.0, 2.0 / 3.0], [1.0 / 2.0, 2.0 / 3.0], [1.0, 2.0 / 3.0]];
        let wanted = each.as_flattened().iter().sum::<f64>() / 6.0;
        assert!((found.mean_average_precision - wanted).abs() < 1e-12, "{found:?}");
        assert_eq!(found.recall, [1.0 / 3.0, 1.0, 1.0]);
        assert_eq!((found.queries, found.left_out), (3, 2));
    }

    #[test]
    fn equals_a_plain_ranking() {
        let (rows, dim) = (2 * TILE + 5, 4);
        let values: Vec<f32> = (0..rows * dim).map(|i| (i * i * 31 % 1013) as f32 / 500.0 - 1.0).collect();
        let labels: Vec<u32> = (0..rows as u32).map(|i| i * i % 7 % 3).collect();
        let found = of(&values, dim, &labels, &[1, 5]).unwrap();
        let cosine = |i: usize, j: usize| {
            let row = |i: usize| values[i * dim..][..dim].iter().map(|&x| f64::from(x));
            let dot: f64 = row(i).zip(row(j)).map(|(a, b)| a * b).sum();
            let length = |i| row(i).map(|x| x * x).sum::<f64>().sqrt();
            dot / length(i) / length(j)
        };
        let (mut precision, mut first_hits) = (0.0, 0);
        for query in 0..rows {
            let mut others: Vec<usize> = (0..rows).filter(|&i| i != query).collect();
            others.sort_by(|&a, &b| cosine(query, b).total_cmp(&cosine(query, a)));
            let is_hit: Vec<bool> = others.iter().map(|&i| labels[i] == labels[query]).collect();
            let hits = |to: usize| is_hit[..to].iter().filter(|&&hit| hit).count() as f64;
            let sum: f64 = (1..rows).filter(|&k| is_hit[k - 1]).map(|k| hits(k) / k as f64).sum();
            precision += sum / hits(rows - 1) / rows as f64;
            first_hits += usize::from(is_hit[0]);
        }
        assert!((found.mean_average_precision - precision).abs() < 1e-4, "{found:?} against {precision}");
        assert!((found.recall[0] - first_hits as f64 / rows as f64).abs() < 1e-9, "{found:?}");
    }

    /// One picture a class and query would be enough to find; the gallery has more, and a class of its own.
    #[test]
    fn in_a_gallery_ranks_are_known_too() {
        let unit = |angles: &[f32]| -> Vec<f32> {
            angles.iter().flat_map(|a| [a.to_radians().cos(), a.to_radians().sin()]).collect()
        };
        let labelled = |values: &'static [f32], labels: &'static [u32]| LabelledFeatures {
            features: Features::new("features", values, 2).unwrap(),
            labels: Labels::new(labels, 4).unwrap(),
        };
        let of = |angles: &[f32], labels| labelled(unit(angles).leak(), labels);
        // The query at 0 ranks b a c a, that at 90 is b: a c a b; the last has none of its class to find.
        let queries = of(&[0.0, 90.0, 45.0], &[0, 1, 3]);
        let gallery = of(&[10.0, 20.0, 40.0, 60.0], &[1, 0, 2, 0]);
        let found = gallery_retrieval(queries, gallery, &[1, 2, 4], never()).unwrap();
        let [of_first, of_second] = [f64::midpoint(1.0 / 2.0, 2.0 / 4.0), 1.0 / 4.0];
        let wanted = f64::midpoint(of_first, of_second);
        assert!((found.mean_average_precision - wanted).abs() < 1e-12, "{found:?}");
        assert_eq!(found.recall, [0.0, 0.5, 1.0]);
        assert_eq!((found.queries, found.left_out), (2, 1));
        // A query that is in the gallery finds itself.
        let same = gallery_retrieval(queries, queries, &[1], never()).unwrap();
        assert_eq!((same.mean_average_precision, same.queries), (1.0, 3));
        let strangers = of(&[10.0], &[2]);
        assert_eq!(gallery_retrieval(queries, strangers, &[1], never()).unwrap_err().code(), "AMDIM_DATA");
        let wide = LabelledFeatures { features: Features::new("wide", &[1.0; 3], 3).unwrap(), ..strangers };
        assert_eq!(gallery_retrieval(queries, wide, &[1], never()).unwrap_err().code(), "AMDIM_SHAPE");
    }

    #[test]
    fn without_a_pair_there_is_nothing_to_find() {
        assert_eq!(of(&[1.0, 2.0], 1, &[0, 1], &[1]).unwrap_err().code(), "AMDIM_DATA");
        assert_eq!(of(&[1.0, 2.0], 1, &[0, 0], &[0]).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(of(&[1.0, 2.0, 3.0], 1, &[0, 0], &[1]).unwrap_err().code(), "AMDIM_SHAPE");
    }

    #[test]
    fn order_of_bits_is_the_order_of_numbers() {
        let falling = [f32::MAX, 1.0, 1e-40, 0.0, -1e-40, -1.0, f32::MIN];
        assert!(falling.windows(2).all(|pair| descending(pair[0]) < descending(pair[1])));
        assert_eq!(descending(0.0), descending(-0.0));
    }
}
