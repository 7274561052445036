//! What the rooms below say went wrong, as problems.
//!
//! True here: what the caller did, and may do about it, is told; what the database, the disk or a program said goes to the
//! log alone. Handlers that know the place in the body name it themselves.

use std::time::Duration;

use super::{Code, Fault, Problem};
use crate::account::{CountersError, UserError};
use crate::blob::BlobError;
use crate::imaging::ImagingError;
use crate::intake::IntakeError;
use crate::media::image::ImageError;
use crate::media::wav::{WavError, WavErrorClass};
use crate::store::{Refused, StoreError, UserRefused, WriteError};
use crate::task::{IllegalTransition, Kind};

/// When there may be room again for who has as much here as they may: nobody knows, and asking more often is of no use.
const ROOM_AFTER: Duration = Duration::from_secs(3600);

/// When a disk may have room again: somebody has to make it.
const SPACE_AFTER: Duration = Duration::from_secs(30);

/// When there may be room in the queue: as often as what waits is counted.
const QUEUE_AFTER: Duration = Duration::from_secs(5);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        of_store(&error)
    }
}

fn of_store(error: &StoreError) -> Problem {
    if error.is_full() {
        let detail = "the disk that holds the database is full: nothing was written; whoever runs this daemon has to make \
                      room";
        return Problem::new(Code::StorageFull, detail).after(SPACE_AFTER).caused_by(error.to_string());
    }
    let unavailable = match error {
        StoreError::Unavailable { .. } | StoreError::InUse { .. } | StoreError::Io { .. } => true,
        StoreError::Refused { .. }
        | StoreError::Corrupt { .. }
        | StoreError::SchemaTooNew { .. }
        | StoreError::Migrate(_) => false,
    };
    if unavailable {
        Problem::new(Code::DatabaseUnavailable, "the database does not answer: try again in a moment")
            .caused_by(error.to_string())
    } else {
        Problem::internal(error.to_string())
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match &error {
            WriteError::Full => Self::new(Code::Overloaded, error.to_string()),
            WriteError::Interrupted => Self::new(Code::Interrupted, error.to_string()),
            WriteError::Store(source) => of_store(source),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::NotFound(task) => Self::no_task(task),
            Refused::Illegal(illegal) => {
                let code = match illegal {
                    IllegalTransition::Stale { .. } => Code::StaleAttempt,
                    IllegalTransition::Forbidden { .. } | IllegalTransition::TooEarly { .. } => {
                        Code::StatusForbids
                    }
                };
                Self::new(code, illegal.to_string())
            }
            Refused::NotOutside { task, .. } => Self::new(Code::NotForWorkers, detail).about(task),
            Refused::NotHeld(task) => Self::new(Code::NotHeld, detail).about(task),
            Refused::UniqueTaken { task, .. } => Self::new(Code::UniqueTaken, detail).about(task),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let detail = error.to_string();
        match error {
            IntakeError::Anonymous => Self::new(Code::Unauthenticated, detail),
            IntakeError::UnknownKind { .. } => Self::new(Code::UnknownKind, detail),
            IntakeError::NotDirect { .. } => Self::new(Code::KindNotDirect, detail),
            IntakeError::NotClaimable { index, claimable, .. } => {
                let pointer = Some(format!("/kinds/{index}"));
                let fault = Fault { field: format!("kinds[{index}]"), pointer, problem: detail };
                Self::with_faults(Code::KindNotClaimable, vec![fault])
                    .allowing(claimable.iter().map(Kind::as_str))
            }
            IntakeError::Payload { .. } => Self::new(Code::InvalidPayload, detail),
            IntakeError::EmailTaken => Self::new(Code::EmailTaken, detail),
            IntakeError::Callback { .. } => Self::new(Code::InvalidBody, detail),
            IntakeError::KeyReused => Self::new(Code::KeyReused, detail),
            IntakeError::User(user) => user.into(),
            IntakeError::UserRefused(refused) => refused.into(),
            IntakeError::OverQuota(..) => Self::new(Code::QuotaExceeded, detail).after(ROOM_AFTER),
            IntakeError::Image { error, .. } => error.into(),
            IntakeError::Blob(error) => (&*error).into(),
            IntakeError::AdminsOnly => Self::new(Code::Forbidden, detail),
            IntakeError::WantsToken(task) => Self::new(Code::Forbidden, detail).about(task),
            IntakeError::Scarce(_) => Self::new(Code::StorageFull, detail).after(SPACE_AFTER),
            IntakeError::QueueFull(_) => Self::new(Code::QueueFull, detail).after(QUEUE_AFTER),
            IntakeError::Refused(refused) => refused.into(),
            IntakeError::Write(write) => write.into(),
        }
    }
}

impl From<UserRefused> for Problem {
    fn from(refused: UserRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            UserRefused::NotFound(_) => Self::new(Code::UserNotFound, detail),
            UserRefused::NotTheirs(_) | UserRefused::NotAdmin => Self::new(Code::Forbidden, detail),
            UserRefused::EmailTaken => Self::new(Code::EmailTaken, detail),
            UserRefused::Invalid(error) => error.into(),
            UserRefused::Counters(error) => error.into(),
        }
    }
}

impl From<CountersError> for Problem {
    fn from(error: CountersError) -> Self {
        let (field, pointer) = match &error {
            CountersError::Name(name) => (name.clone(), None),
            CountersError::OutOfRange(name) => (name.to_string(), Some(format!("/{name}"))),
            CountersError::TooMany => ("body".to_owned(), Some(String::new())),
        };
        Self::with_faults(Code::InvalidBody, vec![Fault { field, pointer, problem: error.to_string() }])
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let field = match &error {
            UserError::Nameless | UserError::Name => "name",
            UserError::Email(_) => "email",
            UserError::Gender => "gender",
            UserError::Password => "password",
            UserError::Role(_) => "role",
        };
        let fault =
            Fault { field: field.to_owned(), pointer: Some(format!("/{field}")), problem: error.to_string() };
        Self::with_faults(Code::InvalidBody, vec![fault])
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        (&error).into()
    }
}

impl From<&BlobError> for Problem {
    fn from(error: &BlobError) -> Self {
        match error {
            BlobError::Full { .. } => {
                let detail = "the disk that holds the files is full: nothing was kept";
                Self::new(Code::StorageFull, detail).caused_by(error.to_string())
            }
            BlobError::Unavailable { .. } => {
                let detail = "the store of the files does not answer: try again in a moment";
                Self::new(Code::BlobStoreUnavailable, detail).caused_by(error.to_string())
            }
            BlobError::Missing(_) | BlobError::Settings { .. } | BlobError::Io { .. } => {
                Self::internal(error.to_string())
            }
        }
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        let detail = error.to_string();
        match error {
            ImageError::Unsupported { .. } => Self::new(Code::UnsupportedImage, detail),
            ImageError::TooLarge { .. } => Self::new(Code::ImageTooLarge, detail),
            ImageError::Damaged(_) => Self::new(Code::DamagedImage, detail),
            ImageError::Unavailable(_) => Self::new(Code::Overloaded, detail),
            ImageError::Cancelled => Self::new(Code::Interrupted, detail),
        }
    }
}

impl From<ImagingError> for Problem {
    fn from(error: ImagingError) -> Self {
        match &error {
            ImagingError::Image(image) => image.clone().into(),
            ImagingError::Overloaded => Self::new(Code::Overloaded, error.to_string()),
            ImagingError::Stopping => Self::new(Code::Interrupted, error.to_string()),
            ImagingError::Source(source) => Self::internal(source.to_string()),
        }
    }
}

impl From<WavError> for Problem {
    fn from(error: WavError) -> Self {
        match error.class() {
            WavErrorClass::UnsupportedType => Self::new(Code::UnsupportedAudio, error.to_string()),
            WavErrorClass::Malformed => Self::new(Code::DamagedAudio, error.to_string()),
            WavErrorClass::Io => Self::internal(error.to_string()),
        }
    }
}
