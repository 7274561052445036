//! Producers: they send tasks through the broker until it confirms each message, and write down what became of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill::broker::{Broker, Publish};
use gristmill::clock::Clock;
use gristmill::telemetry::Health;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::common::rabbit::settings;
use crate::history::{Answer, Ask, Entry};
use crate::load::Clients;

/// Where tasks come from.
pub(super) const QUEUE: &str = "task_queue";

/// A producer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Producer {
    broker: Broker,
    clients: Clients,
    confirmed: Arc<Mutex<Vec<String>>>,
}

/// A producer at work.
pub(super) struct Flood {
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl Flood {
    /// Lets it finish: what the broker does not confirm any more is of unknown effect.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.work.await.unwrap();
    }
}

impl Producer {
    /// One whose messages go into the history of `clients`.
    pub(super) fn new(url: &str, clients: &Clients) -> Self {
        let broker = Broker::start(&settings(url, &[]), Health::new(), Clock::system());
        Self {
            broker: broker.unwrap().expect("an address"),
            clients: clients.clone(),
            confirmed: Arc::default(),
        }
    }

    /// The connections it has, for looking at the broker.
    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How many messages were confirmed.
    pub(super) fn confirmed(&self) -> usize {
        self.confirmed.lock().unwrap().len()
    }

    /// Sends so many messages and waits until all are confirmed.
    pub(super) async fn send(&self, count: usize) {
        let (_never, stop) = watch::channel(false);
        let tags: Vec<String> = (0..count).map(|_| self.clients.mark()).collect();
        for page in tags.chunks(Self::PAGE) {
            self.page(page.to_vec(), true, &stop).await;
        }
    }

    /// Sends again all that was ever confirmed, as a producer would who knows that the broker has forgotten it.
    pub(super) async fn send_all_again(&self) {
        let (_never, stop) = watch::channel(false);
        let tags = self.confirmed.lock().unwrap().clone();
        for page in tags.chunks(Self::PAGE) {
            self.page(page.to_vec(), false, &stop).await;
        }
    }

    /// Begins to send, about so many messages a second.
    pub(super) fn start(&self, rate: usize) -> Flood {
        let stop = watch::Sender::new(false);
        let (this, stopped) = (self.clone(), stop.subscribe());
        let work = tokio::spawn(async move {
            let page = rate.div_ceil(20).min(Self::PAGE);
            let mut beat = tokio::time::interval(Duration::from_secs_f64(page as f64 / rate as f64));
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !*stopped.borrow() {
                beat.tick().await;
                let tags = (0..page).map(|_| this.clients.mark()).collect();
                this.page(tags, true, &stopped).await;
            }
        });
        Flood { stop, work }
    }

    /// Messages at a time.
    const PAGE: usize = 100;

    /// Sends messages until each is confirmed, or `stopped`.
    async fn page(&self, tags: Vec<String>, new: bool, stopped: &watch::Receiver<bool>) {
        let mut left = tags;
        loop {
            let messages = left.iter().map(|tag| message(tag)).collect();
            let answers = self.broker.publish(messages).await;
            let (mut done, mut again) = (Vec::new(), Vec::new());
            for (tag, answer) in left.into_iter().zip(answers) {
                // Not confirmed: perhaps it is there all the same. The broker's answer does not matter further.
                if answer.is_ok() { &mut done } else { &mut again }.push(tag);
            }
            if new {
                self.note(&done, &Answer::Done { tasks: Vec::new(), recording: None });
                self.confirmed.lock().unwrap().extend(done);
            }
            if again.is_empty() {
                return;
            }
            if *stopped.borrow() {
                if new {
                    self.note(&again, &Answer::Unknown);
                }
                return;
            }
            left = again;
            // Until the broker may be back.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn note(&self, tags: &[String], answer: &Answer) {
        let entry = |tag: &String| Entry { ask: Ask::Message { tag: tag.clone() }, answer: answer.clone() };
        self.clients.note(tags.iter().map(entry));
    }
}

fn message(tag: &str) -> Publish {
    Publish::to_queue(QUEUE, json!({"tags": [tag]}).to_string())
        .content_type("application/json")
        .message_id(tag)
        .persistent(true)
        .mandatory(true)
}
