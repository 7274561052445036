//! A store that fails on demand: the real one behind a switch.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gristmill::account::{
    Caller, CounterDay, CountersNow, Day, LoginName, PasswordHash, Portfolio, TokenHash, User,
};
use gristmill::store::{
    Callback, CallbackState, Command, Committed, CreatedTotal, Holdings, Housekeeping, Image, KindDepth,
    KindLoad, Listener, Minute, Node, NodeReport, Overview, Page, Pause, QuestionFilter, Questions, Rate,
    Recording, Registration, ReplyTo, Report, ReportLine, Reports, SavedQuestions, Selection, SqliteStore,
    Storage, Store, StoreError, TaskFilter, Told, Totals, UserLine, UserSearch,
};
use gristmill::task::{
    Attachment, Attempt, BlobName, Event, EventSeq, ImageName, Kind, NewQuestion, NodeId, Question,
    QuestionId, RecordingId, ReportId, Status, Task, TaskId, Timestamp, UserId,
};

/// The store and its switch.
pub struct FaultyStore {
    real: SqliteStore,
    fault: AtomicU8,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    None = 0,
    /// The database does not answer.
    Unavailable = 1,
    /// The code panics.
    Panic = 2,
    /// A row is corrupt.
    Corrupt = 3,
    /// It never answers.
    Silent = 4,
}

impl FaultyStore {
    pub fn new(real: SqliteStore) -> Arc<Self> {
        Arc::new(Self { real, fault: AtomicU8::new(0) })
    }

    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.fault.load(Ordering::SeqCst) {
            1 => {
                Err(StoreError::Unavailable { doing: "secret statement", source: sqlx::Error::PoolTimedOut })
            }
            2 => panic!("a bug of ours"),
            3 => Err(StoreError::Corrupt { table: "secret_table", row: "7".into(), problem: "rot".into() }),
            4 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

macro_rules! delegate {
    ($part:ident { $(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $out:ty;)+ } $($more:tt)*) => {
        #[async_trait]
        impl $part for FaultyStore {
            $(
                async fn $name(&self $(, $argument: $type)*) -> Result<$out, StoreError> {
                    self.check().await?;
                    self.real.$name($($argument),*).await
                }
            )+

            $($more)*
        }
    };
}

delegate! {
    Questions {
        fn save_questions(&self, task: TaskId, attempt: Attempt, goal: u32, questions: &[NewQuestion]) -> Option<SavedQuestions>;
        fn questions_of(&self, task: TaskId) -> u32;
        fn question(&self, id: QuestionId) -> Option<Question>;
        fn newest_question(&self) -> Option<QuestionId>;
        fn questions(&self, filter: &QuestionFilter, before: Option<QuestionId>, limit: u32) -> Vec<Question>;
    }
}

delegate! {
    Reports {
        fn counters(&self, user: UserId) -> CountersNow;
        fn counter_days(&self, user: UserId, from: Day) -> Vec<CounterDay>;
        fn portfolio(&self, user: UserId, since: Timestamp, recent: u32) -> Option<Portfolio>;
        fn report(&self, id: ReportId) -> Option<Report>;
        fn expired_reports(&self, limit: u32) -> Vec<TaskId>;
    }
}

delegate! {
    Holdings {
        fn storage(&self) -> Storage;
        fn report_lines(&self, before: Option<TaskId>, limit: u32) -> Vec<ReportLine>;
        fn user_lines(&self, search: &UserSearch, before: Option<UserId>, limit: u32) -> Vec<UserLine>;
        fn count_selected(&self, selection: &Selection, most: u32) -> u64;
    }
}

delegate! {
    Housekeeping {
        fn ended(&self, kind: &Kind, status: Status, before: Timestamp, limit: u32) -> Vec<TaskId>;
        fn count_ended(&self, kind: &Kind, status: Status, before: Timestamp) -> u64;
        fn forget_events(&self, before: Timestamp, relayed: bool, limit: u32) -> u64;
        fn forgotten_events(&self) -> EventSeq;
        fn moved_away(&self) -> Option<Timestamp>;
    }
}

delegate! {
    Overview {
        fn pauses(&self) -> Vec<Pause>;
        fn loads(&self) -> Vec<KindLoad>;
        fn selected(&self, selection: &Selection, after: Option<TaskId>, limit: u32) -> Vec<TaskId>;
        fn history(&self, since: Timestamp) -> Vec<Minute>;
        fn write_history(&self, counter: &str, minutes: &[Minute]) -> ();
        fn forget_history(&self, before: Timestamp) -> u64;
        fn tell_node(&self, node: NodeId, report: &NodeReport) -> ();
        fn nodes(&self, limit: u32) -> Vec<Node>;
        fn totals(&self) -> Totals;
    }
}

delegate! {
    Store {
        fn commit(&self, commands: &[Command]) -> Committed;
        fn register(&self, registration: &Registration) -> ();
        fn renew(&self, node: NodeId, lease: Duration) -> bool;
        fn retire(&self, node: NodeId) -> ();
        fn task(&self, id: TaskId) -> Option<Task>;
        fn tasks(&self, filter: &TaskFilter, page: &Page) -> Vec<Task>;
        fn held_by(&self, node: NodeId) -> Vec<(TaskId, Attempt)>;
        fn depths(&self) -> Vec<KindDepth>;
        fn events_after(&self, after: EventSeq, limit: u32) -> Vec<(EventSeq, Event)>;
        fn events_of(&self, task: TaskId, after: EventSeq, limit: u32) -> Vec<(EventSeq, Event)>;
        fn newest_events_of(&self, task: TaskId, limit: u32) -> Vec<(EventSeq, Event)>;
        fn newest_event(&self) -> EventSeq;
        fn any_free(&self, kinds: &[Kind], caller: Caller) -> bool;
        fn free_for(&self, kind: &Kind, age: Duration, limit: u32) -> Vec<TaskId>;
        fn created_total(&self, owner: Option<UserId>) -> CreatedTotal;
        fn callback_of(&self, task: TaskId) -> Option<CallbackState>;
        fn replies_of(&self, tasks: &[TaskId]) -> Vec<(TaskId, ReplyTo)>;
        fn hold_duty(&self, name: &str, node: NodeId) -> bool;
        fn drop_duty(&self, name: &str, node: NodeId) -> ();
        fn begin_relay(&self, name: &str) -> ();
        fn relay(&self, name: &str, node: NodeId, told: Option<EventSeq>) -> Option<EventSeq>;
        fn due_callbacks(&self, limit: u32, hold: Duration) -> Vec<Callback>;
        fn told(&self, task: TaskId, told: &Told) -> bool;
        fn replied(&self, task: TaskId) -> ();
        fn is_answered(&self, scope: &str, key: &str) -> bool;
        fn forget_answers(&self, limit: u32) -> u64;
        fn announce(&self, word: &str) -> ();
        fn listen(&self) -> Option<Box<dyn Listener>>;
        fn user(&self, id: UserId) -> Option<User>;
        fn user_by_token(&self, token: &TokenHash) -> Option<User>;
        fn users(&self, after: Option<UserId>, limit: u32) -> Vec<User>;
        fn user_by_session(&self, session: &TokenHash) -> Option<User>;
        fn credentials(&self, login: &LoginName) -> Option<(UserId, PasswordHash)>;
        fn open_session(&self, session: &TokenHash, user: UserId, password: &PasswordHash, span: Duration) -> bool;
        fn renew_password(&self, user: UserId, old: &PasswordHash, new: &PasswordHash) -> bool;
        fn close_session(&self, session: &TokenHash) -> bool;
        fn spend(&self, key: &str, uses: u32, rate: Rate) -> Option<Duration>;
        fn forgive(&self, key: &str) -> ();
        fn forget_expired(&self, limit: u32) -> u64;
        fn image(&self, name: &ImageName) -> Option<Image>;
        fn images(&self, caller: Caller, before: Option<TaskId>, limit: u32) -> Vec<Image>;
        fn attachments_of(&self, task: TaskId) -> Vec<Attachment>;
        fn recording(&self, id: RecordingId) -> Option<Recording>;
        fn recordings(&self, caller: Caller, before: Option<TaskId>, limit: u32) -> Vec<Recording>;
        fn unreferenced(&self, blobs: &[BlobName]) -> Vec<BlobName>;
        fn holds_blobs(&self) -> bool;
        fn ping(&self) -> ();
        fn schema(&self) -> i64;
        fn reusable(&self) -> u64;
        fn now(&self) -> Timestamp;
    }

    // A sign of life that nothing comes of here: faults are for what does something.
    async fn present(&self, node: NodeId) -> Result<(), StoreError> {
        self.real.present(node).await
    }

    async fn close(&self) {
        self.real.close().await;
    }
}
