//! A user as callers send them: to be made, and to be changed.
//!
//! True here: the parts of a request that `Idempotency-Key` is remembered with hold no password, since a fast hash of one
//! in the database would be there to be guessed at.

use std::fmt::Display;
use std::str::FromStr;

use utoipa::ToSchema;

use super::Problem;
use super::base64_text::{self, NotBase64};
use super::json::{self, Form};
use crate::account::{Change, Email, Gender, Name, Password, Role};
use crate::config::ByteSize;

/// The fields of a user to be made.
const NEW: &[&str] = &["name", "email", "password", "gender", "avatar", "role"];

/// The fields of a change.
const CHANGE: &[&str] = &["name", "email", "password", "gender", "avatar", "role", "current_password"];

/// The fields of a token to be made anew.
const TOKEN: &[&str] = &["current_password"];

/// The fields that are remembered with a key.
const REMEMBERED: [&str; 5] = ["name", "email", "gender", "avatar", "role"];

/// A user to be made: a name, an e-mail, or both.
#[derive(ToSchema)]
#[schema(as = NewUser, example = json!({"name": "Ann", "email": "ann@example.com"}))]
#[expect(dead_code, reason = "documents what `new` reads")]
pub(super) struct NewUserSchema {
    /// 1 to 100 characters, not unique.
    name: Option<String>,
    /// Unique; only its shape is checked.
    #[schema(format = Email)]
    email: Option<String>,
    /// To log in by: at least 8 characters, at most 1024 bytes.
    #[schema(format = Password, min_length = 8, write_only)]
    password: Option<String>,
    /// In their own words, 1 to 40 characters.
    gender: Option<String>,
    /// A picture, in base64, bare or as a `data:` URL: of the formats and the size that images may have. What is kept is
    /// a square of at most 256 pixels, without metadata.
    #[schema(content_encoding = "base64", write_only)]
    avatar: Option<String>,
    /// `user`, or `admin`, which only admins may say.
    role: Option<String>,
}

/// What to change of a user, as a merge patch (RFC 7396): what is left out stays, `null` takes away.
#[derive(ToSchema)]
#[schema(as = UserChange, example = json!({"name": "Ann Lee", "gender": null}))]
#[expect(dead_code, reason = "documents what `change` reads")]
pub(super) struct UserChangeSchema {
    /// 1 to 100 characters, not unique.
    name: Option<String>,
    /// Unique; only its shape is checked.
    #[schema(format = Email)]
    email: Option<String>,
    /// A new password ends all sessions but the one that sets it; `null` ends them too, and there is no logging in.
    #[schema(format = Password, min_length = 8, write_only)]
    password: Option<String>,
    /// In their own words, 1 to 40 characters.
    gender: Option<String>,
    /// A picture, in base64, bare or as a `data:` URL.
    #[schema(content_encoding = "base64", write_only)]
    avatar: Option<String>,
    /// `user` or `admin`; only admins may change it.
    role: Option<String>,
    /// The password as it is. Needed to change the password of one's own by a session cookie: a browser that is left
    /// open must not be enough.
    #[schema(format = Password, write_only)]
    current_password: Option<String>,
}

/// A token to be made anew.
#[derive(ToSchema)]
#[schema(as = NewToken, example = json!({"current_password": "correct horse"}))]
#[expect(dead_code, reason = "documents what `token` reads")]
pub(super) struct NewTokenSchema {
    /// The password as it is. Needed by a session cookie, where there is a password.
    #[schema(format = Password, write_only)]
    current_password: Option<String>,
}

/// A user to be made, every field checked by itself.
pub(super) struct NewUserForm {
    pub(super) name: Option<Name>,
    pub(super) email: Option<Email>,
    pub(super) password: Option<Password>,
    pub(super) gender: Option<Gender>,
    pub(super) avatar: Option<Vec<u8>>,
    pub(super) role: Option<Role>,
    /// What is remembered of it.
    pub(super) parts: Vec<Vec<u8>>,
}

/// A change, every field checked by itself.
pub(super) struct ChangeForm {
    pub(super) name: Change<Name>,
    pub(super) email: Change<Email>,
    pub(super) password: Change<Password>,
    pub(super) gender: Change<Gender>,
    pub(super) avatar: Change<Vec<u8>>,
    pub(super) role: Option<Role>,
    pub(super) current_password: Option<String>,
    /// What is remembered of it.
    pub(super) parts: Vec<Vec<u8>>,
}

/// Reads a user to be made, whose picture has at most so many bytes.
pub(super) fn new(body: &[u8], most: ByteSize) -> Result<NewUserForm, Problem> {
    let mut form = json::object(body, NEW)?;
    let read = NewUserForm {
        name: form.parsed("name", str::parse),
        email: form.parsed("email", str::parse),
        password: form.parsed("password", str::parse),
        gender: form.parsed("gender", str::parse),
        avatar: form.parsed("avatar", |text| picture(text, most)),
        role: form.parsed("role", str::parse),
        parts: parts(&form),
    };
    json::refuse(form.faults())?;
    Ok(read)
}

/// Reads a change.
pub(super) fn change(body: &[u8], most: ByteSize) -> Result<ChangeForm, Problem> {
    let mut form = json::object(body, CHANGE)?;
    if form.given("role").is_some_and(|role| role == "null") {
        form.fault("role", "everybody has a role: expected `user` or `admin`, got null");
    }
    let read = ChangeForm {
        name: changed(&mut form, "name", Name::from_str),
        email: changed(&mut form, "email", Email::from_str),
        password: changed(&mut form, "password", Password::from_str),
        gender: changed(&mut form, "gender", Gender::from_str),
        avatar: changed(&mut form, "avatar", |text| picture(text, most)),
        role: form.parsed("role", str::parse),
        current_password: form.text("current_password"),
        parts: parts(&form),
    };
    json::refuse(form.faults())?;
    Ok(read)
}

/// Reads what comes with the wish for a new token: the current password, where it is given.
pub(super) fn token(body: &[u8]) -> Result<Option<String>, Problem> {
    let mut form = json::object(body, TOKEN)?;
    let current_password = form.text("current_password");
    json::refuse(form.faults())?;
    Ok(current_password)
}

fn changed<T, E: Display>(
    form: &mut Form<'_>,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Change<T> {
    match form.given(name) {
        None => Change::Keep,
        Some("null") => Change::Clear,
        // Where it is faulty the form is refused.
        Some(_) => form.parsed(name, parse).map_or(Change::Keep, Change::Set),
    }
}

/// What is remembered: of each field the text that came, of which none is empty.
fn parts(form: &Form<'_>) -> Vec<Vec<u8>> {
    REMEMBERED.iter().map(|name| form.given(name).unwrap_or_default().as_bytes().to_vec()).collect()
}

/// The bytes of a file that came as text: base64, bare or as a `data:` URL.
fn picture(text: &str, most: ByteSize) -> Result<Vec<u8>, String> {
    match base64_text::bytes(text, most.bytes()) {
        Ok(bytes) if bytes.is_empty() => Err("the picture is empty".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(NotBase64::TooLong(_)) => Err(format!("the picture is larger than {most}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: ByteSize = ByteSize::new(9);

    #[test]
    fn a_picture_is_read_however_it_is_written() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8",
            " aGVs\r\nbG8=\n",
            "data:image/png;base64,aGVsbG8=",
            "data:;base64,aGVsbG8",
            "data:image/png;name=x;base64,aGVs bG8=",
        ] {
            assert_eq!(picture(text, MOST), Ok(b"hello".to_vec()), "{text}");
        }
        for bad in ["", " ", "a", "???", "data:image/png,hello", "data:image/png;base64", "data:;base64,"] {
            assert!(picture(bad, MOST).is_err(), "{bad}");
        }
        assert!(picture("MTIzNDU2Nzg5", MOST).is_ok());
        assert!(picture("MTIzNDU2Nzg5MA", MOST).is_err_and(|problem| problem.contains("larger")));
    }

    #[test]
    fn a_change_tells_what_to_keep_set_and_take_away() {
        let read = change(br#"{"name":"Ann","email":null}"#, MOST).ok().unwrap();
        assert_eq!(read.name, Change::Set("Ann".parse().unwrap()));
        assert_eq!((read.email, read.gender), (Change::Clear, Change::Keep));
        assert!(change(br#"{"role":null}"#, MOST).is_err());
        assert!(change(br#"{"name":5}"#, MOST).is_err());
    }

    #[test]
    fn what_is_remembered_holds_no_password_and_tells_null_from_nothing() {
        let parts = |body: &str| change(body.as_bytes(), MOST).ok().unwrap().parts;
        assert_eq!(parts(r#"{"password":"correct horse"}"#), parts(r#"{"password":"battery staple"}"#));
        assert!(parts(r#"{"password":"correct horse"}"#).iter().all(Vec::is_empty));
        assert_ne!(parts(r#"{"name":null}"#), parts("{}"));
        assert_ne!(parts(r#"{"name":"a"}"#), parts(r#"{"gender":"a"}"#));
    }
}
