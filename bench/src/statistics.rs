//! Medians and how far the values lie apart.

use serde::Serialize;

/// The spread of the values of one measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// A quarter is below it.
    pub lower: f64,
    /// Half of them are below it.
    pub median: f64,
    /// A quarter is above it.
    pub upper: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of values; 0 without any.
    pub fn of(values: &[f64]) -> Self {
        let at = |share| percentile(values, share);
        Self { min: at(0.0), lower: at(0.25), median: at(0.5), upper: at(0.75), max: at(1.0) }
    }
}

/// Returns a percentile of values, interpolated between two of them; 0 without any.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(percentile(&[5.0, 1.0, 3.0], 0.5), 3.0);
    }

    #[test]
    fn the_ends_are_the_smallest_and_the_largest() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.99, 1.0].map(|share| percentile(&values, share)), [0.0, 99.0, 100.0]);
    }

    #[test]
    fn one_value_has_no_spread_and_none_is_nothing() {
        let one = Spread { min: 7.0, lower: 7.0, median: 7.0, upper: 7.0, max: 7.0 };
        assert_eq!(Spread::of(&[7.0]), one);
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn a_quarter_lies_beyond_either_quartile() {
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert_eq!((spread.lower, spread.upper), (2.0, 4.0));
    }
}
