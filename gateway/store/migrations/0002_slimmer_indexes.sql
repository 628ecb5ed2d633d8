-- What is open is what has not settled. A list of states said the same, but SQLite builds a table of such a list for
-- each row that it writes, and it took as long as writing the row.
DROP INDEX actions_open;
CREATE INDEX actions_open ON actions (state, try_at) WHERE settled_at IS NULL;

-- A digest is of tenant, principal and tool, too. Said once more in the index they took more than half of it, and its
-- pages lie anywhere: the fewer there are, the fewer have to be read from the disk.
DROP INDEX actions_claim;
CREATE UNIQUE INDEX actions_claim ON actions (key_digest) WHERE key_digest IS NOT NULL;
DROP INDEX actions_lost;
CREATE INDEX actions_lost ON actions (twin) WHERE delivered_at IS NULL AND effect = 'write' AND mode = 'run';
