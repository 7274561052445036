-- People and images: profiles, passwords, sessions, allowances, pictures.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The PostgreSQL twin has the same name, tables and columns.

ALTER TABLE users ADD COLUMN gender TEXT;
ALTER TABLE users ADD COLUMN avatar TEXT;
ALTER TABLE users ADD COLUMN avatar_bytes INTEGER;
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin'));
ALTER TABLE users ADD COLUMN password TEXT;
-- Of a user who is gone the number stays for a while, until all that was theirs is gone as well.
ALTER TABLE users ADD COLUMN deleted_at INTEGER;

CREATE INDEX users_named ON users (name, id) WHERE password IS NOT NULL;
CREATE INDEX users_pictured ON users (avatar) WHERE avatar IS NOT NULL;
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;
-- Whoever is gone gives back what they had in hand.
CREATE INDEX tasks_assigned ON tasks (assignee) WHERE assignee IS NOT NULL AND status = 'In Progress';

-- And takes their recordings along: the foreign key looks for them.
CREATE INDEX recordings_owned ON recordings (owner) WHERE owner IS NOT NULL;

CREATE TABLE sessions (
    token_hash TEXT    PRIMARY KEY,
    owner      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_owned ON sessions (owner);
CREATE INDEX sessions_until ON sessions (expires_at);

-- How much of a rate somebody has spent: each use moves spent_until on, and there is a bound on how far into the future
-- it may lie (the generic cell rate algorithm).
CREATE TABLE allowances (
    key         TEXT    PRIMARY KEY,
    spent_until INTEGER NOT NULL
) STRICT;

CREATE INDEX allowances_until ON allowances (spent_until);

-- An image lives as long as its task; its bytes are the task's output. ready_at: when it had been checked and stored.
CREATE TABLE images (
    id           TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    task         INTEGER NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE,
    owner        INTEGER,
    filename     TEXT    NOT NULL,
    format       TEXT    NOT NULL,
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    width        INTEGER NOT NULL CHECK (width > 0),
    height       INTEGER NOT NULL CHECK (height > 0),
    frames       INTEGER NOT NULL CHECK (frames > 0),
    thumbhash    TEXT,
    delete_token TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    ready_at     INTEGER
) STRICT;

-- By owner (0 is nobody), in the order of the tasks: pages of a gallery, and what somebody has here.
CREATE INDEX images_owned ON images (coalesce(owner, 0), task, bytes);
