-- What those see who run the daemon: kinds that are paused, what happened minute by minute, what nodes say of themselves.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The SQLite twin has the same name, tables and columns.

-- A row exactly while the kind is paused: then no task of it starts, on any node, nor is one given to a worker outside.
-- paused_by: the user who did it; nobody's number when it was whoever can read the data folder.
CREATE TABLE paused_kinds (
    kind      TEXT   PRIMARY KEY,
    paused_at BIGINT NOT NULL,
    paused_by BIGINT
);

-- What one process (counter) did of a kind within a minute (counted from 1970-01-01): a statistic, which it writes anew every
-- few seconds. waits and runs: how many waited and ran how long, as a JSON array with a number for each bound and one more.
CREATE TABLE kind_minutes (
    minute    BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    counter   TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    retried   BIGINT NOT NULL,
    waits     TEXT   NOT NULL,
    runs      TEXT   NOT NULL,
    PRIMARY KEY (minute, kind, counter)
) WITH (fillfactor = 70);

-- What a node said of itself, and when: its health, its version, what it runs. JSON.
ALTER TABLE nodes ADD COLUMN said TEXT;
ALTER TABLE nodes ADD COLUMN said_at BIGINT;

-- How many of each kind wait for their time, without a walk over all of them.
CREATE INDEX ready_parked_kinds ON ready (kind) WHERE lane = 1;
