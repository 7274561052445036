//! The pages as people have them: in a real Chromium, against the real program. `./test` installs the browser, and
//! `scripts/with-tools` has axe-core, which knows what people with other senses need.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod browser;
mod chrome;
mod everywhere;
mod look;
mod people;
mod pictures;
mod sights;
mod uploads;
mod work;
mod world;
