//! Axes: from where to where, and what is written beside them. A value axis always has zero on it, so that lengths compare
//! as the values do.

use chrono::{Days, NaiveDate};

use super::figure::Unit;

/// An axis of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    /// The values that are written beside it, from the least; the first and the last are its ends.
    pub(super) ticks: Vec<f64>,
}

/// How many steps there are at most from one end to the other.
const STEPS: f64 = 4.0;

impl Values {
    /// One that has room for zero and for all of `values`.
    pub(super) fn over(values: impl Iterator<Item = f64>, unit: Unit) -> Self {
        let (mut least, mut most) = (0f64, 0f64);
        for value in values {
            least = least.min(value);
            most = most.max(value);
        }
        let step = step(most - least, unit);
        let (first, last) = ((least / step).floor(), (most / step).ceil());
        let last = if first == last { first + 1.0 } else { last };
        let count = (last - first) as usize;
        Self { ticks: (0..=count).map(|index| (first + index as f64) * step).collect() }
    }

    /// Where a value lies between the ends: 0 at the lower, 1 at the upper.
    pub(super) fn place(&self, value: f64) -> f32 {
        let (Some(first), Some(last)) = (self.ticks.first(), self.ticks.last()) else { return 0.0 };
        ((value - first) / (last - first)).clamp(0.0, 1.0) as f32
    }
}

/// A step that people count in, so that at most [`STEPS`] of them make up the range, more or less.
fn step(range: f64, unit: Unit) -> f64 {
    const SPANS: [f64; 12] =
        [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];
    let least = range / STEPS;
    if unit == Unit::Seconds {
        if let Some(span) = SPANS.into_iter().find(|span| *span >= least) {
            return span;
        }
        return 86_400.0 * decimal(least / 86_400.0);
    }
    decimal(least)
}

/// 1, 2 or 5 times a power of ten, not below `least`, and not below 1, since everything that is counted is whole.
fn decimal(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1.0).log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least);
    found.unwrap_or(10.0 * power).max(1.0)
}

/// Which of so many days are written below an axis: the first, the last, and as many between as there is room for.
pub(super) fn dates(first: NaiveDate, last: NaiveDate, room: usize) -> Vec<NaiveDate> {
    let days = u64::try_from((last - first).num_days()).unwrap_or(0);
    if days == 0 {
        return vec![first];
    }
    let gaps = (room.max(2) as u64 - 1).min(days);
    (0..=gaps).filter_map(|index| first.checked_add_days(Days::new(days * index / gaps))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_zero_on_it_and_steps_that_people_count_in() {
        let ticks = |values: &[f64], unit| Values::over(values.iter().copied(), unit).ticks;
        assert_eq!(ticks(&[3.0, 17.0], Unit::Things), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(ticks(&[-4.0, 7.0], Unit::Things), [-5.0, 0.0, 5.0, 10.0]);
        assert_eq!(ticks(&[], Unit::Things), [0.0, 1.0]);
        assert_eq!(ticks(&[0.0], Unit::Seconds), [0.0, 1.0]);
        assert_eq!(ticks(&[1.0], Unit::Things), [0.0, 1.0]);
        assert_eq!(ticks(&[5000.0], Unit::Seconds), [0.0, 1800.0, 3600.0, 5400.0]);
        assert_eq!(ticks(&[-9.3], Unit::Bytes), [-10.0, -5.0, 0.0]);
    }

    #[test]
    fn an_axis_bears_the_ends_of_what_can_be_counted() {
        let axis = Values::over([i64::MIN as f64, i64::MAX as f64].into_iter(), Unit::Seconds);
        assert!(axis.ticks.len() <= 8 && axis.ticks.iter().all(|tick| tick.is_finite()), "{axis:?}");
        assert!(axis.place(i64::MIN as f64) < 0.3 && axis.place(i64::MAX as f64) > 0.7, "{axis:?}");
    }

    #[test]
    fn dates_are_spread_from_the_first_to_the_last() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 7, day).unwrap();
        assert_eq!(dates(day(1), day(1), 5), [day(1)]);
        assert_eq!(dates(day(1), day(2), 5), [day(1), day(2)]);
        assert_eq!(dates(day(1), day(31), 3), [day(1), day(16), day(31)]);
    }
}
