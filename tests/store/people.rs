//! Users who change and go, what goes with them, their sessions, and allowances.

use std::time::Duration;

use gristmill::account::{
    Avatar, Caller, Change, LoginName, NewUser, PasswordHash, Role, Token, TokenHash, User, UserChange,
    UserError,
};
use gristmill::store::{Command, NewTask, Purged, Rate, Reply, TaskFilter, UserRefused};
use gristmill::task::{BlobName, EventSeq, Holder, Status, TaskId, UserId};

use crate::bench::{Bench, ids, manual, new_task, new_user, once, page, take};

on_both!(
    a_user_is_made_with_all_that_was_said,
    a_change_touches_what_it_names_and_nothing_else,
    an_email_is_of_one_user_at_a_time,
    only_an_admin_says_who_is_one_and_strangers_say_nothing,
    another_password_ends_all_sessions_but_the_one_that_asked,
    a_new_token_is_the_only_one,
    a_login_finds_whoever_has_a_password_and_of_one_name_the_oldest,
    who_is_gone_is_nobody_and_leaves_nothing_behind,
    what_is_theirs_goes_in_chunks_and_running_work_is_cancelled_first,
    what_was_in_their_hands_is_free_and_what_went_on_to_others_is_not_touched,
    a_number_is_forgotten_after_a_day_and_never_given_again,
    a_session_holds_until_its_time_is_over,
    an_allowance_is_spent_in_a_burst_and_then_at_its_pace,
    fifty_racing_spends_let_exactly_as_many_through_as_there_are,
    an_admin_sees_the_tasks_of_all_and_filters_them,
);

const OPERATOR: Caller = Caller::Admin(None);

fn hash() -> TokenHash {
    Token::fresh().hash()
}

fn password(text: &str) -> PasswordHash {
    PasswordHash::trusted(format!("$argon2id${text}"))
}

fn avatar(byte: u8) -> Avatar {
    Avatar { blob: BlobName::of_digest(&[byte; 32]), bytes: u64::from(byte) }
}

fn full(email: &str) -> NewUser {
    let mut user = NewUser::new(Some("Ann".parse().unwrap()), Some(email.parse().unwrap()), hash()).unwrap();
    user.password = Some(password("one"));
    user.gender = Some("f".parse().unwrap());
    user.avatar = Some(avatar(7));
    user
}

async fn made(bench: &Bench, new: NewUser) -> User {
    match bench.one(Command::CreateUser(new)).await {
        Reply::UserCreated(Some(user)) => user,
        other => panic!("{other:?}"),
    }
}

async fn change(bench: &Bench, id: UserId, caller: Caller, change: UserChange) -> Result<User, UserRefused> {
    match bench.one(Command::ChangeUser { user: id, caller, change, session: None }).await {
        Reply::UserChanged(changed) => changed.map(|user| *user),
        other => panic!("{other:?}"),
    }
}

async fn delete(bench: &Bench, id: UserId, caller: Caller) -> Result<User, UserRefused> {
    match bench.one(Command::DeleteUser { user: id, caller }).await {
        Reply::UserChanged(gone) => gone.map(|user| *user),
        other => panic!("{other:?}"),
    }
}

async fn purge(bench: &Bench, limit: u32) -> Purged {
    match bench.one(Command::Purge { limit }).await {
        Reply::Purged(purged) => purged,
        other => panic!("{other:?}"),
    }
}

/// A session by the password that the user has just now, if they are still somebody who has one.
async fn begun(bench: &Bench, user: UserId, seconds: u64) -> Option<TokenHash> {
    let (_, password) = login(bench, LoginName::Id(user)).await?;
    let (session, span) = (hash(), Duration::from_secs(seconds));
    bench.store.open_session(&session, user, &password, span).await.unwrap().then_some(session)
}

async fn session(bench: &Bench, user: UserId) -> TokenHash {
    begun(bench, user, 3600).await.unwrap()
}

async fn of_session(bench: &Bench, session: &TokenHash) -> Option<UserId> {
    bench.store.user_by_session(session).await.unwrap().map(|user| user.id)
}

async fn login(bench: &Bench, name: LoginName) -> Option<(UserId, PasswordHash)> {
    bench.store.credentials(&name).await.unwrap()
}

async fn a_user_is_made_with_all_that_was_said(bench: Bench) {
    let mut new = full("Ann@Example.com");
    new.role = Role::Admin;
    let ann = made(&bench, new.clone()).await;
    assert_eq!(ann.email.as_ref().unwrap().as_str(), "ann@example.com");
    assert_eq!((ann.role, ann.has_password, &ann.avatar), (Role::Admin, true, &Some(avatar(7))));
    assert_eq!(bench.store.user(ann.id).await.unwrap().as_ref(), Some(&ann));
    assert_eq!(bench.store.user_by_token(&new.token).await.unwrap().as_ref(), Some(&ann));
    let bob = made(&bench, NewUser::new(Some("Bob".parse().unwrap()), None, hash()).unwrap()).await;
    assert_eq!((bob.role, bob.has_password, &bob.avatar, &bob.gender), (Role::User, false, &None, &None));
    let eve = made(&bench, new_user("eve@example.com")).await;
    let listed = bench.store.users(None, 2).await.unwrap();
    assert_eq!(listed, [ann, bob.clone()]);
    assert_eq!(bench.store.users(Some(bob.id), 2).await.unwrap(), [eve]);
}

async fn a_change_touches_what_it_names_and_nothing_else(bench: Bench) {
    let new = full("ann@example.com");
    let ann = made(&bench, new.clone()).await;
    let me = Caller::User(ann.id);
    assert_eq!(change(&bench, ann.id, me, UserChange::default()).await.as_ref(), Ok(&ann));
    let renamed = UserChange {
        name: Change::Set("Анна".parse().unwrap()),
        gender: Change::Clear,
        avatar: Change::Set(avatar(8)),
        ..UserChange::default()
    };
    let changed = change(&bench, ann.id, me, renamed).await.unwrap();
    let expected =
        User {
            name: Some("Анна".parse().unwrap()), gender: None, avatar: Some(avatar(8)), ..ann.clone()
        };
    assert_eq!(changed, expected);
    assert_eq!(bench.store.user_by_token(&new.token).await.unwrap(), Some(expected));
    let kept = login(&bench, LoginName::Id(ann.id)).await.unwrap();
    assert_eq!(kept, (ann.id, password("one")));

    let no_name = UserChange { name: Change::Clear, ..UserChange::default() };
    let no_email = UserChange { email: Change::Clear, ..UserChange::default() };
    assert_eq!(change(&bench, ann.id, me, no_name).await.unwrap().name, None);
    let nameless = change(&bench, ann.id, me, no_email).await;
    assert_eq!(nameless, Err(UserRefused::Invalid(UserError::Nameless)));
    assert!(bench.store.user(ann.id).await.unwrap().unwrap().email.is_some(), "refused whole");
    let no_password = UserChange { password: Change::Clear, ..UserChange::default() };
    assert!(!change(&bench, ann.id, me, no_password).await.unwrap().has_password);
    assert_eq!(login(&bench, LoginName::Id(ann.id)).await, None);
}

async fn an_email_is_of_one_user_at_a_time(bench: Bench) {
    let email = |text: &str| UserChange {
        email: Change::Set(text.parse().unwrap()),
        gender: Change::Set("f".parse().unwrap()),
        ..UserChange::default()
    };
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    let bob = made(&bench, new_user("bob@example.com")).await.id;
    let taken = bench.one(Command::CreateUser(new_user("ANN@example.com"))).await;
    assert!(matches!(taken, Reply::UserCreated(None)), "{taken:?}");
    let refused = change(&bench, bob, Caller::User(bob), email("ann@example.com")).await;
    assert_eq!(refused, Err(UserRefused::EmailTaken));
    let unchanged = bench.store.user(bob).await.unwrap().unwrap();
    assert_eq!((unchanged.email.unwrap().as_str(), unchanged.gender), ("bob@example.com", None));
    assert!(change(&bench, ann, Caller::User(ann), email("Ann@Example.com")).await.is_ok(), "their own");
    assert!(change(&bench, ann, Caller::User(ann), email("new@example.com")).await.is_ok());
    assert!(change(&bench, bob, Caller::User(bob), email("ann@example.com")).await.is_ok(), "free again");

    // Two in one group.
    let ask = |user| Command::ChangeUser {
        user,
        caller: OPERATOR,
        change: email("both@example.com"),
        session: None,
    };
    let replies = bench.group(&[ask(ann), ask(bob)]).await;
    let went: Vec<bool> = replies.iter().map(|reply| matches!(reply, Reply::UserChanged(Ok(_)))).collect();
    assert_eq!(went, [true, false], "{replies:?}");

    // Two on two nodes at once: one of them is told, none is lost.
    let Some(other) = bench.another_if_there_can_be().await else { return };
    for round in 0..10 {
        let mail = format!("race{round}@example.com");
        let ask =
            |user| [Command::ChangeUser { user, caller: OPERATOR, change: email(&mail), session: None }];
        let (mine, theirs) = (ask(ann), ask(bob));
        let (one, two) = tokio::join!(bench.store.commit(&mine), other.commit(&theirs));
        let replies = [one, two].map(|committed| committed.unwrap().replies.remove(0).unwrap());
        let went = replies.iter().filter(|reply| matches!(reply, Reply::UserChanged(Ok(_)))).count();
        assert_eq!(went, 1, "round {round}: {replies:?}");
    }
}

async fn only_an_admin_says_who_is_one_and_strangers_say_nothing(bench: Bench) {
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    let bob = made(&bench, new_user("bob@example.com")).await.id;
    let role = |role| UserChange { role: Some(role), ..UserChange::default() };
    let by = async |caller, role_| change(&bench, ann, caller, role(role_)).await;
    assert_eq!(by(Caller::User(ann), Role::Admin).await, Err(UserRefused::NotAdmin));
    assert!(by(Caller::User(ann), Role::User).await.is_ok(), "as it is already");
    for stranger in [Caller::User(bob), Caller::Anonymous] {
        assert_eq!(by(stranger, Role::User).await, Err(UserRefused::NotTheirs(ann)));
        assert_eq!(delete(&bench, ann, stranger).await, Err(UserRefused::NotTheirs(ann)));
    }
    assert_eq!(by(OPERATOR, Role::Admin).await.unwrap().role, Role::Admin);
    assert_eq!(bench.store.user(ann).await.unwrap().unwrap().role, Role::Admin);
    let admin = Caller::Admin(Some(ann));
    assert_eq!(change(&bench, bob, admin, role(Role::Admin)).await.unwrap().role, Role::Admin);
    assert_eq!(delete(&bench, bob, admin).await.unwrap().id, bob);
    assert_eq!(delete(&bench, bob, admin).await, Err(UserRefused::NotFound(bob)));
    assert_eq!(change(&bench, bob, admin, role(Role::User)).await, Err(UserRefused::NotFound(bob)));
}

async fn another_password_ends_all_sessions_but_the_one_that_asked(bench: Bench) {
    let ann = made(&bench, full("ann@example.com")).await.id;
    let bob = made(&bench, full("bob@example.com")).await.id;
    let (asking, other, bobs) =
        (session(&bench, ann).await, session(&bench, ann).await, session(&bench, bob).await);
    let ask = async |change, session: Option<&TokenHash>| {
        let session = session.cloned();
        let command = Command::ChangeUser { user: ann, caller: Caller::User(ann), change, session };
        assert!(matches!(bench.one(command).await, Reply::UserChanged(Ok(_))));
    };
    let gender = Change::Set("x".parse().unwrap());
    ask(UserChange { gender, token: Some(hash()), ..UserChange::default() }, None).await;
    assert_eq!(of_session(&bench, &other).await, Some(ann), "only a password ends sessions");
    let new = || UserChange { password: Change::Set(password("two")), ..UserChange::default() };
    ask(new(), Some(&asking)).await;
    assert_eq!(of_session(&bench, &asking).await, Some(ann));
    assert_eq!(of_session(&bench, &other).await, None);
    assert_eq!(login(&bench, LoginName::Id(ann)).await, Some((ann, password("two"))));
    ask(new(), None).await;
    assert_eq!(of_session(&bench, &asking).await, None);
    assert_eq!(of_session(&bench, &bobs).await, Some(bob));
    let span = Duration::from_secs(60);
    assert!(!bench.store.open_session(&hash(), ann, &password("one"), span).await.unwrap(), "by the old one");
    assert!(!bench.store.renew_password(ann, &password("one"), &password("1")).await.unwrap());
    assert!(bench.store.renew_password(ann, &password("two"), &password("2")).await.unwrap());
    assert!(bench.store.open_session(&hash(), ann, &password("2"), span).await.unwrap());
}

async fn a_new_token_is_the_only_one(bench: Bench) {
    let (old, new) = (hash(), hash());
    let mut user = new_user("ann@example.com");
    user.token = old.clone();
    let ann = made(&bench, user).await.id;
    let rotate = UserChange { token: Some(new.clone()), ..UserChange::default() };
    change(&bench, ann, Caller::User(ann), rotate).await.unwrap();
    assert_eq!(bench.store.user_by_token(&old).await.unwrap(), None);
    assert_eq!(bench.store.user_by_token(&new).await.unwrap().map(|user| user.id), Some(ann));
}

async fn a_login_finds_whoever_has_a_password_and_of_one_name_the_oldest(bench: Bench) {
    let named = |with: Option<&str>| {
        let mut user = NewUser::new(Some("Ann".parse().unwrap()), None, hash()).unwrap();
        user.password = with.map(password);
        user
    };
    made(&bench, named(None)).await;
    let second = made(&bench, named(Some("two"))).await.id;
    let third = made(&bench, named(Some("three"))).await.id;
    let name = || LoginName::Name("Ann".parse().unwrap());
    assert_eq!(login(&bench, name()).await, Some((second, password("two"))));
    assert_eq!(login(&bench, LoginName::Id(third)).await, Some((third, password("three"))));
    delete(&bench, second, OPERATOR).await.unwrap();
    assert_eq!(login(&bench, name()).await, Some((third, password("three"))));
    let mail = made(&bench, full("a@example.com")).await.id;
    let email = LoginName::Email("A@example.com".parse().unwrap());
    assert_eq!(login(&bench, email).await.map(|(id, _)| id), Some(mail));
    assert_eq!(login(&bench, LoginName::Name("ann".parse().unwrap())).await, None);
}

async fn who_is_gone_is_nobody_and_leaves_nothing_behind(bench: Bench) {
    let new = full("ann@example.com");
    let ann = made(&bench, new.clone()).await;
    assert_eq!(ann.id, UserId(1), "the one whose answers `once` remembers");
    let seen = session(&bench, ann.id).await;
    let create = || once("k", "create", Command::Create(vec![new_task()]));
    bench.one(create()).await;
    assert!(matches!(bench.one(create()).await, Reply::Before(_)));
    let pictures = [avatar(7).blob, avatar(9).blob];
    assert_eq!(bench.store.unreferenced(&pictures).await.unwrap(), [avatar(9).blob]);

    assert_eq!(delete(&bench, ann.id, Caller::User(ann.id)).await.as_ref(), Ok(&ann), "as they last were");
    assert_eq!(bench.store.user(ann.id).await.unwrap(), None);
    assert_eq!(bench.store.users(None, 10).await.unwrap(), []);
    assert_eq!(bench.store.user_by_token(&new.token).await.unwrap(), None);
    assert_eq!(of_session(&bench, &seen).await, None);
    let late = bench.store.open_session(&hash(), ann.id, &password("one"), Duration::from_secs(60)).await;
    assert!(!late.unwrap(), "nor does a late login bring them back");
    for name in [
        LoginName::Id(ann.id),
        LoginName::Email("ann@example.com".parse().unwrap()),
        LoginName::Name("Ann".parse().unwrap()),
    ] {
        assert_eq!(login(&bench, name.clone()).await, None, "{name:?}");
    }
    assert_eq!(bench.store.unreferenced(&pictures).await.unwrap(), pictures);
    assert!(matches!(bench.one(create()).await, Reply::Created(_)), "nobody is given their answers");
    assert!(made(&bench, new_user("ann@example.com")).await.id > ann.id, "the address is free");
}

async fn what_is_theirs_goes_in_chunks_and_running_work_is_cancelled_first(bench: Bench) {
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    let bob = made(&bench, new_user("bob@example.com")).await.id;
    let of = |owner| NewTask { owner: Some(owner), tags: vec!["t".into()], ..new_task() };
    let running = ids(&bench.create(vec![of(ann)]).await)[0];
    assert_eq!(ids(&bench.claim(1).await), [running]);
    let waiting = ids(&bench.create(vec![of(ann), of(ann), of(ann), of(ann)]).await);
    let bobs = ids(&bench.create(vec![of(bob)]).await)[0];
    assert_eq!(purge(&bench, 2).await, Purged { tasks: 0, more: false }, "nobody is gone");
    delete(&bench, ann, Caller::User(ann)).await.unwrap();
    let mut rounds = vec![purge(&bench, 2).await];
    while rounds.last().unwrap().more {
        rounds.push(purge(&bench, 2).await);
    }
    assert_eq!(rounds.iter().map(|round| round.tasks).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(bench.story(running).await, ["created", "started", "cancelled", "deleted"]);
    for task in &waiting {
        assert_eq!(bench.story(*task).await, ["created", "deleted"]);
        assert_eq!(bench.store.task(*task).await.unwrap(), None);
    }
    assert_eq!(bench.task(bobs).await.life.status(), Status::New);
    let events = bench.store.events_after(EventSeq(0), 1_000).await.unwrap();
    let owners = events.iter().filter(|(_, event)| event.task == running).map(|(_, event)| event.owner);
    assert!(owners.eq([Some(ann); 4]), "whose it was is told with each event");
    // What was under way in their name when they went.
    let late = ids(&bench.create(vec![of(ann)]).await)[0];
    assert_eq!(purge(&bench, 2).await, Purged { tasks: 1, more: false });
    assert_eq!(bench.store.task(late).await.unwrap(), None);
    assert_eq!(ids(&bench.claim(9).await), [bobs]);
}

async fn what_was_in_their_hands_is_free_and_what_went_on_to_others_is_not_touched(bench: Bench) {
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    let bob = made(&bench, new_user("bob@example.com")).await.id;
    let tasks: Vec<TaskId> = ids(&bench.create(vec![manual(); 3]).await);
    for task in &tasks[..2] {
        bench.take_id(*task, Caller::User(ann)).await.unwrap();
    }
    bench.take_id(tasks[2], Caller::User(bob)).await.unwrap();
    delete(&bench, ann, OPERATOR).await.unwrap();
    // By the time that the purge comes to it, a task was given back and is another's: in one group, on both.
    let attempt = Some(bench.task(tasks[1]).await.life.attempt);
    let release = Command::Word {
        task: tasks[1],
        attempt,
        caller: Caller::User(ann),
        word: gristmill::store::Word::Release,
        backoff: crate::bench::backoff(),
    };
    let mut to_bob = take(Caller::User(bob), 60);
    to_bob.wanted = gristmill::store::Wanted::Id(tasks[1]);
    to_bob.holder = Holder::Person;
    let replies = bench.group(&[release, Command::Take(to_bob), Command::Purge { limit: 10 }]).await;
    assert!(matches!(&replies[1], Reply::Taken(Ok(_))), "{replies:?}");
    assert_eq!(bench.task(tasks[0]).await.life.status(), Status::New);
    assert_eq!(bench.task(tasks[0]).await.life.assignee, None);
    assert_eq!(bench.task(tasks[0]).await.life.crashes, 0, "nothing is held against it");
    for task in &tasks[1..] {
        let life = bench.task(*task).await.life;
        assert_eq!((life.status(), life.assignee), (Status::InProgress, Some(bob)));
    }
    assert_eq!(bench.take_id(tasks[0], Caller::User(bob)).await.unwrap().life.assignee, Some(bob));
    assert_eq!(purge(&bench, 10).await, Purged { tasks: 0, more: false });
}

async fn a_number_is_forgotten_after_a_day_and_never_given_again(bench: Bench) {
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    delete(&bench, ann, OPERATOR).await.unwrap();
    purge(&bench, 10).await;
    let late = |bench: &Bench| {
        let task = NewTask { owner: Some(ann), ..new_task() };
        let create = Command::Create(vec![task]);
        let store = bench.store.clone();
        async move { store.commit(&[create]).await.unwrap() }
    };
    bench.advance(23 * 3600);
    purge(&bench, 10).await;
    late(&bench).await;
    assert_eq!(purge(&bench, 10).await.tasks, 1, "still known as gone");
    bench.advance(2 * 3600);
    purge(&bench, 10).await;
    late(&bench).await;
    assert_eq!(purge(&bench, 10).await.tasks, 0, "forgotten");
    let bench = bench.reopened(&crate::bench::OUTSIDE).await;
    assert!(made(&bench, new_user("ann@example.com")).await.id > ann);
}

async fn a_session_holds_until_its_time_is_over(bench: Bench) {
    let ann = made(&bench, full("ann@example.com")).await.id;
    let (short, long) = (begun(&bench, ann, 60).await.unwrap(), session(&bench, ann).await);
    assert_eq!(of_session(&bench, &short).await, Some(ann));
    assert_eq!(bench.store.forget_expired(10).await.unwrap(), 0);
    bench.advance(61);
    assert_eq!(of_session(&bench, &short).await, None);
    assert_eq!(of_session(&bench, &long).await, Some(ann));
    assert_eq!(bench.store.forget_expired(10).await.unwrap(), 1);
    assert!(!bench.store.close_session(&short).await.unwrap());
    assert!(bench.store.close_session(&long).await.unwrap());
    assert!(!bench.store.close_session(&long).await.unwrap());
    assert_eq!(of_session(&bench, &long).await, None);
    for _ in 0..3 {
        begun(&bench, ann, 60).await.unwrap();
    }
    bench.advance(61);
    let mut forgotten = Vec::new();
    while forgotten.last() != Some(&0) {
        forgotten.push(bench.store.forget_expired(2).await.unwrap());
    }
    assert_eq!(forgotten, [2, 1, 0]);
}

/// So many in a day: what passes while a test runs gives none back.
fn slow(uses: u32) -> Rate {
    Rate::per(uses, Duration::from_secs(24 * 3600))
}

async fn an_allowance_is_spent_in_a_burst_and_then_at_its_pace(bench: Bench) {
    let spend = async |uses| bench.store.spend("k", uses, slow(10)).await.unwrap();
    let each = slow(10).cost;
    assert_eq!(spend(3).await, None);
    for _ in 3..10 {
        assert_eq!(spend(1).await, None);
    }
    let about = |wait: Option<Duration>, expected: Duration| {
        let wait = wait.unwrap();
        assert!(wait <= expected && wait + Duration::from_secs(60) > expected, "{wait:?}, not {expected:?}");
    };
    about(spend(1).await, each);
    about(spend(3).await, each * 3);
    assert_eq!(bench.store.spend("other", 10, slow(10)).await.unwrap(), None);
    bench.advance(each.as_secs());
    assert_eq!(spend(1).await, None, "after exactly the wait that was told");
    assert!(spend(1).await.is_some());
    bench.store.forgive("k").await.unwrap();
    assert!(spend(11).await.is_some(), "more than there ever is, also at first");
    assert_eq!(spend(10).await, None);
    assert!(spend(11).await.is_some());
    if let Some(other) = bench.another_if_there_can_be().await {
        assert!(other.spend("k", 1, slow(10)).await.unwrap().is_some(), "nodes share it");
        other.forgive("k").await.unwrap();
        assert_eq!(spend(1).await, None);
    }
    assert_eq!(bench.store.forget_expired(10).await.unwrap(), 0);
    bench.advance(25 * 3600);
    assert_eq!(bench.store.forget_expired(10).await.unwrap(), 2, "both are whole again");
}

async fn fifty_racing_spends_let_exactly_as_many_through_as_there_are(bench: Bench) {
    let mut racers = tokio::task::JoinSet::new();
    let other = bench.another_if_there_can_be().await;
    for racer in 0..50 {
        let store = other.clone().filter(|_| racer % 2 == 0).unwrap_or_else(|| bench.store.clone());
        racers.spawn(async move { store.spend("login from 10.0.0.1", 1, slow(20)).await.unwrap() });
    }
    let let_through = racers.join_all().await.iter().filter(|wait| wait.is_none()).count();
    assert_eq!(let_through, 20);
}

async fn an_admin_sees_the_tasks_of_all_and_filters_them(bench: Bench) {
    let ann = made(&bench, new_user("ann@example.com")).await.id;
    let of_ann = || NewTask { owner: Some(ann), tags: vec!["red".into()], ..new_task() };
    let all = ids(&bench.create(vec![new_task(), of_ann(), manual(), of_ann()]).await);
    let admin = TaskFilter::of(Caller::Admin(Some(UserId(77))));
    let list = async |filter: TaskFilter| ids(&bench.store.tasks(&filter, &page(10)).await.unwrap());
    assert_eq!(list(admin.clone()).await, all);
    assert_eq!(list(TaskFilter::of(OPERATOR)).await, all);
    assert_eq!(list(TaskFilter { tag: Some("red".into()), ..admin.clone() }).await, [all[1], all[3]]);
    assert_eq!(list(TaskFilter { kind: Some("manual".parse().unwrap()), ..admin.clone() }).await, [all[2]]);
    assert_eq!(list(TaskFilter { status: Some(Status::New), ..admin.clone() }).await, all);
    assert_eq!(list(TaskFilter { status: Some(Status::Failed), ..admin }).await, []);
    assert_eq!(list(TaskFilter::of(Caller::User(UserId(77)))).await, []);
    for (task, caller) in [(all[1], OPERATOR), (all[3], Caller::Admin(Some(UserId(77))))] {
        assert!(bench.change(Command::Cancel { task, caller }).await.is_ok());
        assert!(bench.change(Command::Retry { task, caller }).await.is_ok());
        assert!(bench.change(Command::Delete { task, caller }).await.is_ok());
    }
    // Who runs the daemon sees everybody's work, and does nobody's in their stead.
    let taken = bench.take_id(all[2], Caller::User(ann)).await.unwrap();
    let word = gristmill::store::Word::Complete(gristmill::task::Json::null());
    let refused = bench.say(all[2], taken.life.attempt.0, OPERATOR, word).await;
    assert!(refused.is_err(), "{refused:?}");
}
