-- The pictures of tasks, with what they take: they count among what somebody has here, as images do.
CREATE TABLE pictures (
    task  INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    owner INTEGER,
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;

-- By owner (0 is nobody).
CREATE INDEX pictures_owned ON pictures (coalesce(owner, 0), bytes);

-- Those that are there: what a task of people was given with it.
INSERT INTO pictures (task, owner, bytes)
SELECT tasks.id, tasks.owner, task_blobs.bytes
FROM tasks JOIN task_blobs ON task_blobs.task = tasks.id
WHERE tasks.kind = 'manual' AND task_blobs.role = 'input';
