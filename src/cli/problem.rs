//! Why a command came to nothing: what failed, for which input, and what to do.
//!
//! Made by the commands that speak to a daemon, said in one place ([`Problem::say`]). What others wrote (a daemon's answer,
//! the name of a file) is made harmless here, so that no message moves the terminal's cursor.

use super::Exit;
use super::terminal::text::harmless;

/// What was asked for and did not happen.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    exit: Exit,
    message: String,
    hints: Vec<String>,
    /// The daemon's word for it, if it was the daemon that refused.
    code: Option<String>,
    /// Whether it was the daemon that refused, and will again: another try is in vain.
    refused: bool,
    /// Whether whoever read our output is gone, and nothing is to be said.
    silent: bool,
}

impl Problem {
    /// It failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message.into())
    }

    /// The command line, or a file that it names, asks for what cannot be.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message.into())
    }

    /// Whoever read our output has seen enough, as `head` has: that is no failure.
    pub(super) fn reader_is_gone() -> Self {
        Self { silent: true, ..Self::new(Exit::Done, String::new()) }
    }

    /// It was interrupted by whoever sits there, and knows it.
    pub(super) fn interrupted() -> Self {
        Self { silent: true, ..Self::new(Exit::Interrupted, String::new()) }
    }

    fn new(exit: Exit, message: String) -> Self {
        Self { exit, message, hints: Vec::new(), code: None, refused: false, silent: false }
    }

    /// Adds what to do about it, a line of its own.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the daemon's word for it.
    pub(super) fn coded(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// Marks it as what the daemon, or what stands before it, will say again.
    pub(super) fn refused(self) -> Self {
        Self { refused: true, ..self }
    }

    /// Whether another try is in vain. Where nobody answered, or one who cannot at the moment, it is not.
    pub(super) fn is_refusal(&self) -> bool {
        self.refused
    }

    /// Puts what it is about before it.
    pub(super) fn about(mut self, what: &str) -> Self {
        if !self.silent {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    pub(super) fn message(&self) -> String {
        harmless(&self.message)
    }

    /// Whether it ends the whole command, and not only the one thing of several that it happened to.
    pub(super) fn ends_all(&self) -> bool {
        self.silent
    }

    /// Says it.
    pub(super) fn say(&self) -> Exit {
        if !self.silent {
            let code = self.code.as_ref().map(|code| format!(" ({})", harmless(code))).unwrap_or_default();
            eprintln!("gristmill: {}{code}", self.message());
            for hint in &self.hints {
                eprintln!("  {}", harmless(hint));
            }
        }
        self.exit
    }
}
