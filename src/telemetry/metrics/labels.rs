//! The closed sets of label values: what is not listed here can be no label.

/// Declares a closed set of label values.
macro_rules! label_values {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])+ $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

label_values! {
    /// The method of a request.
    Method {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// PATCH.
        Patch = "PATCH",
        /// DELETE.
        Delete = "DELETE",
        /// OPTIONS.
        Options = "OPTIONS",
        /// Whatever else a client may invent.
        Other = "other",
    }
}

impl Method {
    /// The label of a method's name.
    pub fn of(name: &str) -> Self {
        Self::ALL.iter().copied().find(|method| method.as_str() == name).unwrap_or(Self::Other)
    }
}

label_values! {
    /// The class of an answer's status.
    StatusClass {
        /// 100 to 199, and what is no status at all.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 and above.
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// The class of a status.
    pub fn of(status: u16) -> Self {
        match status {
            0..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=u16::MAX => Self::ServerError,
        }
    }
}

label_values! {
    /// A fact of a task's life.
    TaskEvent {
        /// It was accepted.
        Created = "created",
        /// A run began.
        Started = "started",
        /// A run told how far it is.
        Progress = "progress",
        /// It succeeded.
        Completed = "completed",
        /// It failed for good.
        Failed = "failed",
        /// A try failed and another will follow.
        Retrying = "retrying",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// It was removed.
        Deleted = "deleted",
    }
}

label_values! {
    /// A part of the daemon that is restarted when it fails.
    Actor {
        /// The HTTP server's handle.
        Ingress = "ingress",
        /// The consumer of the broker.
        Inbox = "inbox",
        /// The writer of task state.
        Tracker = "tracker",
        /// The claimer of ready tasks.
        Dispatcher = "dispatcher",
        /// The runner of one kind.
        Runner = "runner",
        /// The reader of events for those who listen.
        Notifier = "notifier",
        /// The relay of events to the broker.
        Relay = "relay",
        /// The caller of callbacks.
        Callbacks = "callbacks",
        /// The teller or hearer of hints between nodes.
        Hints = "hints",
        /// The rescuer and sweeper.
        Janitor = "janitor",
        /// What this node counts and says of itself, in the database.
        Scribe = "scribe",
        /// What ships spans to the collector.
        Exporter = "exporter",
        /// The renewer of the node's lease.
        Lease = "lease",
        /// The one who looks at the disks.
        Warden = "warden",
    }
}

label_values! {
    /// A disk, by what is on it; several may be the same.
    Disk {
        /// The file of the database.
        Database = "database",
        /// Blobs, and uploads on their way.
        Files = "files",
        /// Variants of images.
        Variants = "variants",
        /// The data folder.
        Data = "data",
        /// The action log.
        Log = "log",
    }
}

label_values! {
    /// What became of recorded spans.
    SpanResult {
        /// The collector has them.
        Exported = "exported",
        /// There was no room for them to wait.
        Dropped = "dropped",
        /// The collector did not take them.
        Failed = "failed",
    }
}

label_values! {
    /// What became of a message from the broker's queue.
    InboxResult {
        /// Its task is on disk.
        Committed = "committed",
        /// It is no task, and in the dead queue.
        Dead = "dead",
    }
}

label_values! {
    /// Where a variant of an image came from.
    VariantResult {
        /// The folder of variants had it.
        Cached = "cached",
        /// It was made.
        Made = "made",
        /// It could not be made.
        Failed = "failed",
    }
}

label_values! {
    /// Whether the file of an image was in memory.
    HotResult {
        /// It was.
        Hit = "hit",
        /// It was not.
        Miss = "miss",
    }
}

label_values! {
    /// How a request to a source of questions ended.
    QuizCall {
        /// With what was asked for.
        Answered = "answered",
        /// The source wants to be asked less often.
        Busy = "busy",
        /// The source failed (5xx).
        Failed = "failed",
        /// Any other status: a redirect, or that there is nothing.
        Refused = "refused",
        /// An answer of another type or shape.
        Wrong = "wrong",
        /// No answer in time.
        Late = "late",
        /// No connection, or one that broke off.
        Unreachable = "unreachable",
        /// An address that may not be called, or no safe connection to it.
        Forbidden = "forbidden",
        /// Whoever asked went away.
        Dropped = "dropped",
    }
}

label_values! {
    /// What a source gave, item by item.
    QuizItem {
        /// A question.
        Usable = "usable",
        /// No object of the right shape.
        Malformed = "malformed",
        /// Nothing to ask or nothing to answer.
        Empty = "empty",
        /// The source itself marks it as wrong.
        Invalid = "invalid",
        /// A picture, a sound or a film is needed to answer it.
        Media = "media",
        /// Longer than a question is.
        TooLong = "too_long",
        /// Control characters, or bytes that are no text.
        NoText = "no_text",
    }
}

label_values! {
    /// Whether a source of questions is asked.
    QuizBreaker {
        /// It is.
        Closed = "closed",
        /// One request finds out.
        HalfOpen = "half_open",
        /// It is not, for a while.
        Open = "open",
    }
}

label_values! {
    /// How a try to tell a callback ended.
    CallbackResult {
        /// The receiver has it.
        Taken = "taken",
        /// It does not; it will be tried again.
        Failed = "failed",
        /// It was passed over.
        GivenUp = "given_up",
    }
}

label_values! {
    /// How a renewal of the node's lease ended.
    LeaseRenewal {
        /// The lease holds on.
        Ok = "ok",
        /// The database did not answer; it will be tried again.
        Failed = "failed",
        /// The lease is lost: the node gave up its work.
        Fenced = "fenced",
    }
}

label_values! {
    /// One of the connections to the broker.
    BrokerConnection {
        /// The one that messages go out on.
        Publishing = "publishing",
        /// The one that messages come in on.
        Consuming = "consuming",
        /// The one for answers to direct reply addresses, made with the first of them.
        Answering = "answering",
    }
}

label_values! {
    /// What became of a message that was handed to the broker.
    PublishResult {
        /// The broker has it.
        Confirmed = "confirmed",
        /// No queue takes it.
        Unroutable = "unroutable",
        /// The broker refused it.
        Refused = "refused",
        /// No confirm came in time.
        TimedOut = "timed_out",
        /// There was no connection, or the broker blocks publishing.
        Unavailable = "unavailable",
    }
}
