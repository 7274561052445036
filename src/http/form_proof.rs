//! The fields `user` and `token` of a form: who it proves to come from, together with the head of its request.
//!
//! Called by the readers of forms with files. True here: the fields come in any order; wrong credentials are refused as
//! soon as they can be told, before the file where they stand before it; two proofs must be of the same user.

use super::catalogue::Code;
use super::{Problem, State, auth, extract};
use crate::account::Caller;
use crate::task::UserId;

/// The longest text field: a token has 36 bytes.
pub(super) const MAX_TEXT: usize = 256;

/// What has come so far.
pub(super) struct FormProof {
    caller: Caller,
    /// Whom the query names without proving it.
    named: Option<UserId>,
    user: Option<UserId>,
    token: Option<String>,
    owner: Option<UserId>,
}

impl FormProof {
    /// What the head of a request proves, and whom its query only names.
    pub(super) fn new((caller, named): (Caller, Option<UserId>)) -> Self {
        Self { caller, named, user: None, token: None, owner: None }
    }

    /// Takes the field `user`.
    pub(super) async fn take_user(&mut self, state: &State, text: &str) -> Result<(), Problem> {
        if self.user.is_some() {
            return Err(twice("user"));
        }
        let user =
            extract::number(text).map_err(|problem| Problem::of_field(Code::InvalidForm, "user", problem))?;
        self.user = Some(UserId(user));
        self.prove(state, false).await.map(drop)
    }

    /// Takes the field `token`.
    pub(super) async fn take_token(&mut self, state: &State, text: String) -> Result<(), Problem> {
        if self.token.replace(text).is_some() {
            return Err(twice("token"));
        }
        self.prove(state, false).await.map(drop)
    }

    /// The user whom what has come so far proves, if it does. A token will do, though the user may still be named behind
    /// it.
    pub(super) async fn so_far(&mut self, state: &State) -> Result<Option<UserId>, Problem> {
        match (self.prove(state, false).await?, &self.token) {
            (None, Some(token)) => auth::owner_of(state, token).await.map(Some),
            (proven, _) => Ok(proven),
        }
    }

    /// The user whom the whole form proves; `None` where it does not speak of one.
    pub(super) async fn whole(&mut self, state: &State) -> Result<Option<UserId>, Problem> {
        let proven = self.prove(state, true).await?;
        match (proven, self.named.or(self.user)) {
            (None, Some(named)) => Err(auth::unproven(named, ", or the fields `user` and `token`")),
            (proven, _) => Ok(proven),
        }
    }

    /// Who it is, as soon as that can be told. At the end (`all_read`) a token alone, or a user whom the header proves, is
    /// enough.
    async fn prove(&mut self, state: &State, all_read: bool) -> Result<Option<UserId>, Problem> {
        if self.owner.is_some() {
            return Ok(self.owner);
        }
        let proven = match (self.caller, &self.token) {
            (Caller::User(user) | Caller::Admin(Some(user)), None) => user,
            (Caller::Anonymous | Caller::Admin(None), Some(token)) if self.user.is_some() || all_read => {
                let owner = auth::owner_of(state, token).await?;
                if self.user.is_some_and(|named| named != owner) {
                    return Err(Problem::new(
                        Code::InvalidToken,
                        "the token is not that of the user who is named",
                    ));
                }
                owner
            }
            (Caller::User(user) | Caller::Admin(Some(user)), Some(token)) => {
                auth::same(auth::owner_of(state, token).await?, user, "token")?
            }
            (Caller::Anonymous | Caller::Admin(None), Some(_) | None) => return Ok(None),
        };
        if let Some(named) = self.user {
            auth::same(proven, named, "user")?;
        }
        if let Some(named) = self.named {
            auth::same(proven, named, "user_id")?;
        }
        if all_read {
            self.owner = Some(proven);
        }
        Ok(Some(proven))
    }
}

fn twice(name: &str) -> Problem {
    Problem::of_field(Code::InvalidForm, name, "the field is given twice")
}
