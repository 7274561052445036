//! The settings read again while the daemon runs.
//!
//! Made by `serve`, applied at SIGHUP. True here: settings that are wrong change nothing, and the log says what is wrong
//! with them and where; of good ones what can be changed is, all at once, and the log names what changed and waits for a
//! restart.

use super::App;
use crate::config::{ConfigError, LoadOptions, Roles, Settings};
use crate::telemetry::LogHandle;

/// Keys that take effect at a reload; the rest does at the next start.
const AT_ONCE: [&str; 2] = ["log.level", "log.language"];

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// The settings are good.
    Good {
        /// Keys that changed, and are in force now.
        applied: Vec<String>,
        /// Keys that are other than at the start, and wait for the next.
        waiting: Vec<String>,
    },
    /// They are not, and nothing changed.
    Refused(ConfigError),
}

/// Where the settings come from, and which are in force.
pub struct Reload {
    /// Where the settings come from.
    options: LoadOptions,
    /// What the command line said instead of the settings.
    roles: Option<Roles>,
    /// Those that the daemon runs by.
    in_force: Settings,
    log: LogHandle,
}

impl Reload {
    /// Of a daemon that was started with settings from there and these roles on its command line, and runs by these settings.
    #[must_use]
    pub fn new(options: LoadOptions, roles: Option<Roles>, in_force: Settings, log: LogHandle) -> Self {
        Self { options, roles, in_force, log }
    }

    /// Reads the settings again and applies what can be. What came of it is in the log.
    pub fn apply(&mut self, app: &App) -> Reloaded {
        let read = self.read();
        let reloaded = self.take(read, |settings| app.actions.set_language(settings.log.language));
        match &reloaded {
            Reloaded::Good { applied, waiting } => {
                let (applied, waiting) = (applied.join(", "), waiting.join(", "));
                if applied.is_empty() && waiting.is_empty() {
                    tracing::info!("the settings were read again and are as they were");
                } else if waiting.is_empty() {
                    tracing::info!(applied, "the settings were read again");
                } else {
                    tracing::warn!(
                        applied,
                        waiting,
                        "the settings were read again; those waiting need a restart"
                    );
                }
            }
            Reloaded::Refused(error) => {
                for problem in &error.problems {
                    let problem = problem.to_string();
                    tracing::error!(
                        problem,
                        "the settings are wrong and were not taken; the daemon goes on by the old"
                    );
                }
            }
        }
        reloaded
    }

    fn read(&self) -> Result<Settings, ConfigError> {
        let mut settings = Settings::load(self.options.clone())?.settings;
        if let Some(roles) = &self.roles {
            settings.general.roles = roles.clone();
        }
        Ok(settings)
    }

    /// Puts in force what can be of settings that were read.
    fn take(
        &mut self,
        read: Result<Settings, ConfigError>,
        set_language: impl FnOnce(&Settings),
    ) -> Reloaded {
        let settings = match read {
            Ok(settings) => settings,
            Err(error) => return Reloaded::Refused(error),
        };
        let changed = self.in_force.changed(&settings);
        let (mut applied, waiting): (Vec<String>, Vec<String>) =
            changed.into_iter().partition(|key| AT_ONCE.contains(&key.as_str()));
        if self.in_force.log.level != settings.log.level
            && let Err(error) = self.log.set_level(&settings.log.level)
        {
            tracing::error!(%error, "log.level stays as it is");
            applied.retain(|key| key != "log.level");
        } else {
            self.in_force.log.level = settings.log.level.clone();
        }
        set_language(&settings);
        self.in_force.log.language = settings.log.language;
        Reloaded::Good { applied, waiting }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn reload(file: &Path) -> Reload {
        let options = LoadOptions { files: vec![file.to_owned()], ..LoadOptions::default() };
        let in_force = Settings::load(options.clone()).unwrap().settings;
        Reload::new(options, None, in_force, LogHandle::of_nothing())
    }

    fn again(reload: &mut Reload) -> Reloaded {
        let read = reload.read();
        reload.take(read, |_| {})
    }

    fn good(applied: &[&str], waiting: &[&str]) -> Reloaded {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Reloaded::Good { applied: owned(applied), waiting: owned(waiting) }
    }

    #[test]
    fn what_can_be_changed_is_and_what_cannot_is_named_secrets_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, "").unwrap();
        let mut reload = reload(&file);
        assert_eq!(again(&mut reload), good(&[], &[]));
        let secret = format!("whsec_{}", "B".repeat(32));
        let text = format!(
            "[log]\nlevel = \"debug\"\nlanguage = \"ru\"\n[tasks]\nlease_s = 20\n[webhooks]\nsecret = \"{secret}\""
        );
        std::fs::write(&file, text).unwrap();
        let changed = ["log.level", "log.language"];
        assert_eq!(again(&mut reload), good(&changed, &["tasks.lease_s", "webhooks.secret"]));
        assert_eq!(again(&mut reload), good(&[], &["tasks.lease_s", "webhooks.secret"]), "still waiting");
        std::fs::write(&file, "[log]\nlevel = \"debug\"").unwrap();
        assert_eq!(again(&mut reload), good(&["log.language"], &[]), "taken back");
    }

    #[test]
    fn settings_that_are_wrong_change_nothing_and_say_where() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, "").unwrap();
        let mut reload = reload(&file);
        let before = reload.in_force.clone();
        for (text, place) in [
            ("[log]\nlanguage = \"ru\"\nlevel = \"loud\"", "x.toml:3: "),
            ("[log]\nlanguage = \"ru\"\n[htpt]\nbind = 1", "x.toml:3: "),
            ("[log", "x.toml:1: "),
        ] {
            std::fs::write(&file, text).unwrap();
            let Reloaded::Refused(error) = again(&mut reload) else { panic!("{text} was taken") };
            assert!(error.to_string().contains(place), "{error}");
            assert_eq!(reload.in_force, before);
        }
    }
}
