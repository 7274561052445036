//! Passwords at the door: hashed and compared on threads of their own, a few at a time, and tried only so often.
//!
//! Called by `login` and `users`. True here: however many come at once, only [`AT_ONCE`] are hashed, so that memory stays
//! bounded and a core is left for others; the line for them has an end and a patience. Who tries passwords spends of two
//! allowances, the account's and the address's, and who chooses them of another one of the address; they hold on all nodes
//! together and outlive a restart.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;

use super::catalogue::Code;
use super::spool::blocking;
use super::{Problem, State, client};
use crate::account::{Hasher, HasherError, LoginName, Password, PasswordHash, User};
use crate::config::AuthSettings;
use crate::store::Rate;
use crate::task::UserId;

/// Passwords that are hashed at the same time.
const AT_ONCE: usize = 2;

/// Requests that may wait for that.
const LINE: usize = 1_000;

/// How long one of them waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time to which `auth.login_attempts` belongs.
const PERIOD: Duration = Duration::from_secs(15 * 60);

/// How many accounts' worth of attempts one address has.
const PER_ADDRESS: u32 = 10;

/// The hasher and the line in front of it.
pub(super) struct Passwords {
    hasher: Arc<Hasher>,
    places: Arc<Semaphore>,
    line: Semaphore,
}

impl Passwords {
    /// By these settings.
    pub(super) fn new(settings: &AuthSettings) -> Result<Self, HasherError> {
        let hasher = Arc::new(Hasher::new(settings.argon2_memory, settings.argon2_passes)?);
        Ok(Self { hasher, places: Arc::new(Semaphore::new(AT_ONCE)), line: Semaphore::new(LINE) })
    }

    /// What to keep of a password that somebody chose. From one address only so many are taken.
    pub(super) async fn chosen(
        &self,
        state: &State,
        request: &HttpRequest,
        password: Password,
    ) -> Result<PasswordHash, Problem> {
        spend_of_choices(state, request).await?;
        self.hash(password).await
    }

    async fn hash(&self, password: Password) -> Result<PasswordHash, Problem> {
        self.work(move |hasher| hasher.hash(&password)).await
    }

    /// Whether `attempt` is the password of which `kept` is kept.
    pub(super) async fn verify(&self, attempt: &str, kept: Option<&PasswordHash>) -> Result<bool, Problem> {
        let (attempt, kept) = (attempt.to_owned(), kept.cloned());
        self.work(move |hasher| hasher.verify(&attempt, kept.as_ref())).await
    }

    /// What to keep instead of `kept`, the hash of this password; `None` when it may stay.
    pub(super) async fn renewed(
        &self,
        attempt: &str,
        kept: &PasswordHash,
    ) -> Result<Option<PasswordHash>, Problem> {
        // One that is too short by now was set under other rules: it stays as it is.
        match attempt.parse() {
            Ok(password) if self.hasher.needs_rehash(kept) => self.hash(password).await.map(Some),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Refuses unless `attempt` is the password of that user, whose attempts it counts among.
    pub(super) async fn confirm(&self, state: &State, user: &User, attempt: &str) -> Result<(), Problem> {
        let account = of_account(user.id);
        spend(state, &account, 1, "for this account").await?;
        let known = state.store.credentials(&LoginName::Id(user.id)).await?;
        if self.verify(attempt, known.as_ref().map(|(_, kept)| kept)).await? {
            return Ok(state.store.forgive(&account).await?);
        }
        Err(Problem::of_field(Code::Forbidden, "current_password", "this is not the user's password"))
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher) -> Result<T, HasherError> + Send + 'static,
    ) -> Result<T, Problem> {
        let overloaded = || {
            Problem::new(
                Code::Overloaded,
                "more passwords are being tried than can be: try again in a moment",
            )
        };
        let _waiting = match self.line.try_acquire() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Err(overloaded()),
        };
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(overloaded()) };
        let hasher = Arc::clone(&self.hasher);
        let done = blocking(move || {
            // Until the work is done, also when nobody waits for it any more.
            let _place = place;
            work(&hasher)
        });
        done.await?.map_err(|error| Problem::internal(error.to_string()))
    }
}

/// By what the attempts for an account are counted: one that does not exist is counted as well, or its attempts would
/// tell that. It is not kept by its name, which may be a password typed into the wrong field.
pub(super) fn counted_as(login: &LoginName, known: Option<UserId>) -> String {
    let text = match (known, login) {
        (Some(user), _) => return of_account(user),
        (None, LoginName::Id(user)) => return of_account(*user),
        (None, LoginName::Email(email)) => format!("email {}", email.as_str()),
        (None, LoginName::Name(name)) => format!("name {}", name.as_str()),
    };
    format!("login nobody {:x}", Sha256::digest(text.as_bytes()))
}

fn of_account(user: UserId) -> String {
    format!("login user {user}")
}

/// Counts an attempt of whoever sent the request; gives their address.
pub(super) async fn spend_of_address(state: &State, request: &HttpRequest) -> Result<IpAddr, Problem> {
    let address = client::address(&state.http, request);
    let key = format!("login from {}", client::counted_as(address));
    spend(state, &key, PER_ADDRESS, "from this address").await?;
    Ok(address)
}

/// Counts an attempt for an account.
pub(super) async fn spend_of_account(state: &State, key: &str) -> Result<(), Problem> {
    spend(state, key, 1, "for this account").await
}

/// Counts a password that is to be hashed for whoever sent the request.
async fn spend_of_choices(state: &State, request: &HttpRequest) -> Result<(), Problem> {
    let most = state.auth.passwords_per_address;
    if most == 0 {
        return Ok(());
    }
    let key = format!("password from {}", client::counted_as(client::address(&state.http, request)));
    let Some(wait) = state.store.spend(&key, 1, Rate::per(most, PERIOD)).await? else { return Ok(()) };
    let detail = format!(
        "too many passwords were chosen from this address: another may be in {} s (auth.passwords_per_address)",
        wait.as_secs() + 1
    );
    Err(Problem::new(Code::RateLimited, detail).after(wait))
}

async fn spend(state: &State, key: &str, times: u32, whose: &str) -> Result<(), Problem> {
    let rate = Rate::per(state.auth.login_attempts.saturating_mul(times), PERIOD);
    let Some(wait) = state.store.spend(key, 1, rate).await? else { return Ok(()) };
    let detail = format!(
        "too many passwords were tried {whose}: another may be in {} s (auth.login_attempts)",
        wait.as_secs() + 1
    );
    Err(Problem::new(Code::RateLimited, detail).after(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_count_however_it_is_called_and_nobody_is_kept_by_name() {
        let email = LoginName::Email("ann@example.com".parse().unwrap());
        let name = LoginName::Name("Ann".parse().unwrap());
        let ann = UserId(3);
        for login in [&email, &name, &LoginName::Id(ann)] {
            assert_eq!(counted_as(login, Some(ann)), "login user 3");
        }
        assert_eq!(counted_as(&LoginName::Id(ann), None), "login user 3");
        let (by_email, by_name) = (counted_as(&email, None), counted_as(&name, None));
        assert_ne!(by_email, by_name);
        assert!(!by_email.contains("ann") && !by_name.contains("Ann"), "{by_email} {by_name}");
    }
}
