//! Images: kept with the task that makes them, known once it is done, counted against a quota.

use gristmill::account::{Caller, Token};
use gristmill::media::image::{Facts, Format};
use gristmill::store::{Command, Image, NewImage, NewPicture, NewTask, Quota, Reply, Usage};
use gristmill::task::{
    Attachment, Attempt, BlobName, Failure, FailureReason, ImageId, ImageName, Json, Outcome, Role, Status,
    TaskId, UserId,
};

use crate::bench::{Bench, backoff, ids, manual, new_task};

on_both!(
    an_image_is_there_at_once_and_ready_once_its_task_is_done,
    what_turned_out_to_be_no_image_leaves_no_bytes_and_counts_for_nothing,
    a_failed_try_keeps_the_bytes_for_the_next,
    a_gallery_is_read_by_pages_the_newest_first,
    an_image_goes_with_its_task,
    a_quota_lets_in_as_many_as_it_says,
    a_quota_of_bytes_counts_what_is_stored,
    racing_uploads_do_not_pass_a_quota_together,
    pictures_with_tasks_count_as_images_do_and_go_with_their_tasks,
);

const NO_QUOTA: Quota = Quota { images: None, bytes: None };

fn blob(byte: u8) -> BlobName {
    BlobName::of_digest(&[byte; 32])
}

fn attachment(role: Role, byte: u8, bytes: u64) -> Attachment {
    Attachment { role, blob: blob(byte), bytes }
}

fn image(bytes: u64, quota: Quota) -> NewImage {
    NewImage {
        id: ImageId::fresh(),
        name: ImageName::fresh("jpg"),
        filename: "cat.JPG".into(),
        format: Format::Jpeg,
        bytes,
        width: 400,
        height: 300,
        frames: 1,
        delete_token: Token::fresh().hash(),
        quota,
    }
}

fn upload(owner: Option<UserId>, image: NewImage) -> NewTask {
    let attachments = vec![attachment(Role::Input, 1, image.bytes)];
    NewTask { owner, attachments, image: Some(image), max_attempts: 3, ..new_task() }
}

fn facts() -> Facts {
    Facts { format: Format::Jpeg, width: 300, height: 400, frames: 1, thumbhash: vec![0, 1, 0xfe, 0xff] }
}

fn made(byte: u8, bytes: u64) -> Outcome {
    let output = Some(attachment(Role::Output, byte, bytes));
    Outcome::Completed { result: Json::null(), output, drop_input: true }
}

async fn settle(bench: &Bench, task: TaskId, outcome: Outcome) {
    let image = matches!(outcome, Outcome::Completed { .. }).then(facts);
    let attempt = Attempt(bench.task(task).await.life.attempt.0);
    let settled = bench.one(Command::Settle { task, attempt, outcome, backoff: backoff(), image }).await;
    assert!(matches!(settled, Reply::Settled(Ok(_))), "{settled:?}");
}

async fn put(bench: &Bench, owner: Option<UserId>, image: NewImage) -> TaskId {
    ids(&bench.create(vec![upload(owner, image)]).await)[0]
}

/// Uploaded and done.
async fn stored(bench: &Bench, owner: Option<UserId>) -> (TaskId, ImageName) {
    let new = image(1_000, NO_QUOTA);
    let name = new.name.clone();
    let task = put(bench, owner, new).await;
    assert_eq!(ids(&bench.claim(1).await), [task]);
    settle(bench, task, made(2, 900)).await;
    (task, name)
}

async fn look(bench: &Bench, name: &ImageName) -> Option<Image> {
    bench.store.image(name).await.unwrap()
}

async fn blobs(bench: &Bench, task: TaskId) -> Vec<Attachment> {
    bench.store.attachments_of(task).await.unwrap()
}

async fn listed(bench: &Bench, caller: Caller, before: Option<TaskId>, limit: u32) -> Vec<TaskId> {
    bench.store.images(caller, before, limit).await.unwrap().iter().map(|image| image.task).collect()
}

async fn an_image_is_there_at_once_and_ready_once_its_task_is_done(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let new = image(1_000, NO_QUOTA);
    let task = put(&bench, Some(ann), new.clone()).await;
    let early = look(&bench, &new.name).await.unwrap();
    let expected = Image {
        id: new.id,
        name: new.name.clone(),
        task,
        owner: Some(ann),
        filename: "cat.JPG".into(),
        facts: Facts { format: Format::Jpeg, width: 400, height: 300, frames: 1, thumbhash: vec![] },
        bytes: 1_000,
        blob: None,
        delete_token: new.delete_token.clone(),
        created_at: bench.task(task).await.created_at,
    };
    assert_eq!(early, expected);
    assert_eq!(listed(&bench, Caller::User(ann), None, 9).await, []);
    assert_eq!(blobs(&bench, task).await, [attachment(Role::Input, 1, 1_000)]);
    assert_eq!(look(&bench, &ImageName::fresh("jpg")).await, None);

    bench.claim(1).await;
    settle(&bench, task, made(2, 900)).await;
    let ready = look(&bench, &new.name).await.unwrap();
    assert_eq!(ready, Image { facts: facts(), bytes: 900, blob: Some(blob(2)), ..expected });
    assert_eq!(blobs(&bench, task).await, [attachment(Role::Output, 2, 900)]);
    assert_eq!(listed(&bench, Caller::User(ann), None, 9).await, [task]);
    assert_eq!(bench.store.unreferenced(&[blob(1), blob(2)]).await.unwrap(), [blob(1)]);
}

async fn what_turned_out_to_be_no_image_leaves_no_bytes_and_counts_for_nothing(bench: Bench) {
    let one = Quota { images: Some(1), bytes: Some(1_000) };
    let new = image(1_000, one);
    let task = put(&bench, None, new.clone()).await;
    bench.claim(1).await;
    let failure = Failure::new(FailureReason::InvalidInput, "it is damaged");
    settle(&bench, task, Outcome::Failed(failure)).await;
    assert_eq!(bench.task(task).await.life.status(), Status::Failed);
    assert_eq!(blobs(&bench, task).await, []);
    let refused = look(&bench, &new.name).await.unwrap();
    assert_eq!((refused.bytes, refused.blob), (0, None));
    assert_eq!(listed(&bench, Caller::Anonymous, None, 9).await, []);
    put(&bench, None, image(1_000, one)).await;
}

async fn a_failed_try_keeps_the_bytes_for_the_next(bench: Bench) {
    let new = image(1_000, Quota { images: Some(1), bytes: None });
    let quota = new.quota;
    let task = put(&bench, None, new).await;
    bench.claim(1).await;
    settle(&bench, task, Outcome::Failed(Failure::new(FailureReason::Error, "the disk is full"))).await;
    assert_eq!(bench.task(task).await.life.status(), Status::New);
    assert_eq!(blobs(&bench, task).await, [attachment(Role::Input, 1, 1_000)]);
    let another = bench.one(Command::Create(vec![upload(None, image(1, quota))])).await;
    assert!(matches!(another, Reply::OverQuota(..)), "it still counts: {another:?}");
}

async fn a_gallery_is_read_by_pages_the_newest_first(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let mut all = Vec::new();
    for owner in [None, Some(ann), None, Some(ann), Some(ann)] {
        all.push(stored(&bench, owner).await.0);
    }
    put(&bench, Some(ann), image(1, NO_QUOTA)).await;
    let me = Caller::User(ann);
    assert_eq!(listed(&bench, me, None, 2).await, [all[4], all[3]]);
    assert_eq!(listed(&bench, me, Some(all[3]), 2).await, [all[1]]);
    assert_eq!(listed(&bench, me, Some(all[1]), 2).await, []);
    assert_eq!(listed(&bench, Caller::Anonymous, None, 9).await, [all[2], all[0]]);
    assert_eq!(listed(&bench, Caller::User(UserId(99)), None, 9).await, []);
    for admin in [Caller::Admin(None), Caller::Admin(Some(UserId(99)))] {
        assert_eq!(listed(&bench, admin, None, 3).await, [all[4], all[3], all[2]]);
        assert_eq!(listed(&bench, admin, Some(all[2]), 9).await, [all[1], all[0]]);
    }
}

async fn an_image_goes_with_its_task(bench: Bench) {
    let (task, name) = stored(&bench, None).await;
    let (other, _) = stored(&bench, None).await;
    let delete = |task| Command::Delete { task, caller: Caller::Anonymous };
    bench.change(delete(task)).await.unwrap();
    assert_eq!(look(&bench, &name).await, None);
    assert_eq!(blobs(&bench, task).await, []);
    assert_eq!(bench.store.unreferenced(&[blob(2)]).await.unwrap(), [], "another image is the same bytes");
    bench.change(delete(other)).await.unwrap();
    assert_eq!(bench.store.unreferenced(&[blob(2)]).await.unwrap(), [blob(2)]);
    assert_eq!(listed(&bench, Caller::Anonymous, None, 9).await, []);
    // Also where it is made and deleted by one group: the number is the next one.
    let new = image(1, NO_QUOTA);
    let name = new.name.clone();
    let next = TaskId(other.0 + 1);
    let made = ids(&bench.create(vec![upload(None, new)]).await);
    assert_eq!(made, [next]);
    let ann = bench.user("ann@example.com").await;
    let theirs = put(&bench, Some(ann), image(1, NO_QUOTA)).await;
    let caller = Caller::User(ann);
    bench.one(Command::DeleteUser { user: ann, caller }).await;
    bench.one(Command::Purge { limit: 9 }).await;
    assert_eq!(bench.store.task(theirs).await.unwrap(), None);
    assert!(look(&bench, &name).await.is_some());
}

async fn a_quota_lets_in_as_many_as_it_says(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let quota = Quota { images: Some(3), bytes: None };
    let new = || image(10, quota);
    let of = |owner: Option<UserId>, many: usize| {
        Command::Create((0..many).map(|_| upload(owner, new())).collect())
    };
    put(&bench, Some(ann), new()).await;
    match bench.one(of(Some(ann), 3)).await {
        Reply::OverQuota(told, usage) => {
            assert_eq!((told, usage), (quota, Usage { images: 3, bytes: 30 }), "all or none");
        }
        other => panic!("{other:?}"),
    }
    // What a group lets in counts for its next command; others are not touched.
    let group = [of(Some(ann), 1), of(Some(ann), 1), of(Some(ann), 1), of(None, 3), of(None, 1)];
    let replies = bench.group(&group).await;
    let let_in: Vec<bool> = replies.iter().map(|reply| matches!(reply, Reply::Created(_))).collect();
    assert_eq!(let_in, [true, true, false, true, false], "{replies:?}");
    // Without a quota any number; and one that is gone leaves room.
    put(&bench, Some(ann), image(10, NO_QUOTA)).await;
    let task = TaskId(1);
    assert_eq!(bench.task(task).await.life.owner, Some(ann));
    for task in [task, put(&bench, Some(ann), image(10, NO_QUOTA)).await] {
        bench.change(Command::Delete { task, caller: Caller::User(ann) }).await.unwrap();
    }
    assert!(matches!(bench.one(of(Some(ann), 1)).await, Reply::OverQuota(..)), "three of four are left");
}

async fn a_quota_of_bytes_counts_what_is_stored(bench: Bench) {
    let quota = Quota { images: None, bytes: Some(2_000) };
    let ask = |bytes| Command::Create(vec![upload(None, image(bytes, quota))]);
    stored(&bench, None).await; // 1,000 came, 900 are stored.
    match bench.one(ask(1_101)).await {
        Reply::OverQuota(_, usage) => assert_eq!(usage, Usage { images: 1, bytes: 900 }),
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.one(ask(1_100)).await, Reply::Created(_)));
    assert!(matches!(bench.one(ask(1)).await, Reply::OverQuota(..)));
}

async fn racing_uploads_do_not_pass_a_quota_together(bench: Bench) {
    let quota = Quota { images: Some(7), bytes: Some(70) };
    let other = bench.another_if_there_can_be().await;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..40 {
        let store = other.clone().filter(|_| racer % 2 == 0).unwrap_or_else(|| bench.store.clone());
        racers.spawn(async move {
            let create = Command::Create(vec![upload(None, image(10, quota))]);
            store.commit(&[create]).await.unwrap().replies.remove(0).unwrap()
        });
    }
    let replies = racers.join_all().await;
    let let_in = replies.iter().filter(|reply| matches!(reply, Reply::Created(_))).count();
    assert_eq!(let_in, 7, "{replies:?}");
}

async fn pictures_with_tasks_count_as_images_do_and_go_with_their_tasks(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let quota = Quota { images: Some(3), bytes: Some(100) };
    let with_picture = |owner, bytes, quota| {
        let attachments = vec![attachment(Role::Input, 3, bytes)];
        NewTask { owner, attachments, picture: Some(NewPicture { bytes, quota }), ..manual() }
    };
    // Whether they are limited themselves or not, they are there.
    let task = ids(&bench.create(vec![with_picture(Some(ann), 60, NO_QUOTA)]).await)[0];
    let ask = |bytes| Command::Create(vec![upload(Some(ann), image(bytes, quota))]);
    match bench.one(ask(41)).await {
        Reply::OverQuota(told, usage) => assert_eq!((told, usage), (quota, Usage { images: 1, bytes: 60 })),
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.one(ask(30)).await, Reply::Created(_)));
    let picture = |bytes| Command::Create(vec![with_picture(Some(ann), bytes, quota)]);
    match bench.one(picture(11)).await {
        Reply::OverQuota(_, usage) => assert_eq!(usage, Usage { images: 2, bytes: 90 }),
        other => panic!("{other:?}"),
    }
    let replies = bench.group(&[picture(1), picture(1)]).await;
    assert!(matches!(replies[..], [Reply::Created(_), Reply::OverQuota(..)]), "{replies:?}");
    // A task without a picture is none, and another's is another's.
    assert!(matches!(
        bench.one(Command::Create(vec![NewTask { owner: Some(ann), ..manual() }])).await,
        Reply::Created(_)
    ));
    assert!(matches!(
        bench.one(Command::Create(vec![with_picture(None, 99, quota)])).await,
        Reply::Created(_)
    ));
    bench.change(Command::Delete { task, caller: Caller::User(ann) }).await.unwrap();
    assert!(matches!(bench.one(picture(69)).await, Reply::Created(_)));
    assert!(matches!(bench.one(ask(1)).await, Reply::OverQuota(..)));
}
