//! The best pairing of two sets.

/// For each row the column that it is paired with, so that the sum of `gains` is the largest; each column is used once.
///
/// # Shapes
/// - `gains`: `[side, side]`, finite
///
/// # Source
/// H. W. Kuhn, 1955, "The Hungarian method for the assignment problem"; in the form of shortest augmenting paths with
/// potentials (R. Jonker and A. Volgenant, 1987), steps of the cube of the side.
pub(crate) fn best_assignment(gains: &[f64], side: usize) -> Vec<usize> {
    // Rows and columns count from 1; column 0 holds the row that is being placed.
    let (mut row_price, mut column_price) = (vec![0.0; side + 1], vec![0.0; side + 1]);
    let mut row_of = vec![0; side + 1];
    for row in 1..=side {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; side + 1];
        let mut came_from = vec![0; side + 1];
        let mut is_used = vec![false; side + 1];
        while row_of[column] != 0 {
            is_used[column] = true;
            let at = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for candidate in (1..=side).filter(|&candidate| !is_used[candidate]) {
                let cost = -gains[(at - 1) * side + candidate - 1];
                let reduced = cost - row_price[at] - column_price[candidate];
                if reduced < least[candidate] {
                    (least[candidate], came_from[candidate]) = (reduced, column);
                }
                if least[candidate] < step {
                    (step, next) = (least[candidate], candidate);
                }
            }
            for other in 0..=side {
                if is_used[other] {
                    row_price[row_of[other]] += step;
                    column_price[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
        }
        // The path back moves each row on its way by one.
        while column != 0 {
            row_of[column] = row_of[came_from[column]];
            column = came_from[column];
        }
    }
    let mut column_of = vec![0; side];
    for column in 1..=side {
        column_of[row_of[column] - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest sum, by trying every order.
    fn by_trying(gains: &[f64], side: usize, row: usize, free: &mut Vec<usize>) -> f64 {
        if row == side {
            return 0.0;
        }
        let mut best = f64::NEG_INFINITY;
        for at in 0..free.len() {
            let column = free.remove(at);
            best = best.max(gains[row * side + column] + by_trying(gains, side, row + 1, free));
            free.insert(at, column);
        }
        best
    }

    #[test]
    fn no_other_order_has_a_larger_sum() {
        for side in 1..=6 {
            for seed in 0..20 {
                let gain = |i: usize| ((i * i * 31 + i * 17 * (seed + 1) + seed) % 53) as f64;
                let gains: Vec<f64> = (0..side * side).map(gain).collect();
                let found = best_assignment(&gains, side);
                let mut seen = found.clone();
                seen.sort_unstable();
                assert_eq!(seen, (0..side).collect::<Vec<_>>());
                let sum: f64 = found.iter().enumerate().map(|(row, column)| gains[row * side + column]).sum();
                assert_eq!(sum, by_trying(&gains, side, 0, &mut (0..side).collect()), "{gains:?}");
            }
        }
    }
}
