//! Images that are there without having been uploaded: whatever bytes a test wants under whatever facts, as the store
//! has them once an upload was taken, waits or was refused.

use std::io::Write;
use std::time::Duration;

use gristmill::account::TokenHash;
use gristmill::media::image::{Facts, Format};
use gristmill::store::{Claim, Command, Committed, NewImage, NewTask, Quota, Registration, Reply, Store};
use gristmill::task::{
    Attachment, Attempt, Backoff, Failure, FailureReason, ImageId, ImageName, Json, NodeId, Outcome, Role,
    TaskId,
};

use crate::harness::Daemon;

/// An image that a test put there.
pub(crate) struct Planted {
    pub(crate) name: ImageName,
    pub(crate) task: TaskId,
    /// Where it is served.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// How far its task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    Refused,
    Ready,
}

impl Daemon {
    /// An image that is ready.
    pub(crate) async fn plant(&self, format: Format, filename: &str, bytes: Vec<u8>) -> Planted {
        self.plant_at(Stage::Ready, format, filename, bytes).await
    }

    /// An image that nobody owns. One that waits needs a daemon in which nobody works.
    pub(crate) async fn plant_at(
        &self,
        stage: Stage,
        format: Format,
        filename: &str,
        bytes: Vec<u8>,
    ) -> Planted {
        let name = ImageName::fresh(format.extension());
        let facts = Facts { format, width: 1, height: 1, frames: 1, thumbhash: vec![1, 2, 3] };
        let image = NewImage {
            id: ImageId::fresh(),
            name: name.clone(),
            filename: filename.to_owned(),
            format,
            bytes: bytes.len() as u64,
            width: 1,
            height: 1,
            frames: 1,
            delete_token: TokenHash::trusted("00".repeat(32)),
            quota: Quota::default(),
        };
        let kind: gristmill::task::Kind = "image".parse().unwrap();
        let new = NewTask { image: Some(image), ..NewTask::plain(kind.clone(), None) };
        let create = Command::Create(vec![new]);
        let node = NodeId::fresh();
        let claim = Claim {
            node,
            want: vec![(kind, 1)],
            look: false,
            known: Vec::new(),
            promote: false,
            suspect: false,
        };
        let task = if stage == Stage::Waiting {
            created(self.store.commit(&[create]).await.unwrap())
        } else {
            let seat = format!("seat of {node}");
            let lease = Duration::from_secs(3600);
            let planter = Registration { node, seat, name: "planter".to_owned(), lease, predecessor: None };
            self.store.register(&planter).await.unwrap();
            // In one commit, so that no other worker comes between.
            created(self.store.commit(&[create, Command::Claim(claim)]).await.unwrap())
        };
        let mut draft = self.blobs.draft().unwrap();
        draft.write_all(&bytes).unwrap();
        let kept = self.blobs.keep(draft).unwrap();
        let outcome = match stage {
            Stage::Waiting => None,
            Stage::Refused => Some(Outcome::Failed(Failure::new(
                FailureReason::InvalidInput,
                "the image is damaged".to_owned(),
            ))),
            Stage::Ready => {
                let output = Attachment { role: Role::Output, blob: kept.name.clone(), bytes: kept.bytes };
                Some(Outcome::Completed { result: Json::null(), output: Some(output), drop_input: false })
            }
        };
        if let Some(outcome) = outcome {
            let image = (stage == Stage::Ready).then_some(facts);
            let attempt = Attempt(1);
            let settle = Command::Settle { task, attempt, outcome, backoff: Backoff::default(), image };
            let settled = self.store.commit(&[settle]).await.unwrap();
            assert!(matches!(settled.replies[..], [Ok(Reply::Settled(Ok(_)))]), "{settled:?}");
        }
        Planted { path: format!("/images/{name}"), name, task, bytes }
    }

    /// Removes an image as another node would: nobody here hears of it.
    pub(crate) async fn removed_elsewhere(&self, task: TaskId) {
        let caller = gristmill::account::Caller::Anonymous;
        let delete = Command::Delete { task, caller };
        let deleted = self.store.commit(&[delete]).await.unwrap();
        assert!(matches!(deleted.replies[..], [Ok(Reply::Changed(Ok(_)))]), "{deleted:?}");
    }

    /// A number of `/metrics`, by its series.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }
}

fn created(committed: Committed) -> TaskId {
    match committed.replies.into_iter().next() {
        Some(Ok(Reply::Created(made))) => made[0].task.life.id,
        other => panic!("{other:?}"),
    }
}
