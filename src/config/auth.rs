//! `[auth]`: who is let in without proof. Consumed by the extractor that finds out who is calling.

use std::time::Duration;

use super::rule::{flag, seconds, whole};
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

        /// How long a session holds after its login, in seconds.
        "session_s" => session: Duration = 1_209_600, seconds(60.0..=31_536_000.0);

        /// How many passwords may be tried in a quarter of an hour for one account, and ten times as many from one
        /// address; more are answered 429 until time has passed.
        "login_attempts" => login_attempts: u32 = 10, whole(1..=10_000);

        /// How many passwords may be chosen in a quarter of an hour from one address, for new users and in place of old ones:
        /// each is hashed, which is dear. More are answered 429 until time has passed. 0 for any number.
        "passwords_per_address" => passwords_per_address: u32 = 300, whole(0..=1_000_000);

        /// The memory that hashing a password takes (Argon2id), in KiB: the more, the dearer is guessing. A password
        /// is hashed anew with changed parameters when its user logs in.
        "argon2_memory_kib" => argon2_memory: u32 = 19_456, whole(8..=4_194_304);

        /// The passes over that memory.
        "argon2_passes" => argon2_passes: u32 = 2, whole(1..=1_000);
    }
}
