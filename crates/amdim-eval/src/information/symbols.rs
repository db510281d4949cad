//! What values become when they are cut into bins: symbols that are equal or not.

use std::collections::HashMap;
use std::hash::Hash;

/// A number for each key; equal ones for equal keys, counted in the order in which they first occur.
pub(super) fn numbered<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> Vec<u32> {
    let mut known: HashMap<K, u32> = HashMap::new();
    keys.map(|key| {
        let next = known.len() as u32;
        *known.entry(key).or_insert(next)
    })
    .collect()
}

/// Entropy of x, of y, and of both together, in nats.
pub(super) fn entropies_of_both(x: &[u32], y: &[u32]) -> [f64; 3] {
    let both: Vec<(u32, u32)> = x.iter().copied().zip(y.iter().copied()).collect();
    [entropy(x), entropy(y), entropy(&both)]
}

/// Entropy of symbols by their frequencies, summed in the order in which they first occur.
pub(super) fn entropy<T: Eq + Hash + Copy>(symbols: &[T]) -> f64 {
    let mut places: HashMap<T, usize> = HashMap::new();
    let mut counts: Vec<f64> = vec![];
    for &symbol in symbols {
        let place = *places.entry(symbol).or_insert(counts.len());
        if place == counts.len() {
            counts.push(0.0);
        }
        counts[place] += 1.0;
    }
    let total = symbols.len() as f64;
    -counts.iter().map(|count| count / total * (count / total).ln()).sum::<f64>()
}
