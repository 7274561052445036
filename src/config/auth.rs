//! `[auth]`: who is let in without proof. Consumed by the extractor that finds out who is calling.

use super::rule::flag;
use super::section::{Literal, derived, section};

section! {
    /// Who may call.
    AuthSettings = "auth" {
        /// Whether callers without an identity may create tasks, upload images and ask for questions.
        "anonymous" => anonymous: bool = derived(
            "true while http.bind is a loopback address, else false",
            |base| Literal::Flag(base.bind.ip().is_loopback())
        ), flag();

        /// Whether the query parameter `user_id` alone proves who is calling. Anybody can write any number
        /// there: turn it on only where every caller may act as every user.
        "trust_user_id" => trust_user_id: bool = false, flag();
    }
}
