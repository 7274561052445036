//! Passwords: what one may be, what is kept of it, and how the two are compared.
//!
//! A [`Hasher`] is called by the routes that make, change and try passwords, and by the subcommands that set one. True
//! here: a password is nowhere but in memory, and its `Debug` hides it; comparing takes as long for a user who does not
//! exist as for one who does. Hashing is slow and takes memory on purpose: how many may be at it at once is for the
//! callers to say, and no more memory is ever taken than for so many, however many passwords come after each other.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::{Error, phc};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::UserError;

/// A password that somebody chose: 8 characters at least, 1024 bytes at most, and any at all, as they were typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Characters, so that they are not too few.
    pub const MIN_CHARS: usize = 8;

    /// Bytes, so that nobody has us hash a book.
    pub const MAX_BYTES: usize = 1024;
}

impl FromStr for Password {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= Self::MAX_BYTES && text.chars().count() >= Self::MIN_CHARS;
        if fits { Ok(Self(text.to_owned())) } else { Err(UserError::Password) }
    }
}

/// What the database keeps of a password: the text of the PHC string format, which names the algorithm, its parameters
/// and the salt. Never logged: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A text that a hasher of ours made, or that comes out of the database.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a password was not hashed or compared. Nobody's typing can be at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// The settings.
    #[error(
        "a password cannot be hashed with {memory_kib} KiB and {passes} passes: {problem}; see auth.argon2_memory_kib \
         and auth.argon2_passes"
    )]
    Parameters {
        /// The memory.
        memory_kib: u32,
        /// The passes.
        passes: u32,
        /// What is wrong with that.
        problem: String,
    },
    /// The row.
    #[error(
        "what is kept of the password cannot be read ({0}): restore the row from a backup, or set a new password"
    )]
    Kept(Error),
    /// The system gives no random numbers, or the like.
    #[error("the password could not be hashed: {0}")]
    Hash(Error),
}

/// Hashes and compares passwords by Argon2id (RFC 9106).
pub struct Hasher {
    argon2: Argon2<'static>,
    nobody: PasswordHash,
    /// The memory of hashes that are over, for those to come. Given back, it would not be found again: the allocator of
    /// glibc before 2.38 has no use for freed pieces of that size and alignment, and takes new ones from the system.
    memory: Mutex<Vec<Vec<Block>>>,
}

impl Hasher {
    /// A hasher that takes so much memory for one password, and so many passes over it. Making it is cheap.
    ///
    /// # Errors
    /// [`HasherError::Parameters`] when there is no such hash.
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, HasherError> {
        let params = Params::new(memory_kib, passes, 1, None).map_err(|error| HasherError::Parameters {
            memory_kib,
            passes,
            problem: error.to_string(),
        })?;
        // Of no password: its bytes are all zero, which no hash is that anybody will ever find.
        let nobody = PasswordHash(format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p=1${}${}",
            "A".repeat(22),
            "A".repeat(43)
        ));
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self { argon2, nobody, memory: Mutex::default() })
    }

    /// What to keep of a password. Takes tens of milliseconds of a core.
    ///
    /// # Errors
    /// [`HasherError::Hash`].
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, HasherError> {
        let (salt, params) = (phc::Salt::generate(), self.argon2.params());
        let hashed = || -> Result<phc::PasswordHash, Error> {
            let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
            self.compute(&self.argon2, password.0.as_bytes(), &salt, &mut output)?;
            Ok(phc::PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: params.try_into()?,
                salt: Some(salt),
                hash: Some(phc::Output::new(&output)?),
            })
        };
        hashed().map(|hash| PasswordHash(hash.to_string())).map_err(HasherError::Hash)
    }

    /// Whether `attempt` is the password of which `kept` is kept; without that it is not, which takes as long to find
    /// out.
    ///
    /// # Errors
    /// [`HasherError::Kept`] when what is kept cannot be read.
    pub fn verify(&self, attempt: &str, kept: Option<&PasswordHash>) -> Result<bool, HasherError> {
        let known = kept.unwrap_or(&self.nobody);
        let hash = phc::PasswordHash::new(known.as_str()).map_err(|error| HasherError::Kept(error.into()))?;
        // What cannot be a password is not hashed at its length.
        let (attempt, too_long) =
            if attempt.len() > Password::MAX_BYTES { ("", true) } else { (attempt, false) };
        let same = self.fits(attempt.as_bytes(), &hash).map_err(HasherError::Kept)?;
        Ok(same && kept.is_some() && !too_long)
    }

    /// Whether the attempt makes that hash, by the parameters that stand in it.
    fn fits(&self, attempt: &[u8], hash: &phc::PasswordHash) -> Result<bool, Error> {
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return Err(Error::PasswordInvalid);
        };
        let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(hash)?);
        let mut output = vec![0; expected.len()];
        self.compute(&argon2, attempt, salt, &mut output)?;
        // Compared in constant time.
        Ok(phc::Output::new(&output)? == *expected)
    }

    /// Hashes in memory that an earlier one had, where there is some.
    fn compute(&self, argon2: &Argon2<'_>, text: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let mut blocks = self.memory().pop().unwrap_or_default();
        blocks.resize(argon2.params().block_count(), Block::new());
        let done = argon2.hash_password_into_with_memory(text, salt, output, blocks.as_mut_slice());
        self.memory().push(blocks);
        Ok(done?)
    }

    fn memory(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        // Nothing panics while it is locked.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the password should be hashed anew: what is kept was made by another algorithm or other parameters.
    #[must_use]
    pub fn needs_rehash(&self, kept: &PasswordHash) -> bool {
        let ours = |text: &str| text.rsplitn(3, '$').nth(2).map(str::to_owned);
        ours(kept.as_str()) != ours(self.nobody.as_str())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(8, 1).unwrap()
    }

    #[test]
    fn a_password_is_long_enough_and_not_a_book() {
        for good in ["correct horse", "12345678", "пароль на русском", "        ", "a\u{0}b\nc\u{202e}def"]
        {
            assert!(good.parse::<Password>().is_ok(), "{good}");
        }
        assert!("x".repeat(1024).parse::<Password>().is_ok());
        for bad in ["", "1234567", "семьбук", &"x".repeat(1025), &"ж".repeat(513)] {
            assert_eq!(bad.parse::<Password>(), Err(UserError::Password), "{bad}");
        }
    }

    #[test]
    fn a_password_is_known_by_what_is_kept_of_it_and_nothing_else_is() {
        let (hasher, password) = (hasher(), "correct horse");
        let kept = hasher.hash(&password.parse().unwrap()).unwrap();
        assert!(kept.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", kept.as_str());
        assert_ne!(kept, hasher.hash(&password.parse().unwrap()).unwrap(), "each has a salt of its own");
        assert_eq!(hasher.verify(password, Some(&kept)), Ok(true));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", &"x".repeat(5000)] {
            assert_eq!(hasher.verify(wrong, Some(&kept)), Ok(false), "{wrong}");
        }
        assert_eq!(hasher.verify(password, None), Ok(false));
        assert_eq!(hasher.verify("", None), Ok(false));
        assert!(matches!(
            hasher.verify(password, Some(&PasswordHash::trusted("plain".to_owned()))),
            Err(HasherError::Kept(_))
        ));
        assert!(!format!("{kept:?} {:?}", password.parse::<Password>()).contains("horse"));
    }

    #[test]
    fn a_hash_with_other_parameters_still_counts_and_is_to_be_made_anew() {
        let (old, new) = (hasher(), Hasher::new(16, 2).unwrap());
        let kept = old.hash(&"correct horse".parse().unwrap()).unwrap();
        assert_eq!(new.verify("correct horse", Some(&kept)), Ok(true));
        assert!(new.needs_rehash(&kept) && !old.needs_rehash(&kept));
        let renewed = new.hash(&"correct horse".parse().unwrap()).unwrap();
        assert!(!new.needs_rehash(&renewed));
        assert!(new.needs_rehash(&PasswordHash::trusted(renewed.as_str().replace("argon2id", "argon2i"))));
    }

    #[test]
    fn the_hash_of_nobody_is_hashed_like_any_other() {
        let hasher = hasher();
        // Readable, with a salt and an output of the usual lengths: else it would be refused before any work.
        let kept = hasher.hash(&"correct horse".parse().unwrap()).unwrap();
        assert_eq!(hasher.nobody.as_str().len(), kept.as_str().len());
        let parsed = phc::PasswordHash::new(hasher.nobody.as_str()).unwrap();
        assert_eq!(hasher.fits(b"x", &parsed), Ok(false));
    }

    #[test]
    fn a_hash_is_the_one_of_the_library_and_its_memory_is_that_of_the_one_before() {
        use argon2::password_hash::PasswordVerifier;
        let hasher = hasher();
        let kept = hasher.hash(&"correct horse".parse().unwrap()).unwrap();
        let parsed = phc::PasswordHash::new(kept.as_str()).unwrap();
        assert_eq!(hasher.argon2.verify_password(b"correct horse", &parsed), Ok(()));
        assert_eq!(hasher.argon2.verify_password(b"wrong horse", &parsed), Err(Error::PasswordInvalid));
        let place = hasher.memory()[0].as_ptr();
        assert_eq!(hasher.verify("correct horse", Some(&kept)), Ok(true));
        let memory = hasher.memory();
        assert_eq!((memory.len(), memory[0].as_ptr()), (1, place));
    }

    #[test]
    fn settings_that_make_no_hash_are_refused_by_name() {
        let Err(error) = Hasher::new(1, 1) else { panic!("1 KiB is too little") };
        assert!(error.to_string().contains("auth.argon2_memory_kib"), "{error}");
    }
}
