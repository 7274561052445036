//! Sums of what is kept, and the lists of all reports and all users.

use std::time::Duration;

use gristmill::account::{Avatar, Caller, Email, Holding, Name, NewUser, Token};
use gristmill::media::image::{Facts, Format};
use gristmill::store::{
    BulkAct, Command, NewImage, NewPicture, NewRecording, NewReport, NewTask, Quota, Reply, Selection,
    Storage, TaskFilter, UserSearch,
};
use gristmill::task::{
    Attachment, BlobName, Failure, FailureReason, ImageId, ImageName, Json, Outcome, RecordingId, ReportId,
    Role, Status, TaskId, UserId,
};

use crate::bench::{Bench, backoff, ids, manual, new_task, page};

on_both!(
    storage_is_summed_up_by_what_it_is_and_a_blob_counts_once,
    reports_of_all_are_read_by_pages_the_newest_first,
    users_come_with_what_they_have_the_newest_first,
    users_are_found_by_number_name_and_e_mail,
    tasks_are_found_by_number_and_unique_key_whatever_became_of_them,
    selected_tasks_are_counted_up_to_a_bound,
);

const NO_QUOTA: Quota = Quota { images: None, bytes: None };

fn attachment(role: Role, byte: u8, bytes: u64) -> Attachment {
    Attachment { role, blob: BlobName::of_digest(&[byte; 32]), bytes }
}

fn holding(count: u64, bytes: u64) -> Holding {
    Holding { count, bytes }
}

fn image(owner: Option<UserId>, byte: u8, bytes: u64) -> NewTask {
    let image = NewImage {
        id: ImageId::fresh(),
        name: ImageName::fresh("jpg"),
        filename: "cat.jpg".into(),
        format: Format::Jpeg,
        bytes,
        width: 400,
        height: 300,
        frames: 1,
        delete_token: Token::fresh().hash(),
        quota: NO_QUOTA,
    };
    let attachments = vec![attachment(Role::Input, byte, bytes)];
    NewTask { owner, attachments, image: Some(image), ..new_task() }
}

fn recording(owner: UserId, byte: u8, bytes: u64) -> NewTask {
    let recording = NewRecording { id: RecordingId::fresh(), filename: "a.wav".into() };
    let attachments = vec![attachment(Role::Input, byte, bytes)];
    NewTask { owner: Some(owner), recording: Some(recording), attachments, ..new_task() }
}

fn report(owner: UserId) -> (ReportId, NewTask) {
    let id = ReportId::fresh();
    let new = NewReport { id, keep: Duration::from_secs(60) };
    (id, NewTask { owner: Some(owner), report: Some(new), ..new_task() })
}

/// Creates it and runs it to that end.
async fn run(bench: &Bench, new: NewTask, outcome: Outcome) -> TaskId {
    let is_image = new.image.is_some() && matches!(outcome, Outcome::Completed { .. });
    let id = ids(&bench.create(vec![new]).await)[0];
    let running = bench.claim(1).await.remove(0);
    assert_eq!(running.life.id, id);
    let facts = Facts { format: Format::Jpeg, width: 300, height: 400, frames: 1, thumbhash: vec![1] };
    let image = is_image.then_some(facts);
    let attempt = running.life.attempt;
    let settled = bench.one(Command::Settle { task: id, attempt, outcome, backoff: backoff(), image }).await;
    assert!(matches!(settled, Reply::Settled(Ok(_))), "{settled:?}");
    id
}

fn made(byte: u8, bytes: u64, drop_input: bool) -> Outcome {
    Outcome::Completed {
        result: Json::null(),
        output: Some(attachment(Role::Output, byte, bytes)),
        drop_input,
    }
}

async fn user(bench: &Bench, name: &str, email: Option<&str>, avatar: Option<Avatar>) -> UserId {
    let email: Option<Email> = email.map(|email| email.parse().unwrap());
    let name: Name = name.parse().unwrap();
    let mut new = NewUser::new(Some(name), email, Token::fresh().hash()).unwrap();
    new.avatar = avatar;
    match bench.one(Command::CreateUser(new)).await {
        Reply::UserCreated(Some(user)) => user.id,
        other => panic!("{other:?}"),
    }
}

async fn storage_is_summed_up_by_what_it_is_and_a_blob_counts_once(bench: Bench) {
    let empty = bench.store.storage().await.unwrap();
    assert!(empty.database > 0, "the schema alone takes room");
    assert_eq!(empty, Storage { database: empty.database, ..Storage::default() });

    let avatar = Avatar { blob: BlobName::of_digest(&[9; 32]), bytes: 7 };
    let ann = user(&bench, "Ann", None, Some(avatar)).await;
    run(&bench, image(None, 1, 1_000), made(2, 900, true)).await;
    run(&bench, image(Some(ann), 1, 1_000), made(2, 900, true)).await;
    let damaged = Failure::new(FailureReason::InvalidInput, "it is damaged");
    run(&bench, image(None, 3, 500), Outcome::Failed(damaged)).await;
    run(&bench, recording(ann, 4, 5_000), made(5, 400, false)).await;
    run(&bench, recording(ann, 6, 6_000), made(7, 300, true)).await;
    run(&bench, report(ann).1, made(8, 80, true)).await;
    bench.create(vec![report(ann).1]).await;
    let picture = NewPicture { bytes: 60, quota: NO_QUOTA };
    let attachments = vec![attachment(Role::Input, 10, 60)];
    bench.create(vec![NewTask { picture: Some(picture), attachments, ..manual() }]).await;
    let attachments = vec![attachment(Role::Input, 11, 11)];
    bench.create(vec![NewTask { attachments, ..new_task() }]).await;

    let sums = bench.store.storage().await.unwrap();
    let expected = Storage {
        images: holding(2, 1_800),
        originals: holding(1, 5_000),
        mp3s: holding(2, 700),
        reports: holding(1, 80),
        pictures: holding(1, 60),
        avatars: holding(1, 7),
        others: holding(1, 11),
        // The two images are the same bytes.
        blobs: holding(8, 900 + 5_000 + 700 + 80 + 60 + 7 + 11),
        database: sums.database,
    };
    assert_eq!(sums, expected);
    assert!(sums.database >= empty.database);
}

async fn reports_of_all_are_read_by_pages_the_newest_first(bench: Bench) {
    let (ann, bob) = (bench.user("a@example.org").await, bench.user("b@example.org").await);
    let (first, new) = report(ann);
    let made_by = run(&bench, new, made(1, 80, true)).await;
    let (second, new) = report(bob);
    let waits = ids(&bench.create(vec![new]).await)[0];

    let all = bench.store.report_lines(None, 10).await.unwrap();
    assert_eq!(all.iter().map(|line| line.id).collect::<Vec<_>>(), [second, first]);
    assert_eq!((all[0].task, all[0].owner, all[0].status, all[0].bytes), (waits, bob, Status::New, None));
    assert_eq!((all[1].task, all[1].status, all[1].bytes), (made_by, Status::Completed, Some(80)));
    assert_eq!(all[1].expires_at, all[1].created_at.after(Duration::from_secs(60)));
    assert_eq!(bench.store.report_lines(None, 1).await.unwrap(), all[..1]);
    assert_eq!(bench.store.report_lines(Some(waits), 10).await.unwrap(), all[1..]);
    assert_eq!(bench.store.report_lines(Some(made_by), 10).await.unwrap(), []);
    bench.advance(3600);
    assert_eq!(bench.store.report_lines(None, 10).await.unwrap().len(), 2, "over, but there");
}

async fn users_come_with_what_they_have_the_newest_first(bench: Bench) {
    let ann = user(&bench, "Ann", None, None).await;
    let bob = user(&bench, "Bob", None, None).await;
    let gone = user(&bench, "Cyd", None, None).await;
    run(&bench, image(Some(ann), 1, 1_000), made(2, 900, true)).await;
    run(&bench, image(None, 1, 1_000), made(2, 900, true)).await;
    run(&bench, recording(ann, 4, 5_000), made(5, 400, false)).await;
    let thrown = ids(&bench.create(vec![NewTask { owner: Some(ann), ..new_task() }]).await)[0];
    bench.change(Command::Delete { task: thrown, caller: Caller::Admin(None) }).await.unwrap();
    bench.one(Command::DeleteUser { user: gone, caller: Caller::Admin(None) }).await;

    let lines = bench.store.user_lines(&UserSearch::All, None, 10).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.user.id).collect::<Vec<_>>(), [bob, ann]);
    assert_eq!((lines[0].tasks, lines[0].images, lines[0].recordings), (0, holding(0, 0), 0));
    assert_eq!((lines[1].tasks, lines[1].images, lines[1].recordings), (3, holding(1, 900), 1));
    assert_eq!(bench.store.user_lines(&UserSearch::All, None, 1).await.unwrap(), lines[..1]);
    assert_eq!(bench.store.user_lines(&UserSearch::All, Some(bob), 10).await.unwrap(), lines[1..]);
    assert_eq!(bench.store.user_lines(&UserSearch::All, Some(ann), 10).await.unwrap(), []);
}

async fn users_are_found_by_number_name_and_e_mail(bench: Bench) {
    let ann = user(&bench, "Анна 100%_", Some("ann@example.org"), None).await;
    let bob = user(&bench, "Bob", Some("bob@example.org"), None).await;
    let nameless = bench.user("n@example.org").await;
    let found = async |search: UserSearch| {
        let lines = bench.store.user_lines(&search, None, 10).await.unwrap();
        lines.iter().map(|line| line.user.id).collect::<Vec<_>>()
    };
    let text = |text: &str| UserSearch::Text(text.to_owned());
    assert_eq!(found(UserSearch::Number(bob)).await, [bob]);
    assert_eq!(found(UserSearch::Number(UserId(999))).await, []);
    assert_eq!(found(text("нна")).await, [ann]);
    assert_eq!(found(text("%_")).await, [ann], "no sign stands for others");
    assert_eq!(found(text("ob")).await, [bob]);
    assert_eq!(found(text("bob@example.org")).await, [bob]);
    assert_eq!(found(text("n@example.org")).await, [nameless], "an e-mail is found whole");
    assert_eq!(found(text("' OR 1=1 --")).await, []);
}

async fn tasks_are_found_by_number_and_unique_key_whatever_became_of_them(bench: Bench) {
    let keyed = || NewTask { unique_key: Some("order-5".into()), ..new_task() };
    let first =
        run(&bench, keyed(), Outcome::Completed { result: Json::null(), output: None, drop_input: false });
    let first = first.await;
    let again = ids(&bench.create(vec![keyed(), new_task()]).await);
    let running = bench.claim(1).await.remove(0).life.id;
    let found = async |change: fn(&mut TaskFilter)| {
        let mut filter = TaskFilter::of(Caller::Admin(None));
        change(&mut filter);
        ids(&bench.store.tasks(&filter, &page(10)).await.unwrap())
    };
    assert_eq!(found(|filter| filter.unique_key = Some("order-5".into())).await, [first, again[0]]);
    assert_eq!(found(|filter| filter.unique_key = Some("order".into())).await, []);
    assert_eq!(found(|filter| filter.id = Some(TaskId(2))).await, [again[0]]);
    assert_eq!(found(|filter| filter.id = Some(TaskId(99))).await, []);
    assert_eq!(found(|filter| filter.status = Some(Status::InProgress)).await, [running]);
    let running_noop = |filter: &mut TaskFilter| {
        (filter.status, filter.kind) = (Some(Status::InProgress), Some("noop".parse().unwrap()));
    };
    assert_eq!(found(running_noop).await, [running]);
}

async fn selected_tasks_are_counted_up_to_a_bound(bench: Bench) {
    bench.create(vec![new_task(), new_task(), new_task()]).await;
    bench.claim(1).await;
    let count = async |act: BulkAct, most: u32| {
        let filter = TaskFilter::of(Caller::Admin(None));
        let selection = Selection { filter, ids: None, statuses: act.statuses(), except: None };
        bench.store.count_selected(&selection, most).await.unwrap()
    };
    assert_eq!(count(BulkAct::Cancel, 100).await, 3, "those that wait and those that run");
    assert_eq!(count(BulkAct::Cancel, 2).await, 2);
    assert_eq!(count(BulkAct::Retry, 100).await, 0);
}
