//! The door for what is done to many tasks at once.
//!
//! The numbers of the tasks are read first, then the tasks are changed in groups of [`GROUP`](Intake::GROUP), by number,
//! each a command among others: nobody who writes waits for more than one of them. One call does so much and no more
//! ([`MOST`](Intake::MOST), [`PATIENCE`](Intake::PATIENCE)) and says where to go on. What is done twice does no harm: a task
//! that stands where it is wanted is not selected again, or refuses.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Done, Intake, IntakeError, Turn, done};
use crate::account::Caller;
use crate::kinds::image;
use crate::store::{Bulk, BulkAct, Once, Remember, Selection, WriteError};
use crate::task::{Kind, TaskId};

impl Intake {
    /// So many tasks are changed in one transaction.
    const GROUP: usize = 500;
    /// So many are looked at in one call.
    const MOST: u32 = 10_000;
    /// After so long a call takes no further group.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Does the same to all of the caller's tasks that are selected and come behind `after`, by number, until there are no
    /// more or the call has done enough; then [`Bulk::next`] says behind which to go on. The answer to `remember` is kept
    /// once all of this call is done; a call that was interrupted counts as not made, and does the rest when it is sent again.
    ///
    /// # Errors
    /// [`IntakeError::Anonymous`], [`IntakeError::KeyReused`]; [`IntakeError::Write`] and
    /// [`IntakeError::QueueFull`] when nothing was done. What fails after
    /// something was done ends the call early.
    pub async fn bulk(
        &self,
        caller: Caller,
        act: BulkAct,
        mut selection: Selection,
        after: Option<TaskId>,
        remember: Option<Remember>,
    ) -> Result<Done<Bulk>, IntakeError> {
        self.admit(caller)?;
        if act != BulkAct::Retry && caller == Caller::Anonymous {
            // These go by their own route: only the token that the upload gave tells whose each is.
            selection.except = Some(image::kind());
        }
        if let Some(remember) = &remember {
            let asked = Remember { answer: Arc::new(|_| None), ..remember.clone() };
            match done(self.writer.bulk(act, Vec::new(), caller, Bulk::default(), Some(asked)).await?)? {
                Done::Now(_) => {}
                Done::Before(answer) => return Ok(Done::Before(answer)),
            }
        }
        let until = Instant::now() + Self::PATIENCE;
        let found = self.store.selected(&selection, after, Self::MOST).await;
        let found = found.map_err(|error| WriteError::Store(Arc::new(error)))?;
        let mut bulk = Bulk::default();
        let mut groups = found.chunks(Self::GROUP);
        let mut last = None;
        while let Some(group) = groups.next() {
            match self.group(act, group, caller, bulk, selection.filter.kind.as_ref()).await {
                Ok(so_far) => bulk = so_far,
                Err(error) if last.is_none() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, done = bulk.matched, "a change of many tasks was cut short");
                    bulk.next = last;
                    return Ok(Done::Now(bulk));
                }
            }
            last = group.last().copied();
            if Instant::now() >= until && groups.len() > 0 {
                bulk.next = last;
                break;
            }
        }
        if found.len() == Self::MOST as usize {
            bulk.next = last;
        }
        match remember {
            None => Ok(Done::Now(bulk)),
            Some(remember) => done(self.writer.bulk(act, Vec::new(), caller, bulk, Some(remember)).await?),
        }
    }

    /// Does it to one group. What may wait again must have room to: of tasks of several kinds, in the whole.
    async fn group(
        &self,
        act: BulkAct,
        group: &[TaskId],
        caller: Caller,
        so_far: Bulk,
        kind: Option<&Kind>,
    ) -> Result<Bulk, IntakeError> {
        let _turn = match act {
            BulkAct::Retry => self.may_wait(kind, group.len() as u64)?,
            BulkAct::Cancel | BulkAct::Delete => Turn::default(),
        };
        Ok(self.writer.bulk(act, group.to_vec(), caller, so_far, None).await.map(Once::unkeyed)?)
    }
}
