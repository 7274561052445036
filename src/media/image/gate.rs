//! The gate: what a file is, whether it may come in, and the file without what is not the picture.

use super::{Header, ImageError, Limits, Stripped};

/// Reads the headers of an image from beginning to end, and says what decoding it would take.
///
/// # Errors
/// [`ImageError`].
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Header, ImageError> {
    let _ = (bytes, limits);
    Err(ImageError::Damaged("nothing is read yet".to_owned()))
}

/// The image without what is not the picture.
///
/// # Errors
/// [`ImageError::Damaged`].
pub fn strip(bytes: &[u8], header: &Header, keep_metadata: bool) -> Result<Stripped, ImageError> {
    let _ = (header, keep_metadata);
    Ok(Stripped { bytes: bytes.to_vec(), removed: Vec::new() })
}
