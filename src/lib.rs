//! Gristmill: a job daemon with the jobs built in.

pub mod media;
