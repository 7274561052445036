//! Signatures on webhooks, as the Standard Webhooks specify them, and the secret they are made with.
//!
//! Used by whoever sends webhooks. A message carries three headers: [`ID`], the same at every attempt;
//! [`TIMESTAMP`], when this attempt was made; [`SIGNATURE`], which binds both to the body. True here: a secret
//! that was made is on disk, synced, before anything is signed with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use uuid::Uuid;

pub use crate::config::{BadSecret, WebhookSecret as Secret};

/// The header with the identity of the message, the same at every attempt.
pub const ID: &str = "webhook-id";

/// The header with the time of the attempt, in whole seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";

/// The header with the signature.
pub const SIGNATURE: &str = "webhook-signature";

/// The version of the scheme: HMAC with SHA-256.
const VERSION: &str = "v1";

/// The key of a secret that is made here, in bytes.
const KEY_BYTES: usize = 32;

/// No file of a secret is longer, in bytes.
const FILE_BYTES: u64 = 256;

/// The value of the header [`SIGNATURE`] for a message: `v1,` and base64. `timestamp` is in seconds since 1970.
#[must_use]
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let signature = STANDARD.encode(mac(secret, id, timestamp, body).finalize().into_bytes());
    format!("{VERSION},{signature}")
}

/// Whether one of the signatures in `header` (separated by spaces) is that of the message: what a receiver
/// asks. Whether the timestamp is fresh is for the receiver to say.
#[must_use]
pub fn verify(secret: &Secret, id: &str, timestamp: i64, body: &[u8], header: &str) -> bool {
    header.split(' ').filter_map(|signature| signature.strip_prefix(VERSION)?.strip_prefix(',')).any(
        |encoded| {
            let mac = mac(secret, id, timestamp, body);
            STANDARD.decode(encoded).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
        },
    )
}

fn mac(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.key()) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

impl Secret {
    /// A new secret of 32 random bytes.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = vec![0; KEY_BYTES];
        rand::rng().fill_bytes(&mut key);
        Self::from_key(key).unwrap_or_else(|error| unreachable!("the length is allowed: {error}"))
    }

    /// The secret that the file holds; where there is no file, one with a new secret is made, for the owner's
    /// eyes alone. When this returns, the file survives a power cut. Of several processes that make it at once,
    /// all get the same secret. Blocks on the disk.
    ///
    /// # Errors
    /// [`SecretFileError`] when it cannot be read or made, or holds something else. A file that is there is
    /// never written over: receivers know its secret.
    pub fn load_or_make(path: &Path) -> Result<Self, SecretFileError> {
        if let Some(secret) = load(path)? {
            return Ok(secret);
        }
        make(path)?;
        let missing = || SecretFileError::of("cannot read", path)(io::ErrorKind::NotFound.into());
        // Read back, since another process may have been first.
        load(path)?.ok_or_else(missing)
    }
}

/// The secret in the file, if there is a file.
fn load(path: &Path) -> Result<Option<Secret>, SecretFileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(SecretFileError::of("cannot open", path))?,
    };
    let mut text = String::new();
    let read = file.take(FILE_BYTES).read_to_string(&mut text);
    read.map_err(SecretFileError::of("cannot read", path))?;
    let bad = |source| SecretFileError::Bad { path: path.to_owned(), source };
    Secret::parse(text.trim_end()).map(Some).map_err(bad)
}

/// Makes the file with a new secret, unless another process is first.
fn make(path: &Path) -> Result<(), SecretFileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let draft = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    let written = write(&draft);
    // A link, since a rename would take the place of a file that another process has made and uses already.
    let placed = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(SecretFileError::of("cannot make", path)),
    });
    let removed = fs::remove_file(&draft).map_err(SecretFileError::of("cannot remove", &draft));
    placed.and(removed)?;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(SecretFileError::of("cannot sync", folder))
}

fn write(draft: &Path) -> Result<(), SecretFileError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(draft);
    let mut file = file.map_err(SecretFileError::of("cannot make", draft))?;
    let text = format!("{}\n", Secret::generate().reveal());
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(SecretFileError::of("cannot write", draft))
}

/// Why the file of the secret is of no use. The message does not hold the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read or made.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "the secret in {} {source}: put the right one there, or remove the file and tell receivers the new secret",
        path.display()
    )]
    Bad {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: BadSecret,
    },
}

impl SecretFileError {
    fn of<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The vector that the reference libraries of the specification are tested with.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signature = sign(&secret, id, 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");

        let two = format!("v1,AAAA v2,g0hM {signature}");
        assert!(verify(&secret, id, 1_614_265_330, body, &two));
        assert!(!verify(&secret, id, 1_614_265_331, body, &signature), "another time");
        assert!(!verify(&secret, "msg_other", 1_614_265_330, body, &signature), "another id");
        assert!(!verify(&secret, id, 1_614_265_330, b"{}", &signature), "another body");
        assert!(!verify(&Secret::generate(), id, 1_614_265_330, body, &signature), "another secret");
        assert!(
            !verify(&secret, id, 1_614_265_330, body, &signature.replace("v1,", "v2,")),
            "another scheme"
        );
        assert!(!verify(&secret, id, 1_614_265_330, body, ""), "none");
    }

    #[test]
    fn a_secret_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.secret");
        let made = Secret::load_or_make(&path).unwrap();
        assert_eq!(made.key().len(), KEY_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Secret::load_or_make(&path).unwrap(), made);
        assert_ne!(Secret::generate(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn whoever_makes_a_secret_at_once_gets_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.secret");
        let start = std::sync::Barrier::new(8);
        let made: Vec<Secret> = std::thread::scope(|scope| {
            let make = || {
                start.wait();
                Secret::load_or_make(&path).unwrap()
            };
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(made.iter().all(|secret| *secret == made[0]), "not all the same");
    }

    #[test]
    fn a_file_with_something_else_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.secret");
        fs::write(&path, "whsec_dG9vIHNob3J0\n").unwrap();
        let error = Secret::load_or_make(&path).unwrap_err().to_string();
        assert!(error.contains("webhook.secret holds 9 bytes, and must hold 24 to 64"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "whsec_dG9vIHNob3J0\n");

        let error = Secret::load_or_make(&folder.path().join("none/webhook.secret")).unwrap_err();
        assert!(error.to_string().starts_with("cannot make"), "{error}");
    }
}
