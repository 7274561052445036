-- Tasks are found by kind and by unique key, whatever became of them, without a walk over all that ever were.

-- A task never changes its kind or key, so these cost when it is made and when it is removed, and never between.
CREATE INDEX tasks_of_kind ON tasks (kind, id);
CREATE INDEX tasks_keyed ON tasks (unique_key, id) WHERE unique_key IS NOT NULL;
