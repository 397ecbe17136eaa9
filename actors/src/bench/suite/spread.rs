//! Several measurements of the same: their median with the least and the most.

use serde::Serialize;

/// The median of some figures, the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` without any figure.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            min,
            max,
        })
    }

    /// How the medians compare, the first by the second.
    pub(super) fn ratio(above: Option<Self>, below: Option<Self>) -> Option<f64> {
        let (above, below) = (above?.median, below?.median);
        (below > 0.0).then(|| above / below)
    }

    pub(super) fn text(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        if min == max {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_with_the_least_and_the_most() {
        let of = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0]).unwrap().text(0), "2 (1–3)");
        assert_eq!(of(&[4.0, 1.0]).unwrap().text(1), "2.5 (1.0–4.0)");
        assert_eq!(of(&[4.0]).unwrap().text(1), "4.0");
        assert_eq!(of(&[]), None);
    }
}
