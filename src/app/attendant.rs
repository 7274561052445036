//! Speaks for the daemon to systemd: that it is ready, what it does, and for as long as it does it, that it lives.
//!
//! Begun by `gristmill serve` before the daemon is started, and given the daemon once it is. What is true: ready is said
//! when the health board says so for the first time; a status is told when it changes; the watchdog is fed after a look at
//! actors and database that was answered in time, and during a drain because that ends by itself. All of this is a task of
//! the runtime on which the daemon works: one that stands still feeds nothing.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::App;
use super::pulse::Pulse;
use crate::actors::runs::Runs;
use crate::telemetry::health::{Health, HealthSnapshot, Phase};
use crate::telemetry::systemd;

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// While the database is brought up to date, or waited for, the start is lengthened so often, by so much, and for so long
/// at most: what takes longer does not come to an end.
const LENGTHEN: Duration = Duration::from_secs(10);
const BY: Duration = Duration::from_secs(60);
const LONGEST_START: Duration = Duration::from_secs(30 * 60);

/// What a drain takes beyond its grace: the least shares of its parts, and the pools.
const BEYOND_THE_GRACE: Duration = Duration::from_secs(15);

/// So many looks are begun in the time after which systemd gives up on us; each takes less than half of it.
const LOOKS: u32 = 4;

/// The attendant of a daemon that is being started.
pub struct Starting {
    _task: AbortOnDropHandle<()>,
}

impl Starting {
    /// Says that it starts, and that it takes its time.
    #[must_use]
    pub fn begin() -> Self {
        systemd::status("starting: opening the database");
        let begun = Instant::now();
        let task = tokio::spawn(async move {
            let mut ticks = interval(LENGTHEN);
            while begun.elapsed() < LONGEST_START {
                ticks.tick().await;
                systemd::extend(BY);
            }
        });
        Self { _task: AbortOnDropHandle::new(task) }
    }

    /// Goes on with the daemon that has been started.
    #[must_use]
    pub fn attend(self, app: &App) -> Attendant {
        let (leave, leaving) = watch::channel(false);
        let (health, runs) = (app.health.clone(), app.runs.clone());
        let voice = AbortOnDropHandle::new(tokio::spawn(speak(health.clone(), runs, leaving)));
        let feeder = systemd::watchdog().map(|period| {
            let patience = app.pulse.settings.database.statement_timeout;
            if period / 2 < patience {
                tracing::warn!(
                    ?period, ?patience,
                    "a database that takes as long as `database.statement_timeout_s` lets it may have systemd kill the daemon: raise WatchdogSec"
                );
            }
            AbortOnDropHandle::new(tokio::spawn(feed(app.pulse.clone(), health, period)))
        });
        Attendant { grace: app.grace, leave, _voice: voice, _feeder: feeder }
    }
}

/// The attendant of a running daemon; with it, all that is said ends.
pub struct Attendant {
    grace: Duration,
    leave: watch::Sender<bool>,
    _voice: AbortOnDropHandle<()>,
    _feeder: Option<AbortOnDropHandle<()>>,
}

impl Attendant {
    /// Says that the daemon is about to be drained, and how long that may take.
    pub fn leaves(&self) {
        self.leave.send_replace(true);
        systemd::stopping(self.grace + BEYOND_THE_GRACE);
    }

    /// Does what a reload does, between its begin and its end.
    pub fn reload(&self, work: impl FnOnce()) {
        systemd::reloading();
        work();
        systemd::ready();
    }
}

/// Says that the daemon is ready, once it is, and what it does.
async fn speak(health: Health, runs: Runs, leaving: watch::Receiver<bool>) {
    let (mut ready, mut told) = (false, String::new());
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let board = health.snapshot();
        let status = status(&board, runs.count());
        if status != told {
            systemd::status(&status);
            told = status;
        }
        // Ready after the status: whoever waited for the start sees both.
        if !ready && board.ready && !*leaving.borrow() {
            systemd::ready();
            ready = true;
        }
    }
}

/// One line for people.
fn status(board: &HealthSnapshot, runs: usize) -> String {
    let tasks = match runs {
        0 => "no task running".to_owned(),
        1 => "1 task running".to_owned(),
        _ => format!("{runs} tasks running"),
    };
    let state = match (board.phase, board.ready, board.degraded) {
        (Phase::Starting, _, _) => "starting",
        (Phase::Draining, _, _) => "draining",
        (Phase::Ready, true, false) => "ready",
        (Phase::Ready, true, true) => "degraded",
        (Phase::Ready, false, _) => "not ready",
    };
    let unwell = board.components.iter().filter_map(|(name, component)| {
        component.state.trouble().map(|(_, why)| format!("{name} is {}: {why}", component.state.as_str()))
    });
    [format!("{state}, {tasks}")].into_iter().chain(unwell).collect::<Vec<_>>().join("; ")
}

/// Feeds the watchdog for as long as the looks are answered.
async fn feed(pulse: Pulse, health: Health, period: Duration) {
    let mut ticks = interval(period / LOOKS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A drain takes down, one after the other, whoever would be asked. Its own time is bounded.
        if health.phase() == Phase::Draining {
            systemd::alive();
            continue;
        }
        match pulse.look(period / 4).await {
            Ok(()) => systemd::alive(),
            Err(_) if health.phase() == Phase::Draining => systemd::alive(),
            Err(silence) => tracing::error!(
                %silence, ?period,
                "the watchdog is not fed: unless this ends, systemd kills this process and starts another"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::telemetry::health::Importance;

    #[test]
    fn the_status_is_a_line_that_says_what_is_not_well() {
        let health = Health::new();
        health.register("database", Importance::Required);
        health.register("broker", Importance::Optional);
        assert_eq!(status(&health.snapshot(), 0), "starting, no task running");
        health.up("database");
        health.up("broker");
        health.set_phase(Phase::Ready);
        assert_eq!(status(&health.snapshot(), 1), "ready, 1 task running");
        let at = DateTime::from_timestamp(0, 0).unwrap();
        health.down("broker", at, "connection refused");
        assert_eq!(
            status(&health.snapshot(), 2),
            "degraded, 2 tasks running; broker is down: connection refused"
        );
        health.restarting("database", at, 1, "lost");
        assert_eq!(
            status(&health.snapshot(), 2),
            "not ready, 2 tasks running; broker is down: connection refused; database is restarting: lost"
        );
        health.set_phase(Phase::Draining);
        assert!(status(&health.snapshot(), 3).starts_with("draining, 3 tasks running; "));
    }
}
