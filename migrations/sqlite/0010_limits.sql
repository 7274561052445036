-- What ended long ago is found and removed, and so are the events of what is gone; and what programs may share this database.
-- The PostgreSQL twin has the same name, tables and columns.

-- By kind and status, in the order of their end. A task comes in when it ends, and goes when it is removed or tried again.
CREATE INDEX tasks_ended ON tasks (kind, status, finished_at) WHERE finished_at IS NOT NULL;

-- The last event of each task that is gone, by age.
CREATE INDEX events_of_the_gone ON events (at) WHERE event = 'deleted';

-- Numbers about the database itself. `events_forgotten`: up to this event, those of tasks that are gone may be missing.
-- `compatible_from`: the least schema that a program must know to work here; a migration that older programs cannot live with
-- raises it, all others leave it.
CREATE TABLE marks (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO marks (name, value) VALUES ('events_forgotten', 0), ('compatible_from', 10);
