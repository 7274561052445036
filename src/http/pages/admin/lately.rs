//! The last hour as charts: how much was done, how long it waited and how long it took, minute by minute.
//!
//! Pure: the history and the time in, charts out.

use crate::http::pages::chart::{Chart, Ink, Picture, Series, Shape};
use crate::http::pages::words::admin::LatelyWords;
use crate::media::report::Language;
use crate::store::{Minute, MinuteCounts, Spread, minute_of};
use crate::task::{Kind, Timestamp};

/// How many minutes are shown.
pub(super) const MINUTES: usize = 60;

/// What is done with long and short durations: the unit in which they are written, and how many seconds it has.
struct Unit {
    name: &'static str,
    seconds: f64,
}

/// What happened in each of the last minutes, the oldest first; of one kind, or of all.
pub(super) fn minutes(history: &[Minute], kind: Option<&Kind>, now: Timestamp) -> Vec<MinuteCounts> {
    let newest = minute_of(now);
    let mut minutes = vec![MinuteCounts::default(); MINUTES];
    for minute in history.iter().filter(|minute| kind.is_none_or(|kind| *kind == minute.kind)) {
        let age = usize::try_from(newest - minute_of(minute.from)).ok();
        let place = age.and_then(|age| (MINUTES - 1).checked_sub(age));
        if let Some(counts) = place.and_then(|place| minutes.get_mut(place)) {
            counts.merge(&minute.counts);
        }
    }
    minutes
}

/// Whether anything happened at all.
pub(super) fn is_idle(minutes: &[MinuteCounts]) -> bool {
    minutes.iter().all(|minute| *minute == MinuteCounts::default())
}

/// How much was done in each minute.
pub(super) fn throughput(id: &str, title: &str, minutes: &[MinuteCounts], language: Language) -> Picture {
    let w = LatelyWords::of(language);
    let series = |name: &str, ink: Ink, of: fn(&MinuteCounts) -> u64| Series {
        name: name.to_owned(),
        ink,
        values: minutes.iter().map(|minute| Some(of(minute) as f64)).collect(),
    };
    let chart = Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: w.per_minute.to_owned(),
        shape: Shape::Bars,
        series: vec![
            series(w.completed, Ink::Good, |minute| minute.completed),
            series(w.failed, Ink::Bad, |minute| minute.failed),
            series(w.cancelled, Ink::Stopped, |minute| minute.cancelled),
        ],
        minutes: 1,
    };
    chart.drawn(language)
}

/// How long something took in each minute: half of them at most so long, and nearly all.
pub(super) fn durations(
    id: &str,
    title: &str,
    minutes: &[MinuteCounts],
    of: fn(&MinuteCounts) -> &Spread,
    language: Language,
) -> Picture {
    let w = LatelyWords::of(language);
    let quantiles = |part: f64| minutes.iter().map(|minute| of(minute).quantile(part)).collect::<Vec<_>>();
    let (half, most) = (quantiles(0.5), quantiles(0.95));
    let unit = unit(w, most.iter().flatten().copied().fold(0.0, f64::max));
    let series = |name: &str, ink: Ink, values: Vec<Option<f64>>| Series {
        name: name.to_owned(),
        ink,
        values: values.into_iter().map(|value| value.map(|seconds| seconds / unit.seconds)).collect(),
    };
    let chart = Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.name.to_owned(),
        shape: Shape::Lines,
        series: vec![series(w.half, Ink::Main, half), series(w.most, Ink::Dashed, most)],
        minutes: 1,
    };
    chart.drawn(language)
}

/// The unit in which so many seconds, and less, are well written.
fn unit(w: &LatelyWords, most: f64) -> Unit {
    if most < 1.0 {
        Unit { name: w.milliseconds, seconds: 0.001 }
    } else if most < 180.0 {
        Unit { name: w.seconds, seconds: 1.0 }
    } else {
        Unit { name: w.minutes, seconds: 60.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use askama::Template as _;

    use super::*;
    use crate::store::start_of;

    fn minute(kind: &str, number: i64, completed: u64, took_ms: &[u64]) -> Minute {
        let mut counts = MinuteCounts { completed, ..MinuteCounts::default() };
        took_ms.iter().for_each(|took| counts.runs.add(Duration::from_millis(*took)));
        Minute { kind: kind.parse().unwrap(), from: start_of(number), counts }
    }

    #[test]
    fn minutes_are_in_their_places_and_older_ones_in_none() {
        let now = start_of(1_000).after(Duration::from_secs(30));
        let history = [
            minute("noop", 1_000, 1, &[]),
            minute("image", 1_000, 2, &[]),
            minute("noop", 941, 4, &[]),
            minute("noop", 940, 8, &[]),
            minute("noop", 1_001, 16, &[]),
        ];
        let of =
            |minutes: Vec<MinuteCounts>| minutes.iter().map(|minute| minute.completed).collect::<Vec<_>>();
        let all = of(minutes(&history, None, now));
        assert_eq!((all.len(), all[0], all[59], all.iter().sum::<u64>()), (60, 4, 3, 7));
        let image = of(minutes(&history, Some(&"image".parse().unwrap()), now));
        assert_eq!((image[59], image.iter().sum::<u64>()), (2, 2));
        assert!(is_idle(&minutes(&[], None, now)) && !is_idle(&minutes(&history, None, now)));
    }

    #[test]
    fn durations_are_written_in_a_unit_that_suits_them() {
        let now = start_of(1_000);
        for (took_ms, unit) in [(20, "ms"), (2_000, "s"), (600_000, "min")] {
            let minutes = minutes(&[minute("noop", 1_000, 1, &[took_ms])], None, now);
            let html = durations("c", "T", &minutes, |minute| &minute.runs, Language::En).render().unwrap();
            assert!(html.contains(&format!("<span class=\"dim\">{unit}</span>")), "{html}");
        }
    }
}
