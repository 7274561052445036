//! `[webhooks]`: calls to the addresses that tasks ask to be told at. Consumed by the client that makes them
//! and by the actor that keeps them in order.

use std::time::Duration;

use super::network::{Network, networks};
use super::rule::{flag, seconds, whole};
use super::secret::{WebhookSecret, optional_webhook_secret};
use super::section::section;

section! {
    /// Telling others what became of their tasks.
    WebhookSettings = "webhooks" {
        /// What messages are signed with, as the Standard Webhooks say; receivers need it to check them. When
        /// empty, a secret is made once and kept in data_dir as webhook.secret. Nodes that share a database
        /// must share the secret, and so must set it.
        "secret" => secret: Option<WebhookSecret> = "", optional_webhook_secret();

        /// Whether messages may go to this machine and to private networks (127.0.0.0/8, ::1, 10.0.0.0/8,
        /// 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7). Whoever may create a task could then reach
        /// what listens there. Link-local and other special addresses, and those at which clouds serve their
        /// metadata, stay forbidden.
        "allow_private" => allow_private: bool = false, flag();

        /// Networks that messages may go to although they are private or special: the narrow form of
        /// allow_private. Of a name that has several addresses, each must be allowed: for localhost that is
        /// usually 127.0.0.1 and ::1.
        "allow" => allow: Vec<Network> = "", networks();

        /// How long one attempt may take, from finding the address to the end of the answer, in seconds.
        "timeout_s" => timeout: Duration = 15, seconds(1.0..=60.0);

        /// How long a message is tried again before it is given up, in seconds.
        "give_up_s" => give_up: Duration = 86_400, seconds(0.0..=2_592_000.0);

        /// The pause after the first failed attempt, in seconds; each further one doubles it.
        "retry_base_s" => retry_base: Duration = 5, seconds(0.1..=3600.0);

        /// The longest pause between two attempts, in seconds.
        "retry_cap_s" => retry_cap: Duration = 3600, seconds(1.0..=86_400.0);

        /// Calls at once. Each holds a connection and some memory.
        "concurrency" => concurrency: usize = 16, whole(1..=1024);

        check fits;
    }
}

fn fits(webhooks: &WebhookSettings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if webhooks.retry_base > webhooks.retry_cap {
        let reason = format!(
            "is {} s, more than webhooks.retry_cap_s ({} s)",
            webhooks.retry_base.as_secs_f64(),
            webhooks.retry_cap.as_secs_f64()
        );
        problems.push(("retry_base_s", reason));
    }
    problems
}
