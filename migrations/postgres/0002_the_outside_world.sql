-- The world outside: workers that are not ours, keys that make a request count once, callbacks, replies, duties.
-- Instants are microseconds since 1970-01-01T00:00:00Z. The SQLite twin has the same name, tables and columns.

-- Whoever has a task in hand: an incarnation's number, 'worker:<name>', or 'person:'.
ALTER TABLE tasks RENAME COLUMN node TO holder;
ALTER TABLE tasks ADD COLUMN assignee BIGINT;
-- For holders outside: how far a sign of life carries, and until when it holds. A node's lease is in nodes.
ALTER TABLE tasks ADD COLUMN lease BIGINT;
ALTER TABLE tasks ADD COLUMN lease_until BIGINT;
ALTER TABLE tasks ADD COLUMN unique_key TEXT;
ALTER TABLE tasks ADD COLUMN callback TEXT;
ALTER TABLE tasks ADD COLUMN traceparent TEXT;
-- Too late to start from then on, unless it was started once.
ALTER TABLE tasks ADD COLUMN expires_at BIGINT;

CREATE INDEX tasks_leased ON tasks (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX tasks_expiring ON tasks (expires_at)
    WHERE status = 'New' AND attempt = 0 AND error IS NULL AND expires_at IS NOT NULL;
-- One living task for each key of an owner and kind; 0 is nobody.
CREATE UNIQUE INDEX tasks_unique ON tasks (coalesce(owner, 0), kind, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('New', 'In Progress');

-- Lane 3 is for claims from outside. home is the lane of a parked row once it has come due. owner 0 is nobody.
CREATE TABLE ready_2 (
    task   BIGINT PRIMARY KEY,
    kind   TEXT    NOT NULL,
    owner  BIGINT NOT NULL,
    lane   BIGINT NOT NULL CHECK (lane IN (0, 1, 2, 3)),
    home   BIGINT NOT NULL CHECK (home IN (0, 2, 3)),
    rank   BIGINT NOT NULL,
    run_at BIGINT NOT NULL
);
INSERT INTO ready_2 (task, kind, owner, lane, home, rank, run_at)
    SELECT ready.task, ready.kind, coalesce(tasks.owner, 0), ready.lane,
        CASE WHEN ready.suspect THEN 2 ELSE 0 END, ready.rank, ready.run_at
    FROM ready JOIN tasks ON tasks.id = ready.task;
DROP TABLE ready;
ALTER TABLE ready_2 RENAME TO ready;
ALTER TABLE ready SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ready_open ON ready (kind, rank, run_at, task) WHERE lane = 0;
CREATE INDEX ready_parked ON ready (run_at) WHERE lane = 1;
CREATE INDEX ready_suspect ON ready (run_at) WHERE lane = 2;
CREATE INDEX ready_outside ON ready (kind, owner, rank, run_at, task) WHERE lane = 3;

-- Who may hear of it.
ALTER TABLE events ADD COLUMN owner BIGINT;
UPDATE events SET owner = (SELECT tasks.owner FROM tasks WHERE tasks.id = events.task);
-- Whose a deleted task was is not known any more: nobody's would be everybody's, so they are no user's.
UPDATE events SET owner = -1 WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = events.task);

-- What was answered to a request with a key, for as long as it is remembered. request is the hash of what was asked.
CREATE TABLE remembered (
    scope     TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    request   TEXT    NOT NULL,
    status    BIGINT NOT NULL,
    location  TEXT,
    body      TEXT    NOT NULL,
    forget_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX remembered_until ON remembered (forget_at);

-- How many tasks were ever created, in parts: each node counts in a part of its own, so that none waits for another.
CREATE TABLE created_counts (
    owner   BIGINT NOT NULL,
    part    BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (owner, part)
);
INSERT INTO created_counts (owner, part, created)
    SELECT coalesce(owner, 0), -1, count(*) FROM tasks GROUP BY coalesce(owner, 0);

-- Where to tell of a task's events, and how far that has come: next_at is set while there is something to tell (and
-- is in the future while somebody is at it, or until the next try). Outlives its task until all is told.
CREATE TABLE callbacks (
    task       BIGINT PRIMARY KEY,
    url        TEXT    NOT NULL,
    told       BIGINT NOT NULL,
    next_at    BIGINT,
    tries      BIGINT NOT NULL,
    since      BIGINT,
    given_up   BIGINT NOT NULL,
    last_error TEXT
);

CREATE INDEX callbacks_due ON callbacks (next_at) WHERE next_at IS NOT NULL;

-- Which producer on the broker wants to hear how its task ended.
CREATE TABLE replies (
    task           BIGINT PRIMARY KEY,
    reply_to       TEXT    NOT NULL,
    correlation_id TEXT
);

-- What one node does for all. Held for as long as that node's lease; told is how far a relay of events has come.
CREATE TABLE duties (
    name TEXT PRIMARY KEY,
    node TEXT,
    told BIGINT
);

-- What the database itself can see of a node: the session of its lease keeper, and since when that is missing. A process
-- that died is known for dead before its lease runs out. SQLite has no sessions.
ALTER TABLE nodes ADD COLUMN session BIGINT;
ALTER TABLE nodes ADD COLUMN missed_at BIGINT;
