-- The bodies of an action go when its end is as long ago as bodies are kept, and the index of ends knows which those
-- are. An index of their own took two entries for each call, which were an eighth of what a commit wrote.
DROP INDEX bodies_expiring;

-- How far a job that goes through what has ended has come.
CREATE TABLE swept (
    what          TEXT    PRIMARY KEY,
    upto          INTEGER NOT NULL  -- milliseconds since the epoch
) STRICT;

-- What was asked for is told for as long as it goes with its action, and not for a time of its own.
UPDATE bodies SET expires_at = NULL WHERE kind IN ('arguments', 'context');
