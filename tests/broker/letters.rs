//! Looking after the dead queue as the pages do: within bounds, by keys, in turns.

use std::time::Duration;

use gristmill::broker::{Bounds, Choice, DeadQueue, DeadQueueError, Letter, Removal, Which};

use crate::dead::{buried, whole};
use crate::node::{Ours, fresh};

const BOUNDS: Bounds = Bounds { messages: 100, bytes: 1 << 20, time: Duration::from_secs(20) };

async fn letters(queue: &DeadQueue) -> Vec<Letter> {
    queue.look(BOUNDS, Letter::clone).await.unwrap().lines
}

fn bodies(letters: &[Letter]) -> Vec<&[u8]> {
    letters.iter().map(|letter| &letter.delivery.body[..]).collect()
}

fn keys(letters: &[Letter]) -> Vec<Which> {
    letters.iter().map(|letter| Which::Key(letter.key.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_ends_at_its_bounds_and_says_what_is_behind() {
    let (ours, queue) = buried(&["one", "two", "three"]).await;
    let queue = DeadQueue::new(ours.broker.clone(), &queue);
    assert_eq!(queue.count().await.unwrap(), 3);
    let few = queue.look(Bounds { messages: 2, ..BOUNDS }, |letter| letter.position).await.unwrap();
    assert_eq!((few.lines, few.behind), (vec![1, 2], 1));
    let small = queue.look(Bounds { bytes: 4, ..BOUNDS }, |letter| letter.position).await.unwrap();
    assert_eq!((small.lines, small.behind), (vec![1, 2], 1));
    let all = letters(&queue).await;
    assert_eq!(bodies(&all), [&b"one"[..], b"two", b"three"]);
    assert!(all.iter().all(|letter| letter.since().is_some() && letter.reason().is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_has_no_time_is_an_error_and_hides_nothing() {
    let (ours, queue) = buried(&["one"]).await;
    let dead = DeadQueue::new(ours.broker.clone(), &queue);
    let none = Bounds { time: Duration::ZERO, ..BOUNDS };
    assert!(matches!(dead.look(none, |_| ()).await, Err(DeadQueueError::TimedOut { .. })));
    let chosen = Choice::These(vec![Which::Position(1)]);
    let refused = dead.remove(none, &chosen, Removal::Purge).await;
    assert!(matches!(refused, Err(DeadQueueError::TimedOut { .. })), "{refused:?}");
    let nothing = dead.remove(none, &Choice::All, Removal::Purge).await.unwrap();
    assert_eq!((nothing.count, nothing.left), (0, 1));
    assert_eq!(letters(&dead).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_share_it_take_turns_and_see_the_same() {
    let (ours, queue) = buried(&["one", "two", "three"]).await;
    let dead = DeadQueue::new(ours.broker.clone(), &queue);
    let (one, other) = (dead.clone(), dead.clone());
    let (one, other, third) = tokio::join!(letters(&one), letters(&other), letters(&dead));
    assert_eq!(keys(&one), keys(&other));
    assert_eq!(keys(&one), keys(&third));
    assert_eq!(one.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_means_one_message_wherever_it_stands() {
    let (ours, queue) = buried(&["one", "two", "three", "four"]).await;
    let dead = DeadQueue::new(ours.broker.clone(), &queue);
    let known = letters(&dead).await;
    let first = Choice::These(keys(&known[..1]));
    assert_eq!(dead.remove(BOUNDS, &first, Removal::Purge).await.unwrap().count, 1);
    // All behind it moved up by one.
    let chosen = Choice::These(keys(&known[2..]));
    let removed = dead.remove(BOUNDS, &chosen, Removal::Redrive).await.unwrap();
    assert_eq!((removed.count, removed.left), (2, 0));
    assert!(removed.stopped.is_none());
    assert_eq!(bodies(&letters(&dead).await), [b"two"]);
    let back = whole(&ours, &queue).await;
    assert_eq!(back.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [&b"three"[..], b"four"]);

    let found = dead.find(BOUNDS, &keys(&known[1..2])[0]).await.unwrap();
    assert_eq!((found.position, &found.delivery.body[..]), (1, &b"two"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_chosen_ones_all_go_or_none() {
    let (ours, queue) = buried(&["one", "two"]).await;
    let dead = DeadQueue::new(ours.broker.clone(), &queue);
    let mut chosen = keys(&letters(&dead).await);
    chosen.push(Which::Key("0".repeat(32)));
    let refused = dead.remove(BOUNDS, &Choice::These(chosen), Removal::Purge).await;
    let Err(DeadQueueError::Unmet { unmet, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(unmet, [Which::Key("0".repeat(32))]);
    assert_eq!(letters(&dead).await.len(), 2);
    // What lies behind the bounds is not looked for.
    let near = Bounds { messages: 1, ..BOUNDS };
    let second = Choice::These(vec![Which::Id("m2".into())]);
    assert!(matches!(dead.remove(near, &second, Removal::Purge).await, Err(DeadQueueError::Unmet { .. })));
    assert_eq!(dead.remove(BOUNDS, &second, Removal::Purge).await.unwrap().count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_goes_in_steps() {
    let (ours, queue) = buried(&["a", "b", "c", "d", "e"]).await;
    let dead = DeadQueue::new(ours.broker.clone(), &queue);
    let step = Bounds { messages: 2, ..BOUNDS };
    for left in [3, 1, 0] {
        assert_eq!(dead.remove(step, &Choice::All, Removal::Redrive).await.unwrap().left, left);
    }
    assert_eq!(dead.count().await.unwrap(), 0);
    assert_eq!(whole(&ours, &queue).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_queue_is_an_empty_one_and_no_broker_is_an_error() {
    let ours = Ours::shared().await;
    let dead = DeadQueue::new(ours.broker.clone(), &fresh("never"));
    assert_eq!(dead.count().await.unwrap(), 0);
    assert!(letters(&dead).await.is_empty());
    assert_eq!(dead.remove(BOUNDS, &Choice::All, Removal::Purge).await.unwrap().count, 0);

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = Ours::begin(&format!("amqp://me:hidden@127.0.0.1:{port}"), &[]);
    let dead = DeadQueue::new(away.broker.clone(), "work");
    let refused = dead.look(BOUNDS, |_| ()).await;
    let Err(DeadQueueError::Topology(error)) = refused else { panic!("{refused:?}") };
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_body_the_beginning_is_shown() {
    let (ours, queue) = buried(&["жук\u{1b}[2J\nend"]).await;
    let letter = letters(&DeadQueue::new(ours.broker.clone(), &queue)).await.remove(0);
    assert_eq!(letter.beginning(3), ("жук".to_owned(), false));
    assert_eq!(letter.beginning(100), ("жук\u{fffd}[2J\nend".to_owned(), true));
    assert_eq!(letter.beginning(11), ("жук\u{fffd}[2J\nend".to_owned(), true));
    assert_eq!(letter.beginning(0), (String::new(), false));
}
