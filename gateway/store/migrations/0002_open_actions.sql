-- What is open is what has not settled. A list of states said the same, but SQLite builds a table of such a list for
-- each row that it writes, and it took as long as writing the row.
DROP INDEX actions_open;
CREATE INDEX actions_open ON actions (state, try_at) WHERE settled_at IS NULL;
