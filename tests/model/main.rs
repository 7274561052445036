//! A model check of the engine: every interleaving of a small world, within bounds.
//!
//! The world (`world.rs`) has a database with tasks and leases, nodes that die and come back, and outcomes under
//! way that arrive late, twice or never. What a task becomes is decided by the program's own
//! `task::lifecycle`, and every change is judged by its own `task::invariants`; the model adds only who says
//! what when. The checker (`checker.rs`) walks breadth first, so a counterexample is a shortest one.
//!
//! `a_planted_mistake_is_found` plants mistakes in the world's rules and expects to be shown them: without it, a
//! checker that finds nothing might as well look at nothing.

mod checker;
mod world;

use std::time::Instant;

use checker::{Checked, check};
use world::{Bounds, Rules, World};

#[expect(clippy::print_stdout, reason = "how much was looked at is worth seeing")]
fn explore(name: &str, bounds: Bounds, rules: Rules) -> Checked<World> {
    let began = Instant::now();
    let checked = check(World::first(bounds, rules));
    let (states, steps) = (checked.states, checked.steps);
    println!("{name}: {states} states, {steps} steps, {:.1} s", began.elapsed().as_secs_f64());
    checked
}

fn holds(name: &str, bounds: Bounds) {
    let checked = explore(name, bounds, Rules::SOUND);
    if let Some(counterexample) = checked.counterexample {
        panic!("{name}: {counterexample}");
    }
}

#[test]
fn one_task_on_two_nodes_keeps_every_rule() {
    holds(
        "one task, two nodes, three attempts",
        Bounds {
            tasks: 1,
            nodes: 2,
            outside: 0,
            attempts: 3,
            incarnations: 2,
            mail: 1,
            wishes: 1,
            max_attempts: 2,
        },
    );
}

#[test]
fn outcomes_that_overtake_each_other_keep_every_rule() {
    holds(
        "one task, two nodes, two outcomes under way",
        Bounds {
            tasks: 1,
            nodes: 2,
            outside: 0,
            attempts: 2,
            incarnations: 2,
            mail: 2,
            wishes: 1,
            max_attempts: 2,
        },
    );
}

#[test]
fn a_task_whose_workers_die_again_and_again_keeps_every_rule() {
    holds(
        "one task, a node that dies three times",
        Bounds {
            tasks: 1,
            nodes: 1,
            outside: 0,
            attempts: 4,
            incarnations: 4,
            mail: 1,
            wishes: 1,
            max_attempts: 3,
        },
    );
}

#[test]
fn two_tasks_on_two_nodes_keep_every_rule() {
    holds(
        "two tasks, two nodes",
        Bounds {
            tasks: 2,
            nodes: 2,
            outside: 0,
            attempts: 2,
            incarnations: 1,
            mail: 1,
            wishes: 0,
            max_attempts: 2,
        },
    );
}

#[test]
fn a_node_and_a_program_outside_that_fall_silent_keep_every_rule() {
    holds(
        "one task, a node and a program outside",
        Bounds {
            tasks: 1,
            nodes: 2,
            outside: 1,
            attempts: 3,
            incarnations: 2,
            mail: 1,
            wishes: 1,
            max_attempts: 2,
        },
    );
}

#[test]
fn programs_outside_whose_words_overtake_each_other_keep_every_rule() {
    holds(
        "one task, two programs outside",
        Bounds {
            tasks: 1,
            nodes: 2,
            outside: 2,
            attempts: 2,
            incarnations: 2,
            mail: 2,
            wishes: 1,
            max_attempts: 2,
        },
    );
}

#[test]
fn two_tasks_that_their_owners_meddle_with_keep_every_rule() {
    holds(
        "two tasks, one node, two wishes",
        Bounds {
            tasks: 2,
            nodes: 1,
            outside: 0,
            attempts: 1,
            incarnations: 2,
            mail: 2,
            wishes: 2,
            max_attempts: 2,
        },
    );
}

#[test]
fn a_planted_mistake_is_found() {
    let bounds = Bounds {
        tasks: 1,
        nodes: 2,
        outside: 0,
        attempts: 2,
        incarnations: 2,
        mail: 2,
        wishes: 1,
        max_attempts: 2,
    };
    let found = |name: &str, rules: Rules| {
        let checked = explore(name, bounds, rules);
        let Some(counterexample) = checked.counterexample else { panic!("{name} was not found") };
        println!("{counterexample}");
        counterexample.rule
    };
    assert_eq!(
        found("outcomes taken from any attempt", Rules { outcomes_of_any_attempt: true, ..Rules::SOUND }),
        "an accepted outcome is of the attempt's own holder"
    );
    assert_eq!(
        found("outcomes taken in any status", Rules { outcomes_in_any_status: true, ..Rules::SOUND }),
        "an attempt has one outcome"
    );
    assert_eq!(
        found("attempts that do not rise", Rules { attempts_stand_still: true, ..Rules::SOUND }),
        "each start is the next attempt"
    );
    assert_eq!(
        found("dead nodes' tasks not freed", Rules { no_rescue: true, ..Rules::SOUND }),
        "no task is stuck while a node lives"
    );
}
