//! The world of the model: what is in the database, what the nodes believe, and what is under way between them.
//!
//! Time stands still and back-off is nothing, so that a task is always due: what waits is tested elsewhere, and
//! an interleaving in which something comes later is here anyway. A state holds only what its future depends
//! on; the whole `Life` is made up again for each step.

use std::fmt;
use std::time::Duration;

use gristmill::task::invariants::{self, History, Violation};
use gristmill::task::lifecycle::Changed;
use gristmill::task::{
    Attempt, Backoff, Event, Failure, FailureReason, Holder, IllegalTransition, Json, Lease, Life, NodeId,
    Priority, State, Status, TaskId, Timestamp, WorkerName,
};
use uuid::Uuid;

use crate::checker::Model;

const NOW: Timestamp = Timestamp::from_micros(1);
const AT_ONCE: Backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO };

/// How large the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) tasks: u8,
    pub(crate) nodes: u8,
    /// How many of them, the last ones, are programs outside: they hold under a lease of the task's own, and are never
    /// known to have lived on.
    pub(crate) outside: u8,
    /// No task is started more often.
    pub(crate) attempts: u32,
    /// No node has more incarnations.
    pub(crate) incarnations: u8,
    /// Cancels, retries by hand and deletes, all together.
    pub(crate) wishes: u8,
    /// Outcomes under way at a time; a run that ends when there are so many waits.
    pub(crate) mail: usize,
    /// Of each task.
    pub(crate) max_attempts: u32,
}

/// Which rules the world keeps: all of them, or all but a planted mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    pub(crate) outcomes_of_any_attempt: bool,
    pub(crate) outcomes_in_any_status: bool,
    pub(crate) attempts_stand_still: bool,
    pub(crate) no_rescue: bool,
}

impl Rules {
    pub(crate) const SOUND: Self = Self {
        outcomes_of_any_attempt: false,
        outcomes_in_any_status: false,
        attempts_stand_still: false,
        no_rescue: false,
    };
}

/// A node's number, and which of its incarnations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Incarnation(u8, u8);

impl Incarnation {
    fn id(self) -> NodeId {
        NodeId(Uuid::from_u128(u128::from(self.0) << 8 | u128::from(self.1)))
    }

    fn of(id: NodeId) -> Self {
        let [.., node, number] = *id.0.as_bytes();
        Self(node, number)
    }
}

/// What the database knows of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Term {
    Never,
    Holds,
    /// Over, and nobody knows why.
    Over,
    /// Over, and the process is known to have lived on, or to have left in order.
    Spared,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    up: bool,
    /// Which incarnation it believes to be.
    number: u8,
    leases: Vec<Term>,
    /// What it believes to run: for each task, the attempts.
    runs: Vec<Vec<u32>>,
}

/// A task as it stands, and what its events told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    status: Status,
    holder: Option<Incarnation>,
    attempt: u32,
    failures: u32,
    crashes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Task {
    /// `None` before it is created, and after it is deleted.
    row: Option<Row>,
    history: History,
    /// Whether an outcome of the newest attempt was accepted from its worker.
    accepted: bool,
}

/// How a run says that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Hopeless,
    Interrupted,
}

/// An outcome under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    task: usize,
    attempt: u32,
    from: Incarnation,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Cancel,
    Retry,
    Delete,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    bounds: Bounds,
    rules: Rules,
    tasks: Vec<Task>,
    nodes: Vec<Node>,
    mail: Vec<Message>,
    wishes: u8,
}

/// What can happen. Nodes and tasks go by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Create {
        task: usize,
    },
    /// The dispatcher of a node claims a task for it.
    Claim {
        node: usize,
        task: usize,
    },
    /// A run ends, whoever holds the task by now, and its outcome goes on its way.
    Finish {
        node: usize,
        task: usize,
        attempt: u32,
        outcome: Outcome,
    },
    /// A run whose attempt is over stops without a word.
    Abandon {
        node: usize,
        task: usize,
        attempt: u32,
    },
    /// An outcome arrives, and may arrive again.
    Deliver {
        message: Message,
        again: bool,
    },
    /// An outcome dies with the process that had it.
    Vanish {
        message: Message,
    },
    /// A lease runs out; the node, if it lives, does not know yet and goes on.
    Expire {
        node: usize,
    },
    /// A node sees that its lease is over: drops its work and begins anew as another incarnation.
    Fence {
        node: usize,
    },
    Rescue {
        task: usize,
    },
    Crash {
        node: usize,
    },
    /// A drained node gives its lease back and goes.
    Retire {
        node: usize,
    },
    Restart {
        node: usize,
    },
    Ask {
        task: usize,
        wish: Wish,
    },
}

type Broken = (String, String);

impl World {
    pub(crate) fn first(bounds: Bounds, rules: Rules) -> Self {
        let mut leases = vec![Term::Never; usize::from(bounds.incarnations)];
        leases[0] = Term::Holds;
        let runs = vec![Vec::new(); usize::from(bounds.tasks)];
        Self {
            bounds,
            rules,
            tasks: vec![Task::default(); usize::from(bounds.tasks)],
            nodes: vec![Node { up: true, number: 0, leases, runs }; usize::from(bounds.nodes)],
            mail: Vec::new(),
            wishes: bounds.wishes,
        }
    }

    fn life(&self, task: usize) -> Option<Life> {
        let row = self.tasks[task].row.as_ref()?;
        let state = match row.status {
            Status::New => State::New { run_at: NOW },
            Status::InProgress => {
                let (holder, lease) = self.holder(row.holder.expect("a holder"));
                State::InProgress { holder, lease }
            }
            Status::Completed => State::Completed { finished_at: NOW, result: Json::null() },
            Status::Failed => State::Failed { finished_at: NOW },
            Status::Cancelled => State::Cancelled { finished_at: NOW },
        };
        let (new, _) = self.create(task);
        Some(Life {
            attempt: Attempt(row.attempt),
            failures: row.failures,
            crashes: row.crashes,
            error: Some(Failure::new(FailureReason::Error, "")),
            state,
            ..new
        })
    }

    fn create(&self, task: usize) -> Changed {
        let id = TaskId(i64::try_from(task).expect("few tasks") + 1);
        let kind = "noop".parse().expect("a kind");
        Life::create(id, kind, None, Priority::default(), self.bounds.max_attempts, NOW, NOW)
    }

    fn lease(&self, incarnation: Incarnation) -> Term {
        self.nodes[usize::from(incarnation.0)].leases[usize::from(incarnation.1)]
    }

    fn is_outside(&self, node: usize) -> bool {
        node + usize::from(self.bounds.outside) >= self.nodes.len()
    }

    /// As whom an incarnation holds a task, and under which lease of the task's own.
    fn holder(&self, incarnation: Incarnation) -> (Holder, Option<Lease>) {
        let Incarnation(node, number) = incarnation;
        if !self.is_outside(usize::from(node)) {
            return (incarnation.id().into(), None);
        }
        let name: WorkerName = format!("{node}.{number}").parse().expect("a name");
        (Holder::Worker(name), Some(Lease { span: Some(Duration::from_secs(1)), until: NOW }))
    }

    fn current(&self, node: usize) -> Incarnation {
        Incarnation(u8::try_from(node).expect("few nodes"), self.nodes[node].number)
    }

    fn runs(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        self.nodes.iter().enumerate().flat_map(|(node, of_node)| {
            of_node
                .runs
                .iter()
                .enumerate()
                .flat_map(move |(task, attempts)| attempts.iter().map(move |attempt| (node, task, *attempt)))
        })
    }

    fn can_restart(&self, node: usize) -> bool {
        self.nodes[node].number + 1 < self.bounds.incarnations
    }

    /// Writes down a change: the only way in which a task changes here, judged by the program's own rules.
    fn write(&mut self, task: usize, before: Option<&Life>, changed: Changed) -> Result<(), Broken> {
        let (after, event) = changed;
        if let Some(before) = before {
            invariants::step(before, &after, &event).map_err(broken)?;
        }
        self.hear(task, &event)?;
        self.tasks[task].row = Some(Row {
            status: after.status(),
            holder: incarnation(&after),
            attempt: after.attempt.0,
            failures: after.failures,
            crashes: after.crashes,
        });
        let told = self.tasks[task].history.status();
        if told != Some(after.status()) {
            return rule("the events tell where the task stands", format!("{told:?} for {after:?}"));
        }
        Ok(())
    }

    fn hear(&mut self, task: usize, event: &Event) -> Result<(), Broken> {
        self.tasks[task].history.hear(event).map_err(broken)
    }

    fn deliver(&mut self, message: Message) -> Result<(), Broken> {
        let Message { task, attempt, from, outcome } = message;
        let Some(before) = self.life(task) else { return Ok(()) };
        let (mut life, mut attempt) = (before.clone(), Attempt(attempt));
        if self.rules.outcomes_of_any_attempt {
            attempt = life.attempt;
        }
        if self.rules.outcomes_in_any_status && attempt == life.attempt {
            let (holder, lease) = self.holder(from);
            life.state = State::InProgress { holder, lease };
        }
        let failure = |reason| Failure::new(reason, "no luck");
        let said = match outcome {
            Outcome::Completed => life.complete(attempt, Json::null(), NOW),
            Outcome::Failed => life.fail(attempt, failure(FailureReason::Error), &AT_ONCE, NOW),
            Outcome::Hopeless => life.fail(attempt, failure(FailureReason::InvalidInput), &AT_ONCE, NOW),
            Outcome::Interrupted => life.release(attempt, NOW),
        };
        let changed = match said {
            Ok(changed) => changed,
            Err(IllegalTransition::Stale { .. }) => return Ok(()),
            Err(error) => {
                return rule("a worker is refused as stale and for nothing else", error.to_string());
            }
        };
        self.write(task, Some(&before), changed)?;
        if incarnation(&before) != Some(from) {
            return rule(
                "an accepted outcome is of the attempt's own holder",
                format!("{message:?} was accepted, and {:?} held the task", incarnation(&before)),
            );
        }
        if std::mem::replace(&mut self.tasks[task].accepted, true) {
            return rule("an attempt has one accepted outcome", format!("{message:?}"));
        }
        Ok(())
    }

    fn ask(&mut self, task: usize, wish: Wish) -> Result<(), Broken> {
        let before = self.life(task).expect("asked of what is there");
        let said = match wish {
            Wish::Cancel => before.cancel(NOW),
            Wish::Retry => before.retry(NOW),
            Wish::Delete => {
                if before.status() == Status::InProgress {
                    let cancelled = before.cancel(NOW).expect("what runs may be cancelled");
                    self.write(task, Some(&before), cancelled)?;
                }
                self.hear(task, &before.delete(NOW))?;
                self.tasks[task].row = None;
                return Ok(());
            }
        };
        said.map_or_else(
            |refused| rule("a legal wish is granted", refused.to_string()),
            |changed| self.write(task, Some(&before), changed),
        )
    }

    /// Forgets what no future depends on, so that states which differ in nothing else are one.
    fn forget(&mut self) {
        for task in &mut self.tasks {
            match &mut task.row {
                // Only a retry by hand leads on, and that begins to count anew.
                Some(row) if row.status.is_terminal() => (row.failures, row.crashes) = (0, 0),
                Some(_) => {}
                None => task.accepted = false,
            }
        }
        let held: Vec<Incarnation> = self.tasks.iter().filter_map(|task| task.row.as_ref()?.holder).collect();
        for (node, of) in (0_u8..).zip(&mut self.nodes) {
            for (number, lease) in (0..of.number).zip(&mut of.leases) {
                if !held.contains(&Incarnation(node, number)) {
                    *lease = Term::Over;
                }
            }
        }
    }

    /// A sign of life from outside counts exactly as long as the attempt is the current one, and changes nobody's hands.
    fn judge_signs_of_life(&self, task: usize, row: &Row) -> Result<(), Broken> {
        let Some(life) = self.life(task) else { return Ok(()) };
        for (node, _, attempt) in self.runs().filter(|(node, of, _)| *of == task && self.is_outside(*node)) {
            let current = row.status == Status::InProgress && row.attempt == attempt;
            let beat = life.heartbeat(Attempt(attempt), life.lease());
            if beat.as_ref().ok() != current.then_some(&life) {
                return rule(
                    "a sign of life counts while the attempt is the current one",
                    format!("{beat:?} from {:?} for {row:?}", self.current(node)),
                );
            }
        }
        Ok(())
    }

    /// What must hold of the world as a whole.
    fn judge(&self) -> Result<(), Broken> {
        for (task, row) in
            self.tasks.iter().enumerate().filter_map(|(task, of)| Some((task, of.row.as_ref()?)))
        {
            self.judge_signs_of_life(task, row)?;
            let speakers: Vec<Incarnation> = self
                .runs()
                .filter(|(_, of, attempt)| {
                    *of == task && row.status == Status::InProgress && *attempt == row.attempt
                })
                .map(|(node, ..)| self.current(node))
                .collect();
            if speakers.len() > 1 || speakers.iter().any(|speaker| row.holder != Some(*speaker)) {
                return rule(
                    "only its holder runs the current attempt",
                    format!("{speakers:?} run task {task}, which is {row:?}"),
                );
            }
        }
        Ok(())
    }
}

/// Who holds it.
fn incarnation(life: &Life) -> Option<Incarnation> {
    match life.holder()? {
        Holder::Node(node) => Some(Incarnation::of(*node)),
        Holder::Worker(name) => {
            let (node, number) = name.as_str().split_once('.').expect("a name of ours");
            Some(Incarnation(node.parse().expect("a node"), number.parse().expect("which")))
        }
        Holder::Person => None,
    }
}

fn rule(rule: &str, story: String) -> Result<(), Broken> {
    Err((rule.to_owned(), story))
}

fn broken(violation: Violation) -> Broken {
    (violation.rule.to_owned(), violation.story)
}

impl Model for World {
    type Step = Step;

    const NEVER_STUCK: &'static str = "no task is stuck while a node lives";

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (task, of) in self.tasks.iter().enumerate() {
            let Some(row) = &of.row else {
                if of.history == History::default() {
                    steps.push(Step::Create { task });
                }
                continue;
            };
            match row.status {
                Status::New if row.attempt < self.bounds.attempts => {
                    steps.extend((0..self.nodes.len()).map(|node| Step::Claim { node, task }).filter(
                        |step| {
                            let Step::Claim { node, .. } = step else { return false };
                            self.nodes[*node].up && self.lease(self.current(*node)) == Term::Holds
                        },
                    ));
                }
                Status::InProgress => {
                    let lease = row.holder.map(|holder| self.lease(holder));
                    if lease != Some(Term::Holds) && !self.rules.no_rescue {
                        steps.push(Step::Rescue { task });
                    }
                }
                Status::New | Status::Completed | Status::Failed | Status::Cancelled => {}
            }
            if self.wishes > 0 {
                steps.push(Step::Ask { task, wish: Wish::Delete });
                match row.status {
                    Status::New | Status::InProgress => steps.push(Step::Ask { task, wish: Wish::Cancel }),
                    Status::Failed | Status::Cancelled => steps.push(Step::Ask { task, wish: Wish::Retry }),
                    Status::Completed => {}
                }
            }
        }
        for (node, task, attempt) in self.runs() {
            use Outcome::{Completed, Failed, Hopeless, Interrupted};
            let room = self.mail.len() < self.bounds.mail;
            for outcome in [Completed, Failed, Hopeless, Interrupted].into_iter().filter(|_| room) {
                steps.push(Step::Finish { node, task, attempt, outcome });
            }
            let row = self.tasks[task].row.as_ref();
            if row.is_none_or(|row| row.status != Status::InProgress || row.attempt != attempt) {
                steps.push(Step::Abandon { node, task, attempt });
            }
        }
        for &message in &self.mail {
            steps.push(Step::Deliver { message, again: false });
            steps.push(Step::Deliver { message, again: true });
            let sender = &self.nodes[usize::from(message.from.0)];
            if !sender.up || sender.number != message.from.1 {
                steps.push(Step::Vanish { message });
            }
        }
        for (node, of) in self.nodes.iter().enumerate() {
            let lease = self.lease(self.current(node));
            if lease == Term::Holds {
                steps.push(Step::Expire { node });
            }
            if of.up {
                steps.push(Step::Crash { node });
                if lease == Term::Holds && !self.is_outside(node) {
                    steps.push(Step::Retire { node });
                } else if lease != Term::Holds && self.can_restart(node) {
                    steps.push(Step::Fence { node });
                }
            } else if self.can_restart(node) {
                steps.push(Step::Restart { node });
            }
        }
        steps
    }

    fn after(&self, step: &Step) -> Result<Self, Broken> {
        let mut world = self.clone();
        match step {
            Step::Create { task } => {
                let created = world.create(*task);
                world.write(*task, None, created)?;
            }
            Step::Claim { node, task } => {
                let before = world.life(*task).expect("claimed what is there");
                let (holder, lease) = world.holder(world.current(*node));
                let mut started = match before.hand_over(holder, None, lease, NOW) {
                    Ok(started) => started,
                    Err(refused) => {
                        return Err(("what is due can be started".into(), refused.to_string()));
                    }
                };
                if world.rules.attempts_stand_still && before.attempt > Attempt::NONE {
                    started.0.attempt = before.attempt;
                    started.1.attempt = before.attempt;
                }
                let attempt = started.0.attempt.0;
                world.write(*task, Some(&before), started)?;
                world.tasks[*task].accepted = false;
                world.nodes[*node].runs[*task].push(attempt);
            }
            Step::Finish { node, task, attempt, outcome } => {
                let from = world.current(*node);
                world.nodes[*node].runs[*task].retain(|running| running != attempt);
                world.mail.push(Message { task: *task, attempt: *attempt, from, outcome: *outcome });
                world.mail.sort_unstable();
            }
            Step::Abandon { node, task, attempt } => {
                world.nodes[*node].runs[*task].retain(|running| running != attempt);
            }
            Step::Deliver { message, again } => {
                if !again {
                    world.mail.retain(|other| other != message);
                }
                world.deliver(*message)?;
            }
            Step::Vanish { message } => world.mail.retain(|other| other != message),
            Step::Expire { node } => world.end_lease(*node, Term::Over),
            Step::Fence { node } => {
                if !world.is_outside(*node) {
                    world.end_lease(*node, Term::Spared);
                }
                world.begin(*node);
            }
            Step::Rescue { task } => {
                let before = world.life(*task).expect("rescued what is there");
                let spared = incarnation(&before).map(|holder| world.lease(holder));
                let said = if spared == Some(Term::Spared) {
                    before.release(before.attempt, NOW)
                } else {
                    before.lose(before.attempt, NOW)
                };
                match said {
                    Ok(changed) => world.write(*task, Some(&before), changed)?,
                    Err(refused) => return Err(("what is lost can be freed".into(), refused.to_string())),
                }
            }
            Step::Crash { node } => {
                world.nodes[*node].up = false;
                world.nodes[*node].runs.iter_mut().for_each(Vec::clear);
            }
            Step::Retire { node } => {
                world.end_lease(*node, Term::Spared);
                world.nodes[*node].up = false;
                world.nodes[*node].runs.iter_mut().for_each(Vec::clear);
            }
            Step::Restart { node } => {
                if world.lease(world.current(*node)) == Term::Holds {
                    world.end_lease(*node, Term::Over);
                }
                world.begin(*node);
            }
            Step::Ask { task, wish } => {
                world.wishes -= 1;
                world.ask(*task, *wish)?;
            }
        }
        world.judge()?;
        world.forget();
        Ok(world)
    }

    fn is_benign(&self, step: &Step) -> bool {
        match step {
            Step::Claim { .. } | Step::Fence { .. } | Step::Rescue { .. } | Step::Restart { .. } => true,
            Step::Finish { outcome, .. } => *outcome == Outcome::Completed,
            Step::Deliver { again, .. } => !again,
            // A lease runs out when nobody renews it, and then for certain.
            Step::Expire { node } => !self.nodes[*node].up,
            Step::Create { .. }
            | Step::Abandon { .. }
            | Step::Vanish { .. }
            | Step::Crash { .. }
            | Step::Retire { .. }
            | Step::Ask { .. } => false,
        }
    }

    fn must_end(&self) -> Vec<Option<bool>> {
        let lives = |node: usize| self.nodes[node].up && self.lease(self.current(node)) == Term::Holds;
        let somebody_lives = (0..self.nodes.len()).any(lives);
        let ended = |row: &Row| {
            // At the bound, what comes next is out of the model's sight.
            let out_of_sight = row.status == Status::New && row.attempt == self.bounds.attempts;
            row.status.is_terminal() || out_of_sight
        };
        self.tasks
            .iter()
            .map(|task| task.row.as_ref().filter(|row| somebody_lives || ended(row)).map(ended))
            .collect()
    }
}

impl World {
    fn end_lease(&mut self, node: usize, how: Term) {
        let node = &mut self.nodes[node];
        node.leases[usize::from(node.number)] = how;
    }

    /// A new incarnation, with nothing to do and a fresh lease.
    fn begin(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.up = true;
        node.number += 1;
        node.leases[usize::from(node.number)] = Term::Holds;
        node.runs.iter_mut().for_each(Vec::clear);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tasks {:?}, nodes {:?}, under way {:?}", self.tasks, self.nodes, self.mail)
    }
}
