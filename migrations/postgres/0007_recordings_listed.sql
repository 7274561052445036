-- A user's recordings, the newest first, and all that are a user's.
CREATE INDEX recordings_listed ON recordings (owner, task) WHERE owner IS NOT NULL;
DROP INDEX recordings_owned;
