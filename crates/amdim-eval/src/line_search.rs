//! A step along a direction that satisfies the strong Wolfe conditions.

use crate::error::Result;

/// Sufficient decrease: the share of the first slope that must be gained a unit of step.
const DECREASE: f64 = 1e-4;
/// Curvature: the share of the first slope that may be left.
const CURVATURE: f64 = 0.9;
/// Evaluations in one search, at most.
const MAX_EVALUATIONS: usize = 25;

/// The objective along the direction: its value and slope after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) step: f64,
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

/// Finds a step `t` with `f(t) <= f(0) + 1e-4 t f'(0)` and `|f'(t)| <= 0.9 |f'(0)|`.
///
/// `origin` is the point of step 0 with a slope below 0, `first` the first step to try. Values that differ by
/// `slack` or less count as equal: near the optimum, differences are below the rounding of the sum, and the
/// slope, which is still accurate, decides alone. A value that is not finite counts as too large.
///
/// Returns the point, which is the last one evaluated when it satisfies both conditions and otherwise the best
/// that satisfies the first; `None` when no step does.
///
/// # Source
/// J. Nocedal and S. J. Wright, 2006, Numerical Optimization, algorithms 3.5 and 3.6.
pub(crate) fn search(
    origin: Point,
    first: f64,
    slack: f64,
    mut evaluate: impl FnMut(f64) -> Result<Point>,
) -> Result<Option<Point>> {
    let enough =
        |p: Point| p.value.is_finite() && p.value <= origin.value + DECREASE * p.step * origin.slope + slack;
    let flat = |p: Point| p.slope.abs() <= -CURVATURE * origin.slope;

    let mut previous = origin;
    let mut step = first;
    let mut evaluations = 0;
    // `low` satisfies the first condition and is the best such point; the sought step is between the two.
    let (mut low, mut high) = loop {
        if evaluations == MAX_EVALUATIONS {
            return Ok(found(previous));
        }
        let point = evaluate(step)?;
        evaluations += 1;
        if !enough(point) || (evaluations > 1 && point.value > previous.value + slack) {
            break (previous, point);
        }
        if flat(point) {
            return Ok(Some(point));
        }
        if point.slope >= 0.0 {
            break (point, previous);
        }
        step = cubic_minimum(previous, point)
            .unwrap_or(f64::INFINITY)
            .clamp(1.1 * point.step, 10.0 * point.step);
        previous = point;
    };

    while evaluations < MAX_EVALUATIONS {
        let width = (high.step - low.step).abs();
        if width <= f64::EPSILON * low.step.max(high.step) {
            break;
        }
        let (left, right) = (low.step.min(high.step), low.step.max(high.step));
        // Away from both ends, so that the interval shrinks for sure.
        let step = cubic_minimum(low, high)
            .unwrap_or(f64::midpoint(left, right))
            .clamp(left + 0.1 * width, right - 0.1 * width);
        let point = evaluate(step)?;
        evaluations += 1;
        if !enough(point) || point.value > low.value + slack {
            high = point;
            continue;
        }
        if flat(point) {
            return Ok(Some(point));
        }
        if point.slope * (high.step - low.step) >= 0.0 {
            high = low;
        }
        low = point;
    }
    Ok(found(low))
}

fn found(point: Point) -> Option<Point> {
    (point.step > 0.0).then_some(point)
}

/// Where the cubic through two values and slopes has its minimum, if it has one.
fn cubic_minimum(a: Point, b: Point) -> Option<f64> {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt().copysign(b.step - a.step);
    let step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    step.is_finite().then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: f64, f: impl Fn(f64) -> (f64, f64)) -> (Point, Point, usize) {
        let at = |step| {
            let (value, slope) = f(step);
            Point { step, value, slope }
        };
        let mut evaluations = 0;
        let end = search(at(0.0), first, 0.0, |step| {
            evaluations += 1;
            Ok(at(step))
        });
        (at(0.0), end.unwrap().expect("a step"), evaluations)
    }

    #[test]
    fn both_conditions_hold_from_far_too_short_and_too_long_steps() {
        // A valley at 3 between a steep and a shallow side; a cosine on a slope, with many valleys.
        let valley = |t: f64| ((t - 3.0).powi(2) + 0.1 * t.powi(4), 2.0 * (t - 3.0) + 0.4 * t.powi(3));
        let waves =
            |t: f64| (0.1 * (t - 20.0).powi(2) + (3.0 * t).cos(), 0.2 * (t - 20.0) - 3.0 * (3.0 * t).sin());
        for first in [1e-6, 0.1, 1.0, 50.0, 1e6] {
            for f in [&valley as &dyn Fn(f64) -> (f64, f64), &waves] {
                let (start, end, _) = run(first, f);
                assert!(end.value <= start.value + 1e-4 * end.step * start.slope, "{first}: {end:?}");
                assert!(end.slope.abs() <= 0.9 * start.slope.abs(), "{first}: {end:?}");
            }
        }
    }

    #[test]
    fn the_minimum_of_a_cubic_is_found_at_once() {
        let cubic =
            |step: f64| Point { step, value: step.powi(3) - 3.0 * step, slope: 3.0 * step.powi(2) - 3.0 };
        for (a, b) in [(0.0, 3.0), (3.0, 0.0), (0.5, 0.75)] {
            let minimum = cubic_minimum(cubic(a), cubic(b)).unwrap();
            assert!((minimum - 1.0).abs() < 1e-12, "{a} {b}: {minimum}");
        }
    }

    #[test]
    fn infinite_values_shorten_the_step() {
        let wall =
            |t: f64| if t > 1.0 { (f64::INFINITY, f64::NAN) } else { ((t - 0.9).powi(2), 2.0 * (t - 0.9)) };
        let (start, end, _) = run(1000.0, wall);
        assert!(end.value < start.value && end.step <= 1.0, "{end:?}");
    }

    #[test]
    fn a_direction_without_descent_gives_no_step() {
        // The slope at 0 promises a descent that no step brings.
        let origin = Point { step: 0.0, value: 0.0, slope: -1.0 };
        let end = search(origin, 1.0, 0.0, |step| Ok(Point { step, value: step, slope: 1.0 }));
        assert!(end.unwrap().is_none());
    }

    #[test]
    fn an_endless_descent_ends() {
        let (_, end, evaluations) = run(1.0, |t| (-t, -1.0));
        assert_eq!(evaluations, MAX_EVALUATIONS);
        assert!(end.step > 1e6);
    }
}
