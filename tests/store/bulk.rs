//! Many tasks at once: which are selected, and what becomes of each.

use std::time::Duration;

use gristmill::account::Caller;
use gristmill::store::{Bulk, BulkAct, Command, NewTask, Reply, Selection, TaskFilter};
use gristmill::task::{Status, Task, TaskId};

use crate::bench::{Bench, done, failed, ids, keyed, manual, new_task, once, urgent};

on_both!(
    a_selection_is_of_ones_own_tasks_by_number_a_part_at_a_time,
    each_task_is_judged_by_itself_and_the_count_goes_on,
    of_tasks_with_one_unique_key_one_lives_again,
    what_runs_is_stopped_before_it_is_removed,
    a_key_remembers_what_was_done_in_all,
);

const ADMIN: Caller = Caller::Admin(None);

fn all(act: BulkAct, caller: Caller) -> Selection {
    Selection { filter: TaskFilter::of(caller), ids: None, statuses: act.statuses(), except: None }
}

impl Bench {
    async fn selected(&self, selection: &Selection) -> Vec<TaskId> {
        let mut found = Vec::new();
        loop {
            let part = self.store.selected(selection, found.last().copied(), 2).await.unwrap();
            if part.is_empty() {
                return found;
            }
            found.extend(part);
        }
    }

    async fn bulk(&self, act: BulkAct, tasks: &[TaskId], caller: Caller, so_far: Bulk) -> Bulk {
        match self.one(Command::Bulk { act, tasks: tasks.to_vec(), caller, so_far }).await {
            Reply::Bulk(bulk) => bulk,
            other => panic!("{other:?}"),
        }
    }

    /// Tasks in every status: new, parked, in progress, completed, failed, cancelled; and one for workers outside.
    async fn one_of_each(&self, owner: Option<gristmill::task::UserId>) -> Vec<TaskId> {
        let later = self.store.now().await.unwrap().after(Duration::from_secs(60));
        // The first three go before all others, whoever made them.
        let mut tasks = vec![NewTask { owner, max_attempts: 1, ..urgent(9) }; 3];
        tasks.extend(vec![NewTask { owner, ..new_task() }; 2]);
        tasks.push(NewTask { owner, run_at: Some(later), ..new_task() });
        tasks.push(NewTask { owner, tags: vec!["red".into()], ..manual() });
        let made = ids(&self.create(tasks).await);
        for (task, outcome) in self.claim(3).await.iter().zip([Some(done()), Some(failed()), None]) {
            if let Some(outcome) = outcome {
                self.settle(task.life.id, task.life.attempt, outcome).await.unwrap();
            }
        }
        self.change(Command::Cancel { task: made[3], caller: ADMIN }).await.unwrap();
        made
    }

    async fn statuses(&self, tasks: &[TaskId]) -> Vec<Status> {
        let mut found = Vec::new();
        for task in tasks {
            found.push(self.task(*task).await.life.status());
        }
        found
    }
}

async fn a_selection_is_of_ones_own_tasks_by_number_a_part_at_a_time(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let nobodys = bench.one_of_each(None).await;
    let anns = bench.one_of_each(Some(ann)).await;
    let both: Vec<TaskId> = nobodys.iter().chain(&anns).copied().collect();
    let at = |tasks: &[TaskId], places: &[usize]| places.iter().map(|at| tasks[*at]).collect::<Vec<_>>();

    assert_eq!(bench.selected(&all(BulkAct::Delete, ADMIN)).await, both);
    assert_eq!(bench.selected(&all(BulkAct::Delete, Caller::User(ann))).await, anns);
    assert_eq!(bench.selected(&all(BulkAct::Delete, Caller::Anonymous)).await, nobodys);
    let retry = all(BulkAct::Retry, ADMIN);
    assert_eq!(bench.selected(&retry).await, [at(&nobodys, &[1, 3]), at(&anns, &[1, 3])].concat());
    let cancel = all(BulkAct::Cancel, Caller::User(ann));
    assert_eq!(bench.selected(&cancel).await, at(&anns, &[2, 4, 5, 6]));

    let only = |filter: TaskFilter| Selection { filter, ..all(BulkAct::Cancel, ADMIN) };
    let completed = TaskFilter { status: Some(Status::Completed), ..TaskFilter::of(ADMIN) };
    assert_eq!(bench.selected(&only(completed)).await, at(&both, &[0, 7]), "a status that is named counts");
    let red = TaskFilter { tag: Some("red".into()), ..TaskFilter::of(ADMIN) };
    assert_eq!(bench.selected(&only(red.clone())).await, at(&both, &[6, 13]));
    let named =
        Selection { ids: Some(vec![anns[6], anns[0], TaskId(99_999)]), ..all(BulkAct::Delete, ADMIN) };
    assert_eq!(bench.selected(&named).await, at(&anns, &[0, 6]));
    let named = Selection { filter: red, ..named };
    assert_eq!(bench.selected(&named).await, at(&anns, &[6]), "all that is said must hold");
    let named = Selection { ids: Some(anns.clone()), ..all(BulkAct::Delete, Caller::Anonymous) };
    assert_eq!(bench.selected(&named).await, []);
    let others = Selection { except: Some("noop".parse().unwrap()), ..all(BulkAct::Delete, ADMIN) };
    assert_eq!(bench.selected(&others).await, at(&both, &[6, 13]));
}

async fn each_task_is_judged_by_itself_and_the_count_goes_on(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let anns = bench.one_of_each(Some(ann)).await;
    let nobodys = bench.create(vec![new_task()]).await[0].life.id;
    let so_far = Bulk { matched: 10, changed: 9, refused: 1, next: None };
    let asked = [&anns[..], &[nobodys, TaskId(99_999)]].concat();
    let done = bench.bulk(BulkAct::Retry, &asked, Caller::User(ann), so_far).await;
    assert_eq!(done, Bulk { matched: 19, changed: 11, refused: 8, next: None });
    use Status::{Cancelled, Completed, InProgress, New};
    assert_eq!(bench.statuses(&anns).await, [Completed, New, InProgress, New, New, New, New]);
    let done = bench.bulk(BulkAct::Cancel, &asked, Caller::User(ann), Bulk::default()).await;
    assert_eq!((done.matched, done.changed, done.refused), (9, 6, 3));
    let mut stopped = [Cancelled; 7];
    stopped[0] = Completed;
    assert_eq!(bench.statuses(&anns).await, stopped);
    assert_eq!(bench.task(nobodys).await.life.status(), New);
    assert_eq!(bench.story(anns[1]).await, ["created", "started", "failed", "retrying", "cancelled"]);
    let again = bench.bulk(BulkAct::Cancel, &anns, Caller::User(ann), Bulk::default()).await;
    assert_eq!((again.changed, again.refused), (0, 7), "twice does no harm");
}

async fn of_tasks_with_one_unique_key_one_lives_again(bench: Bench) {
    let mut dead = Vec::new();
    for _ in 0..3 {
        let task = bench.create(vec![keyed("k")]).await[0].life.id;
        bench.change(Command::Cancel { task, caller: ADMIN }).await.unwrap();
        dead.push(task);
    }
    let done = bench.bulk(BulkAct::Retry, &dead, ADMIN, Bulk::default()).await;
    assert_eq!((done.changed, done.refused), (1, 2));
    assert_eq!(bench.task(dead[0]).await.life.status(), Status::New);
}

async fn what_runs_is_stopped_before_it_is_removed(bench: Bench) {
    let tasks = bench.one_of_each(None).await;
    let done = bench.bulk(BulkAct::Delete, &tasks, ADMIN, Bulk::default()).await;
    assert_eq!((done.matched, done.changed), (7, 7));
    assert_eq!(bench.selected(&all(BulkAct::Delete, ADMIN)).await, []);
    assert_eq!(bench.story(tasks[2]).await, ["created", "started", "cancelled", "deleted"]);
    assert!(bench.claim(9).await.is_empty());
}

async fn a_key_remembers_what_was_done_in_all(bench: Bench) {
    let tasks: Vec<Task> = bench.create(vec![new_task(); 2]).await;
    let tasks = ids(&tasks);
    let so_far = Bulk { matched: 5, changed: 5, ..Bulk::default() };
    let command = Command::Bulk { act: BulkAct::Cancel, tasks, caller: ADMIN, so_far };
    let Reply::Bulk(done) = bench.one(once("k", "r", command.clone())).await else { panic!("another reply") };
    assert_eq!(done.changed, 7);
    let again = bench.one(once("k", "r", command.clone())).await;
    assert!(matches!(&again, Reply::Before(answer) if answer.body == "7"), "{again:?}");
    assert!(matches!(bench.one(once("k", "other", command)).await, Reply::KeyReused));
}
