//! Breadth first over all states that a model reaches, with the way back to the start for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;

/// What can be checked.
pub(crate) trait Model: Clone + Eq + Hash + fmt::Debug {
    type Step: Clone + fmt::Debug;

    /// Everything that can happen here.
    fn steps(&self) -> Vec<Self::Step>;
    /// The state after `step`; `Err` with the rule that it breaks, and the story.
    fn after(&self, step: &Self::Step) -> Result<Self, (String, String)>;
    /// Whether nothing hinders `step` in a world where nothing further goes wrong.
    fn is_benign(&self, step: &Self::Step) -> bool;
    /// For each thing that must not be stuck: whether it has come to its end, `None` when it need not.
    fn must_end(&self) -> Vec<Option<bool>>;
    /// The rule that says so.
    const NEVER_STUCK: &'static str;
}

/// What came of a check.
pub(crate) struct Checked<M: Model> {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) counterexample: Option<Counterexample<M>>,
}

/// The shortest way to where a rule is broken.
pub(crate) struct Counterexample<M: Model> {
    pub(crate) rule: String,
    pub(crate) story: String,
    pub(crate) steps: Vec<M::Step>,
}

impl<M: Model> fmt::Display for Counterexample<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken: {}", self.rule)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:2}. {step:?}", number + 1)?;
        }
        write!(f, "  {}", self.story)
    }
}

/// A state's place in the order of discovery, the one it was found from, and by what.
struct Seen<M: Model> {
    state: M,
    from: usize,
    by: Option<M::Step>,
}

/// Walks everything that can be reached from `first`; then asks of each state whether what must end can.
pub(crate) fn check<M: Model>(first: M) -> Checked<M> {
    let mut seen = vec![Seen { state: first.clone(), from: 0, by: None }];
    let mut numbers = HashMap::from([(first, 0)]);
    // For each state: where the benign steps lead from.
    let mut benign_from: Vec<Vec<usize>> = vec![Vec::new()];
    let (mut next, mut steps) = (0, 0);
    while next < seen.len() {
        let state = seen[next].state.clone();
        for step in state.steps() {
            steps += 1;
            let benign = state.is_benign(&step);
            let after = match state.after(&step) {
                Ok(after) => after,
                Err((rule, story)) => {
                    let mut steps_there = way(&seen, next);
                    steps_there.push(step);
                    let counterexample = Some(Counterexample { rule, story, steps: steps_there });
                    return Checked { states: seen.len(), steps, counterexample };
                }
            };
            let number = match numbers.entry(after) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let number = seen.len();
                    seen.push(Seen { state: new.key().clone(), from: next, by: Some(step) });
                    benign_from.push(Vec::new());
                    new.insert(number);
                    number
                }
            };
            if benign && number != next {
                benign_from[number].push(next);
            }
        }
        next += 1;
    }
    let counterexample = stuck(&seen, &benign_from).map(|number| Counterexample {
        rule: M::NEVER_STUCK.to_owned(),
        story: format!("and no way on from {:?}", seen[number].state),
        steps: way(&seen, number),
    });
    Checked { states: seen.len(), steps, counterexample }
}

/// The first state from which no way leads to the end of something that must end: found backwards from the ends.
fn stuck<M: Model>(seen: &[Seen<M>], benign_from: &[Vec<usize>]) -> Option<usize> {
    let things: Vec<Vec<Option<bool>>> = seen.iter().map(|seen| seen.state.must_end()).collect();
    let count = things.first().map_or(0, Vec::len);
    (0..count)
        .filter_map(|thing| {
            let mut can_end: Vec<bool> = things.iter().map(|ends| ends[thing] == Some(true)).collect();
            let mut open: Vec<usize> = (0..seen.len()).filter(|number| can_end[*number]).collect();
            while let Some(number) = open.pop() {
                for &from in &benign_from[number] {
                    if !can_end[from] {
                        can_end[from] = true;
                        open.push(from);
                    }
                }
            }
            (0..seen.len()).find(|&number| things[number][thing].is_some() && !can_end[number])
        })
        .min()
}

/// The steps from the start to a state.
fn way<M: Model>(seen: &[Seen<M>], mut number: usize) -> Vec<M::Step> {
    let mut steps = Vec::new();
    while let Some(step) = &seen[number].by {
        steps.push(step.clone());
        number = seen[number].from;
    }
    steps.reverse();
    steps
}
