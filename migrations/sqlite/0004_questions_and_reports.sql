-- Questions of quizzes, counters of users, reports.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The PostgreSQL twin has the same name, tables and columns.

-- Saved questions stay when the task that fetched them goes. content: what two questions of one source have in common when
-- they are the same; searched: what a search looks through.
CREATE TABLE questions (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    source              TEXT    NOT NULL,
    content             TEXT    NOT NULL,
    upstream_id         TEXT,
    question            TEXT    NOT NULL,
    answer              TEXT    NOT NULL,
    category            TEXT,
    value               INTEGER,
    difficulty          TEXT,
    wrong_answers       TEXT    NOT NULL,
    upstream_created_at INTEGER,
    searched            TEXT    NOT NULL,
    saved_at            INTEGER NOT NULL,
    task                INTEGER NOT NULL,
    UNIQUE (source, content)
) STRICT;

CREATE INDEX questions_of_task ON questions (task);
CREATE INDEX questions_in_category ON questions (category, id);

CREATE TABLE counters (
    owner      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    value      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- What a counter was at the end of a day (in UTC, counted from 1970-01-01) on which it changed.
CREATE TABLE counter_days (
    owner INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name  TEXT    NOT NULL,
    day   INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (owner, name, day)
) STRICT, WITHOUT ROWID;

-- A report lives as long as its task; its bytes are the task's output. owner: whom it is about.
CREATE TABLE reports (
    id         TEXT    PRIMARY KEY,
    task       INTEGER NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE,
    owner      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX reports_until ON reports (expires_at);
