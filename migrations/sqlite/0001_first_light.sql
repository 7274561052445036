-- Tasks, what is ready, what happened, who runs them, whose they are, and the recordings.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The PostgreSQL twin has the same name, tables and columns.

-- Wide and permanent: one row a task, as it is now.
CREATE TABLE tasks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT    NOT NULL,
    owner        INTEGER,
    status       TEXT    NOT NULL CHECK (status IN ('New', 'In Progress', 'Completed', 'Failed', 'Cancelled')),
    priority     INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),
    attempt      INTEGER NOT NULL CHECK (attempt >= 0),
    failures     INTEGER NOT NULL CHECK (failures >= 0),
    crashes      INTEGER NOT NULL CHECK (crashes >= 0),
    run_at       INTEGER,
    node         TEXT,
    progress     INTEGER CHECK (progress BETWEEN 0 AND 100),
    result       TEXT,
    error        TEXT,
    started_at   INTEGER,
    finished_at  INTEGER,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    timeout      INTEGER CHECK (timeout > 0),
    payload      TEXT    NOT NULL,
    tags         TEXT    NOT NULL,
    CHECK ((status = 'New') = (run_at IS NOT NULL)),
    CHECK ((status = 'In Progress') = (node IS NOT NULL)),
    CHECK ((status IN ('Completed', 'Failed', 'Cancelled')) = (finished_at IS NOT NULL)),
    CHECK ((status = 'Completed') = (result IS NOT NULL)),
    CHECK (status <> 'Failed' OR error IS NOT NULL)
) STRICT;

-- No index on status alone: almost every row is in one or two of them, and every change would move it.
CREATE INDEX tasks_in_progress ON tasks (node) WHERE status = 'In Progress';
CREATE INDEX tasks_ended_badly ON tasks (status, id) WHERE status IN ('Failed', 'Cancelled');
CREATE INDEX tasks_owned ON tasks (owner, id) WHERE owner IS NOT NULL;

CREATE TABLE task_tags (
    tag  TEXT    NOT NULL,
    task INTEGER NOT NULL,
    PRIMARY KEY (tag, task)
) STRICT, WITHOUT ROWID;

-- Narrow and hot: a row exactly while the task is New. Lane 0 may be claimed now, 1 waits for its run_at, 2 is a
-- suspect that must run alone. rank is the priority turned round.
CREATE TABLE ready (
    task    INTEGER PRIMARY KEY,
    kind    TEXT    NOT NULL,
    lane    INTEGER NOT NULL CHECK (lane IN (0, 1, 2)),
    suspect INTEGER NOT NULL CHECK (suspect IN (0, 1)),
    rank    INTEGER NOT NULL,
    run_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX ready_open ON ready (kind, rank, run_at, task) WHERE lane = 0;
CREATE INDEX ready_parked ON ready (run_at) WHERE lane = 1;
CREATE INDEX ready_suspect ON ready (run_at) WHERE lane = 2;

-- One fact a row, written with the fact. id is the one public order.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    task    INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    event   TEXT    NOT NULL CHECK (event IN
        ('created', 'started', 'progress', 'completed', 'failed', 'retrying', 'cancelled', 'deleted')),
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    data    TEXT
) STRICT;

CREATE INDEX events_of_task ON events (task, id);

-- One incarnation of a daemon a row. spared: it lost its lease or drained, and is known not to have crashed.
CREATE TABLE nodes (
    id          TEXT    PRIMARY KEY,
    seat        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    spared      INTEGER NOT NULL DEFAULT 0 CHECK (spared IN (0, 1))
) STRICT;

CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT,
    email      TEXT UNIQUE,
    token_hash TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    CHECK (name IS NOT NULL OR email IS NOT NULL)
) STRICT;

-- The blobs that belong to a task; a blob lives while a row names it.
CREATE TABLE task_blobs (
    task  INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    role  TEXT    NOT NULL CHECK (role IN ('input', 'output')),
    blob  TEXT    NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (task, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_blobs_by_blob ON task_blobs (blob);

CREATE TABLE recordings (
    id         TEXT    PRIMARY KEY,
    task       INTEGER NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE,
    owner      INTEGER REFERENCES users (id) ON DELETE CASCADE,
    filename   TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
