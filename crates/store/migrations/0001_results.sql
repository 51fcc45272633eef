-- Results for good, the newest verdict of each cell, logs beside them, and the runs that brought them.
-- `started` is a sortable key (fixed width), the record keeps the original spelling.

CREATE TABLE run (
    id      TEXT PRIMARY KEY,
    started TEXT NOT NULL,
    ended   TEXT,
    command TEXT NOT NULL,             -- a JSON array of arguments
    counts  TEXT                       -- a JSON object: outcome -> cells
) STRICT, WITHOUT ROWID;

-- Append only: nothing is deleted, and nothing updated but the verdict, when newer rules judge the same evidence. `run` is no foreign key: results may come from elsewhere.
CREATE TABLE result (
    number      INTEGER PRIMARY KEY,   -- order of arrival
    id          TEXT NOT NULL UNIQUE,
    run         TEXT NOT NULL,
    project     TEXT NOT NULL,
    version     TEXT NOT NULL,
    artifact    TEXT NOT NULL,
    environment TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    cause       TEXT,
    signature   TEXT,
    request     BLOB NOT NULL,         -- 32 bytes
    inputs      BLOB NOT NULL,         -- 32 bytes
    started     TEXT NOT NULL,
    wall_s      REAL NOT NULL,
    log_owner   INTEGER,               -- the result whose logs this one repeats; null when they are its own
    record      BLOB NOT NULL          -- the whole record: JSON, zstd
) STRICT;
CREATE INDEX result_by_request ON result (request, started);
CREATE INDEX result_by_cell ON result (project, environment, started);
CREATE INDEX result_by_run ON result (run);
CREATE INDEX result_by_signature ON result (signature) WHERE signature IS NOT NULL;

-- One row a cell: the newest verdict. `verdict` is 0 for a farm error, which never replaces a real one.
CREATE TABLE latest (
    project     TEXT NOT NULL,
    environment TEXT NOT NULL,
    artifact    TEXT NOT NULL,
    result      INTEGER NOT NULL REFERENCES result (number),
    outcome     TEXT NOT NULL,
    verdict     INTEGER NOT NULL,
    started     TEXT NOT NULL,
    PRIMARY KEY (project, environment, artifact)
) STRICT, WITHOUT ROWID;

-- Exactly one of `data` (zstd) and `blob` (SHA-256 of the text, the name of a file below `blobs/`) is set.
CREATE TABLE log (
    result INTEGER NOT NULL REFERENCES result (number),
    phase  TEXT NOT NULL,
    bytes  INTEGER NOT NULL,           -- length of the text
    data   BLOB,
    blob   TEXT,
    PRIMARY KEY (result, phase),
    CHECK ((data IS NULL) <> (blob IS NULL))
) STRICT;
