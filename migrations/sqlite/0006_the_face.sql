-- What those see who run the daemon: kinds that are paused, what happened minute by minute, what nodes say of themselves.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The PostgreSQL twin has the same name, tables and columns.

-- A row exactly while the kind is paused: then no task of it starts, on any node, nor is one given to a worker outside.
-- paused_by: the user who did it; nobody's number when it was whoever can read the data folder.
CREATE TABLE paused_kinds (
    kind      TEXT    PRIMARY KEY,
    paused_at INTEGER NOT NULL,
    paused_by INTEGER
) STRICT, WITHOUT ROWID;

-- What one process (counter) did of a kind within a minute (counted from 1970-01-01): a statistic, which it writes anew every
-- few seconds. waits and runs: how many waited and ran how long, as a JSON array with a number for each bound and one more.
CREATE TABLE kind_minutes (
    minute    INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    counter   TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    retried   INTEGER NOT NULL,
    waits     TEXT    NOT NULL,
    runs      TEXT    NOT NULL,
    PRIMARY KEY (minute, kind, counter)
) STRICT, WITHOUT ROWID;

-- What a node said of itself, and when: its health, its version, what it runs. JSON.
ALTER TABLE nodes ADD COLUMN said TEXT;
ALTER TABLE nodes ADD COLUMN said_at INTEGER;

-- How many of each kind wait for their time, without a walk over all of them.
CREATE INDEX ready_parked_kinds ON ready (kind) WHERE lane = 1;
