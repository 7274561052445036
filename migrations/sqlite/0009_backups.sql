-- Backups under way: while one holds, no blob is swept, so that what its rows name can be copied. until: when the hold is
-- over, should nobody prolong it. Instants are microseconds since 1970-01-01T00:00:00Z. The PostgreSQL twin has the same
-- name, tables and columns.
CREATE TABLE holds (
    id    TEXT    PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
