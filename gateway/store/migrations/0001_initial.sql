-- Every table carries its tenant. Times are integer milliseconds since the epoch, by the store's own clock.

CREATE TABLE principals (
    tenant        TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    groups        TEXT    NOT NULL, -- JSON list
    roles         TEXT    NOT NULL, -- JSON list
    owner         TEXT,
    enabled       INTEGER NOT NULL DEFAULT 1,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE api_keys (
    id            TEXT    PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    principal     TEXT    NOT NULL,
    digest        BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    revoked_at    INTEGER,
    FOREIGN KEY (tenant, principal) REFERENCES principals (tenant, id)
) STRICT;

-- A row is a stop that is in force: scope is everything, agent, tool or connector.
CREATE TABLE switches (
    tenant        TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    target        TEXT    NOT NULL,
    stopped_by    TEXT    NOT NULL,
    because       TEXT    NOT NULL,
    stopped_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant, scope, target)
) STRICT;

CREATE TABLE tasks (
    tenant        TEXT    NOT NULL,
    principal     TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    opened_at     INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant, principal, id)
) STRICT;
CREATE INDEX tasks_implicit ON tasks (tenant, principal, seen_at) WHERE source = 'implicit';

CREATE TABLE actions (
    id            TEXT    PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    principal     TEXT    NOT NULL,
    api_key       TEXT    NOT NULL,
    tool          TEXT    NOT NULL,
    effect        TEXT    NOT NULL,
    mode          TEXT    NOT NULL,
    task          TEXT    NOT NULL,
    task_source   TEXT    NOT NULL,
    on_behalf_of  TEXT,
    key_digest    BLOB,             -- NULL: claims nothing (reads, previews) or the claim was given back
    key_source    TEXT,
    fingerprint   BLOB    NOT NULL,
    twin          BLOB    NOT NULL,
    schema_hash   TEXT    NOT NULL,
    policy_hash   TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    code          TEXT,             -- of a refusal or failure
    fence         INTEGER NOT NULL DEFAULT 0,
    instance      TEXT    NOT NULL, -- the process that dispatches it
    lease_until   INTEGER,
    tries         INTEGER NOT NULL DEFAULT 0, -- reconciliation attempts
    try_at        INTEGER,                    -- when the next one is due; NULL: none, an operator has to look
    delivered_at  INTEGER,          -- when the answer that tells its end was handed over whole; NULL: never
    received_at   INTEGER NOT NULL,
    settled_at    INTEGER,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX actions_claim ON actions (tenant, principal, tool, key_digest) WHERE key_digest IS NOT NULL;
CREATE INDEX actions_open ON actions (state, try_at) WHERE state IN ('dispatching', 'unknown', 'held');
CREATE INDEX actions_lost ON actions (tenant, principal, twin) WHERE delivered_at IS NULL AND effect = 'write' AND mode = 'run';
CREATE INDEX actions_settled ON actions (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX actions_of_principal ON actions (tenant, principal, received_at);

-- Arguments, answers and previews, sealed: nobody reads them from the file. The ledger commits to their hashes.
CREATE TABLE bodies (
    action        TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    sealed        BLOB    NOT NULL,
    expires_at    INTEGER,
    PRIMARY KEY (action, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX bodies_expiring ON bodies (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE holds (
    action        TEXT    PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    terms         TEXT    NOT NULL, -- JSON: who must approve
    witness       TEXT    NOT NULL, -- hash of the state that the preview rested on
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    execute_by    INTEGER
) STRICT;
CREATE INDEX holds_open ON holds (state, expires_at) WHERE state IN ('pending', 'approved');

CREATE TABLE votes (
    action        TEXT    NOT NULL,
    tenant        TEXT    NOT NULL,
    voter         TEXT    NOT NULL,
    verdict       TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    cast_at       INTEGER NOT NULL,
    mac           TEXT    NOT NULL, -- by a key outside this file: who can write here cannot vote for others
    PRIMARY KEY (action, voter)
) STRICT;

-- A rolling window is counted in slices, and a slice that is partly inside counts whole: never over the limit.
CREATE TABLE budgets (
    tenant        TEXT    NOT NULL,
    budget        TEXT    NOT NULL,
    slice         INTEGER NOT NULL,
    reserved      INTEGER NOT NULL DEFAULT 0,
    spent         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, budget, slice)
) STRICT, WITHOUT ROWID;

CREATE TABLE charges (
    action        TEXT    NOT NULL,
    tenant        TEXT    NOT NULL,
    budget        TEXT    NOT NULL,
    slice         INTEGER NOT NULL,
    amount        INTEGER NOT NULL,
    PRIMARY KEY (action, budget)
) STRICT, WITHOUT ROWID;

-- The columns that are searched are computed from the line itself, so that they cannot tell another story.
CREATE TABLE ledger (
    seq           INTEGER PRIMARY KEY,
    hash          TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    event         TEXT    GENERATED ALWAYS AS (json_extract(text, '$.event')) VIRTUAL,
    at            INTEGER GENERATED ALWAYS AS (json_extract(text, '$.at')) VIRTUAL,
    action        TEXT    GENERATED ALWAYS AS (json_extract(text, '$.action')) VIRTUAL,
    tenant        TEXT    GENERATED ALWAYS AS (json_extract(text, '$.tenant')) VIRTUAL,
    principal     TEXT    GENERATED ALWAYS AS (json_extract(text, '$.principal')) VIRTUAL,
    tool          TEXT    GENERATED ALWAYS AS (json_extract(text, '$.tool')) VIRTUAL,
    task          TEXT    GENERATED ALWAYS AS (json_extract(text, '$.task')) VIRTUAL
) STRICT;
CREATE INDEX ledger_action ON ledger (action) WHERE action IS NOT NULL;
CREATE TRIGGER ledger_is_append_only_update BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_append_only_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- The chain's end, authenticated with a key outside this file, so that a cut tail shows.
CREATE TABLE ledger_head (
    writer        TEXT    PRIMARY KEY,
    seq           INTEGER NOT NULL,
    hash          TEXT    NOT NULL,
    mac           TEXT    NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    size          INTEGER PRIMARY KEY,
    note          TEXT    NOT NULL,
    made_at       INTEGER NOT NULL
) STRICT;
