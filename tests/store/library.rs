//! Questions, each saved once; counters that lose no change; reports and what they tell.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill::account::{
    Caller, CounterName, Counters, CountersChange, CountersError, Day, Holding, Stored,
};
use gristmill::store::{
    Command, NewRecording, NewReport, NewTask, QuestionFilter, Reply, SavedQuestions, UserRefused,
};
use gristmill::task::{
    Attachment, Attempt, BlobName, Failure, FailureReason, Json, NewQuestion, Outcome, QuestionId,
    QuestionSource, RecordingId, ReportId, Role, Status, Task, TaskId, Timestamp, UserId,
};

use crate::bench::{Bench, new_task, once};

on_both!(
    a_question_is_saved_once_and_found_again_as_it_came,
    a_task_saves_no_more_than_its_goal_in_all_its_attempts,
    who_has_lost_the_task_saves_nothing,
    two_tasks_that_race_for_the_same_questions_save_each_once,
    questions_stay_when_their_task_goes,
    questions_are_searched_by_words_source_and_category_and_read_by_pages,
    counters_are_replaced_and_added_to_and_their_days_are_kept,
    what_went_and_came_again_in_one_group_has_a_new_history,
    racing_amounts_are_all_counted,
    counters_are_their_users_and_go_with_them,
    what_is_no_counter_changes_nothing,
    counters_change_once_by_a_key,
    a_report_is_found_until_its_time_is_over_and_goes_with_its_task,
    a_portfolio_tells_what_a_user_has_and_nobody_else,
);

fn question(number: usize) -> NewQuestion {
    NewQuestion::new(QuestionSource::Bank, &format!("What is {number} and one?"), &format!("{}", number + 1))
        .unwrap()
}

fn questions(numbers: impl IntoIterator<Item = usize>) -> Vec<NewQuestion> {
    numbers.into_iter().map(question).collect()
}

async fn running(bench: &Bench) -> Task {
    bench.create(vec![new_task()]).await;
    bench.claim(1).await.remove(0)
}

async fn save(bench: &Bench, task: &Task, goal: u32, new: &[NewQuestion]) -> Option<SavedQuestions> {
    bench.store.save_questions(task.life.id, task.life.attempt, goal, new).await.unwrap()
}

async fn listed(bench: &Bench, filter: &QuestionFilter) -> Vec<String> {
    let found = bench.store.questions(filter, None, 100).await.unwrap();
    found.iter().map(|question| question.new.question().to_owned()).collect()
}

async fn a_question_is_saved_once_and_found_again_as_it_came(bench: Bench) {
    let task = running(&bench).await;
    assert_eq!(bench.store.newest_question().await.unwrap(), None);
    let mut whole =
        NewQuestion::new(QuestionSource::Opentdb, "Größte Stadt? 100%_", "Ναι, \"это\" <она>").unwrap();
    whole.upstream_id = Some("42".into());
    whole.category = Some("Geography".into());
    whole.value = Some(-200);
    whole.difficulty = Some("hard".into());
    whole.wrong_answers = vec!["a".into(), "b \"c\"".into()];
    whole.upstream_created_at = Some("2014-02-11T23:33:16.409Z".parse().unwrap());
    let new = [question(1), whole.clone(), question(1)];
    let saved = save(&bench, &task, 10, &new).await.unwrap();
    assert_eq!(saved, SavedQuestions { new: 2, known: 1, of_task: 2 });
    let again = save(&bench, &task, 10, &new).await.unwrap();
    assert_eq!(again, SavedQuestions { new: 0, known: 3, of_task: 2 });

    let newest = bench.store.newest_question().await.unwrap().unwrap();
    let found = bench.store.question(newest).await.unwrap().unwrap();
    assert_eq!((found.id, &found.new, found.task), (newest, &whole, task.life.id));
    assert_eq!(bench.store.questions_of(task.life.id).await.unwrap(), 2);
    assert_eq!(bench.store.question(QuestionId(newest.0 + 1)).await.unwrap(), None);
    // The same words of another source are another question.
    let elsewhere =
        NewQuestion::new(QuestionSource::Jservice, question(1).question(), question(1).answer()).unwrap();
    assert_eq!(save(&bench, &task, 10, &[elsewhere]).await.unwrap().new, 1);
}

async fn a_task_saves_no_more_than_its_goal_in_all_its_attempts(bench: Bench) {
    let task = running(&bench).await;
    let first = save(&bench, &task, 3, &questions(0..2)).await.unwrap();
    assert_eq!(first, SavedQuestions { new: 2, known: 0, of_task: 2 });
    bench.settle(task.life.id, task.life.attempt, Outcome::Interrupted).await.unwrap();
    let task = bench.claim(1).await.remove(0);
    assert_eq!(task.life.attempt, Attempt(2));
    assert_eq!(save(&bench, &task, 3, &[]).await.unwrap().of_task, 2);
    let second = save(&bench, &task, 3, &questions(0..9)).await.unwrap();
    assert_eq!(second, SavedQuestions { new: 1, known: 2, of_task: 3 });
}

async fn who_has_lost_the_task_saves_nothing(bench: Bench) {
    let task = running(&bench).await;
    bench.settle(task.life.id, task.life.attempt, Outcome::Interrupted).await.unwrap();
    assert_eq!(save(&bench, &task, 3, &questions(0..2)).await, None);
    let next = bench.claim(1).await.remove(0);
    assert_eq!(save(&bench, &task, 3, &questions(0..2)).await, None, "that attempt is over");
    assert!(save(&bench, &next, 3, &questions(0..2)).await.is_some());
    bench.change(Command::Cancel { task: next.life.id, caller: Caller::Anonymous }).await.unwrap();
    assert_eq!(save(&bench, &next, 3, &questions(5..6)).await, None);
    assert_eq!(listed(&bench, &QuestionFilter::default()).await.len(), 2);
}

async fn two_tasks_that_race_for_the_same_questions_save_each_once(bench: Bench) {
    bench.create(vec![new_task(), new_task(), new_task()]).await;
    let tasks = bench.claim(3).await;
    let saves = tasks.iter().enumerate().map(|(turn, task)| {
        let store = bench.store.clone();
        let (id, attempt) = (task.life.id, task.life.attempt);
        // In different orders, as two draws have them.
        let mut new = questions(0..40);
        new.rotate_left(turn * 13);
        if turn == 1 {
            new.reverse();
        }
        tokio::spawn(async move { store.save_questions(id, attempt, 100, &new).await.unwrap().unwrap() })
    });
    let saves: Vec<_> = saves.collect();
    let mut new = 0;
    for saved in saves {
        let saved = saved.await.unwrap();
        assert_eq!((saved.new + saved.known, saved.of_task), (40, saved.new));
        new += saved.new;
    }
    assert_eq!(new, 40);
    assert_eq!(listed(&bench, &QuestionFilter::default()).await.len(), 40);
}

async fn questions_stay_when_their_task_goes(bench: Bench) {
    let task = running(&bench).await;
    save(&bench, &task, 3, &questions(0..3)).await.unwrap();
    bench.change(Command::Delete { task: task.life.id, caller: Caller::Anonymous }).await.unwrap();
    assert_eq!(listed(&bench, &QuestionFilter::default()).await.len(), 3);
}

async fn questions_are_searched_by_words_source_and_category_and_read_by_pages(bench: Bench) {
    let task = running(&bench).await;
    let mut river =
        NewQuestion::new(QuestionSource::Bank, "Which river flows through Köln?", "The Rhine").unwrap();
    river.category = Some("Rivers".into());
    let sign = NewQuestion::new(QuestionSource::Opentdb, "Which sign says percent?", "%").unwrap();
    save(&bench, &task, 10, &[river, sign, question(7)]).await.unwrap();
    let of = |words: &[&str]| QuestionFilter {
        words: words.iter().map(|word| gristmill::task::question::fold(word)).collect(),
        ..QuestionFilter::default()
    };
    for (words, count) in [
        (&["KÖLN"][..], 1),
        (&["rhine", "river"], 1),
        (&["rhine", "percent"], 0),
        (&["which"], 2),
        (&["rivers"], 1),
        (&["%"], 0),
        (&["_"], 0),
        (&["what is 7"], 1),
        (&[], 3),
    ] {
        assert_eq!(listed(&bench, &of(words)).await.len(), count, "{words:?}");
    }
    let source = QuestionFilter { source: Some(QuestionSource::Opentdb), ..QuestionFilter::default() };
    assert_eq!(listed(&bench, &source).await, ["Which sign says percent?"]);
    let category = QuestionFilter { category: Some("Rivers".into()), ..QuestionFilter::default() };
    assert_eq!(listed(&bench, &category).await, ["Which river flows through Köln?"]);

    let all = QuestionFilter::default();
    let first = bench.store.questions(&all, None, 2).await.unwrap();
    let rest = bench.store.questions(&all, Some(first[1].id), 2).await.unwrap();
    let ids: Vec<i64> = first.iter().chain(&rest).map(|question| question.id.0).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    assert_eq!(ids.len(), 3);
}

fn name(text: &str) -> CounterName {
    text.parse().unwrap()
}

fn counters(values: &[(&str, i64)]) -> Counters {
    Counters::new(values.iter().map(|(text, value)| (name(text), *value)).collect::<BTreeMap<_, _>>())
        .unwrap()
}

async fn change(
    bench: &Bench,
    user: UserId,
    caller: Caller,
    change: CountersChange,
) -> Result<Counters, UserRefused> {
    match bench.one(Command::ChangeCounters { user, caller, change }).await {
        Reply::CountersChanged(changed) => changed,
        other => panic!("{other:?}"),
    }
}

async fn days(bench: &Bench, user: UserId, from: Day) -> Vec<(String, i64, i64)> {
    let days = bench.store.counter_days(user, from).await.unwrap();
    days.into_iter().map(|day| (day.name.to_string(), day.day.0, day.value)).collect()
}

async fn counters_are_replaced_and_added_to_and_their_days_are_kept(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let own = Caller::User(user);
    assert_eq!(bench.store.counters(user).await.unwrap().updated_at, None);
    let put = CountersChange::Replace(counters(&[("losses", 1), ("wins", 3)]));
    assert_eq!(change(&bench, user, own, put).await, Ok(counters(&[("losses", 1), ("wins", 3)])));
    let add = CountersChange::Add(counters(&[("draws", 2), ("wins", -1)]));
    let now = counters(&[("draws", 2), ("losses", 1), ("wins", 2)]);
    assert_eq!(change(&bench, user, own, add).await, Ok(now.clone()));
    let told = bench.store.counters(user).await.unwrap();
    assert_eq!(told.counters, now);
    let updated_at = told.updated_at.unwrap();
    let today = Day::of(updated_at);
    let day = today.0;
    let expected = [("draws".to_owned(), day, 2), ("losses".to_owned(), day, 1), ("wins".to_owned(), day, 2)];
    assert_eq!(days(&bench, user, today).await, expected);

    // Two days later; what a counter was before the days that are asked for comes along.
    bench.test.clock.advance(Duration::from_secs(48 * 3600));
    let add = CountersChange::Add(counters(&[("wins", 5), ("losses", 0)]));
    change(&bench, user, own, add).await.unwrap();
    let expected = [
        ("draws".to_owned(), day, 2),
        ("losses".to_owned(), day, 1),
        ("wins".to_owned(), day, 2),
        ("wins".to_owned(), day + 2, 7),
    ];
    assert_eq!(days(&bench, user, Day(day + 1)).await, expected);
    assert_eq!(days(&bench, user, Day(day + 3)).await[2], ("wins".to_owned(), day + 2, 7));

    // What is not named by a replacement goes, with its days.
    let put = CountersChange::Replace(counters(&[("wins", 7)]));
    change(&bench, user, own, put).await.unwrap();
    let wins = [("wins".to_owned(), day, 2), ("wins".to_owned(), day + 2, 7)];
    assert_eq!(days(&bench, user, Day(0)).await, wins);

    // Of what is older than is kept the last stays: it is what the counter was on the first day that is.
    bench.test.clock.advance(Duration::from_secs(24 * 3600 * (Day::KEPT.unsigned_abs() + 5)));
    change(&bench, user, own, CountersChange::Add(counters(&[("draws", 1)]))).await.unwrap();
    let later = day + 2 + Day::KEPT + 5;
    let expected = [("draws".to_owned(), later, 1), ("wins".to_owned(), day + 2, 7)];
    assert_eq!(days(&bench, user, Day(0)).await, expected);
}

async fn what_went_and_came_again_in_one_group_has_a_new_history(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let own = Caller::User(user);
    let put = |values| CountersChange::Replace(counters(values));
    change(&bench, user, own, put(&[("wins", 3), ("losses", 1)])).await.unwrap();
    let day = days(&bench, user, Day(0)).await[0].1;
    bench.test.clock.advance(Duration::from_secs(24 * 3600));
    let command = |change| Command::ChangeCounters { user, caller: own, change };
    let group = [command(put(&[("losses", 1)])), command(CountersChange::Add(counters(&[("wins", 1)])))];
    bench.store.commit(&group).await.unwrap();
    let expected = [("losses".to_owned(), day, 1), ("wins".to_owned(), day + 1, 1)];
    assert_eq!(days(&bench, user, Day(0)).await, expected);
}

async fn racing_amounts_are_all_counted(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let adds: Vec<_> = (0..40)
        .map(|_| {
            let store = bench.store.clone();
            let change = CountersChange::Add(counters(&[("wins", 1), ("time_played_s", 60)]));
            let add = Command::ChangeCounters { user, caller: Caller::User(user), change };
            // Two in a group, and groups side by side, as several nodes have them.
            tokio::spawn(async move { store.commit(&[add.clone(), add]).await.unwrap() })
        })
        .collect();
    for add in adds {
        assert!(add.await.unwrap().replies.iter().all(Result::is_ok));
    }
    let now = bench.store.counters(user).await.unwrap().counters;
    assert_eq!(now, counters(&[("wins", 80), ("time_played_s", 4800)]));
}

async fn counters_are_their_users_and_go_with_them(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let other = bench.user("b@example.org").await;
    let put = || CountersChange::Replace(counters(&[("wins", 3)]));
    change(&bench, user, Caller::Admin(None), put()).await.unwrap();
    assert_eq!(change(&bench, user, Caller::User(other), put()).await, Err(UserRefused::NotTheirs(user)));
    assert_eq!(change(&bench, user, Caller::Anonymous, put()).await, Err(UserRefused::NotTheirs(user)));
    let nobody = UserId(999);
    assert_eq!(change(&bench, nobody, Caller::Admin(None), put()).await, Err(UserRefused::NotFound(nobody)));
    bench.one(Command::DeleteUser { user, caller: Caller::User(user) }).await;
    assert_eq!(bench.store.counters(user).await.unwrap().counters, Counters::default());
    assert_eq!(days(&bench, user, Day(0)).await, []);
    assert_eq!(change(&bench, user, Caller::Admin(None), put()).await, Err(UserRefused::NotFound(user)));
}

async fn what_is_no_counter_changes_nothing(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let own = Caller::User(user);
    change(&bench, user, own, CountersChange::Replace(counters(&[("wins", Counters::MOST)]))).await.unwrap();
    let add = CountersChange::Add(counters(&[("losses", 1), ("wins", 1)]));
    let refused = UserRefused::Counters(CountersError::OutOfRange(name("wins")));
    assert_eq!(change(&bench, user, own, add).await, Err(refused));
    let now = bench.store.counters(user).await.unwrap().counters;
    assert_eq!(now, counters(&[("wins", Counters::MOST)]));
}

async fn counters_change_once_by_a_key(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let change = CountersChange::Add(counters(&[("wins", 1)]));
    let add = Command::ChangeCounters { user, caller: Caller::User(user), change };
    bench.one(once("k", "a", add.clone())).await;
    bench.one(once("k", "a", add)).await;
    assert_eq!(bench.store.counters(user).await.unwrap().counters, counters(&[("wins", 1)]));
}

async fn a_report_is_found_until_its_time_is_over_and_goes_with_its_task(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let (id, keep) = (ReportId::fresh(), Duration::from_secs(3600));
    let new = NewTask { report: Some(NewReport { id, keep }), owner: Some(user), ..new_task() };
    let task = bench.create(vec![new.clone()]).await.remove(0);
    let report = bench.store.report(id).await.unwrap().unwrap();
    assert_eq!((report.owner, report.task.life.id, report.pdf), (user, task.life.id, None));
    assert_eq!(report.expires_at, task.created_at.after(keep));

    let running = bench.claim(1).await.remove(0);
    let pdf = Attachment { role: Role::Output, blob: BlobName::of_digest(&[7; 32]), bytes: 99 };
    let outcome = Outcome::Completed { result: Json::null(), output: Some(pdf.clone()), drop_input: false };
    bench.settle(running.life.id, running.life.attempt, outcome).await.unwrap();
    assert_eq!(bench.store.report(id).await.unwrap().unwrap().pdf, Some(pdf));

    assert_eq!(bench.store.expired_reports(10).await.unwrap(), []);
    bench.test.clock.advance(keep);
    assert_eq!(bench.store.report(id).await.unwrap(), None);
    assert_eq!(bench.store.expired_reports(10).await.unwrap(), [task.life.id]);
    bench.change(Command::Delete { task: task.life.id, caller: Caller::Admin(None) }).await.unwrap();
    assert_eq!(bench.store.expired_reports(10).await.unwrap(), []);
    assert_eq!(bench.store.report(ReportId::fresh()).await.unwrap(), None);
}

async fn finish(bench: &Bench, outcome: Outcome) -> TaskId {
    let running = bench.claim(1).await.remove(0);
    bench.settle(running.life.id, running.life.attempt, outcome).await.unwrap();
    running.life.id
}

async fn a_portfolio_tells_what_a_user_has_and_nobody_else(bench: Bench) {
    let user = bench.user("a@example.org").await;
    let other = bench.user("b@example.org").await;
    let of = |owner: UserId| NewTask { owner: Some(owner), ..new_task() };
    let input = Attachment { role: Role::Input, blob: BlobName::of_digest(&[1; 32]), bytes: 100 };
    let recording = NewRecording { id: RecordingId::fresh(), filename: "a.wav".into() };
    let recorded = NewTask { recording: Some(recording), attachments: vec![input], ..of(user) };
    let first = bench.create(vec![recorded]).await.remove(0);
    let output = Attachment { role: Role::Output, blob: BlobName::of_digest(&[2; 32]), bytes: 11 };
    let done = Outcome::Completed { result: Json::null(), output: Some(output), drop_input: false };
    finish(&bench, done).await;
    bench.create(vec![of(other)]).await;
    let failure = Failure::new(FailureReason::InvalidInput, "it is cut");
    let failed = finish(&bench, Outcome::Failed(failure.clone())).await;

    bench.test.clock.advance(Duration::from_secs(24 * 3600));
    let small = Attachment { role: Role::Input, blob: BlobName::of_digest(&[3; 32]), bytes: 7 };
    let with_input = || NewTask { attachments: vec![small.clone()], ..of(user) };
    let late = bench.create(vec![with_input(), with_input()]).await;
    change(&bench, user, Caller::User(user), CountersChange::Replace(counters(&[("wins", 1)])))
        .await
        .unwrap();

    let since = late[0].created_at.before(Duration::from_secs(3600));
    let told = bench.store.portfolio(user, since, 2).await.unwrap().unwrap();
    assert_eq!(told.user.id, user);
    assert_eq!(told.counters, counters(&[("wins", 1)]));
    assert_eq!(told.history.len(), 1);
    let totals: Vec<_> =
        told.totals.iter().map(|count| (count.kind.as_str(), count.status, count.tasks)).collect();
    assert_eq!(totals, [("noop", Status::Completed, 1), ("noop", Status::New, 2)]);
    let activity: Vec<_> = told.activity.iter().map(|at| (at.count.status, at.count.tasks)).collect();
    assert_eq!(activity, [(Status::New, 2)], "since then");
    let quarter = told.activity[0].from.as_micros();
    assert_eq!(quarter % 900_000_000, 0);
    assert!((0..900_000_000).contains(&(late[0].created_at.as_micros() - quarter)));
    assert_eq!(told.recordings, Holding { count: 1, bytes: 111 });
    assert_eq!(told.images, Holding::default());
    assert_eq!(told.storage, 125);
    assert_eq!(told.stored, [Stored { from: told.activity[0].from, bytes: 2 * 7 }], "since then");
    let recent: Vec<(TaskId, Status)> = told.recent.iter().map(|task| (task.id, task.status)).collect();
    assert_eq!(recent, [(late[1].life.id, Status::New), (late[0].life.id, Status::New)]);
    assert!(first.life.id < late[0].life.id);

    let told = bench.store.portfolio(other, since, 10).await.unwrap().unwrap();
    assert_eq!((told.recent.len(), told.recent[0].id, told.storage, told.stored.len()), (1, failed, 0, 0));
    assert_eq!((told.recent[0].status, told.recent[0].error.as_ref()), (Status::Failed, Some(&failure)));

    let all = bench.store.portfolio(user, Timestamp::from_micros(0), 10).await.unwrap().unwrap();
    assert_eq!(all.activity.iter().map(|at| at.count.tasks).sum::<u64>(), 3);
    let stored: Vec<_> = all.stored.iter().map(|at| (at.from.as_micros() % 900_000_000, at.bytes)).collect();
    assert_eq!(stored, [(0, 111), (0, 14)], "input and output of the first, oldest first");
    let done = all.recent.last().unwrap();
    assert_eq!((done.id, done.status, done.attempt), (first.life.id, Status::Completed, Attempt(1)));
    assert!(done.finished_at.is_some() && done.error.is_none() && done.created_at == first.created_at);
    assert_eq!(bench.store.portfolio(UserId(999), since, 2).await.unwrap(), None);
}
