//! The names of images: ours, never those that a caller gave.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The number of an image, as answers have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageId(Uuid);

impl ImageId {
    /// A new one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for ImageId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name under which an image is served: 22 random letters and digits (130 bits, so that nobody finds one by
/// trying), a dot, and how files of its format end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageName(String);

/// The text is no image's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no image name: 22 letters and digits, a dot, and 3 or 4 small letters")]
pub struct ImageNameError(String);

impl ImageName {
    const RANDOM: usize = 22;

    /// A new one that ends as files of the format do.
    #[must_use]
    pub fn fresh(extension: &str) -> Self {
        let random = rand::distr::Alphanumeric;
        let mut name: String =
            rand::Rng::sample_iter(rand::rng(), random).take(Self::RANDOM).map(char::from).collect();
        name.push('.');
        name.push_str(extension);
        Self(name)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.split_once('.').is_some_and(|(random, extension)| {
            random.len() == Self::RANDOM
                && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && (3..=4).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        if fits { Ok(Self(text.to_owned())) } else { Err(ImageNameError(text.chars().take(40).collect())) }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_name_reads_back_and_a_path_is_none() {
        let name = ImageName::fresh("jpg");
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_ne!(name, ImageName::fresh("jpg"));
        for bad in
            ["", "a.jpg", "../../../../etc/passwd", &format!("{}.JPG", "a".repeat(22)), &"a".repeat(26)]
        {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }
}
