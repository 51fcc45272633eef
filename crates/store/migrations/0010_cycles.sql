-- Cycles, where each cell stands, what changed, and who was told.

CREATE TABLE cycle (
    number  INTEGER PRIMARY KEY,
    run     TEXT NOT NULL UNIQUE,      -- `run` of the results that it brings
    scope   TEXT NOT NULL,             -- what it walks and how; the same scope goes on with an unfinished cycle
    started TEXT NOT NULL,
    ended   TEXT,                      -- null while it is unfinished
    cursor  TEXT NOT NULL DEFAULT '',  -- place in the order up to which all projects have settled
    listed  INTEGER NOT NULL DEFAULT 0,
    summary TEXT                       -- a JSON object, once it ended
) STRICT;

-- One row a cell that cycles have wanted: where it stands.
CREATE TABLE standing (
    project       TEXT NOT NULL,
    environment   TEXT NOT NULL,
    artifact      TEXT NOT NULL,
    cycle         INTEGER NOT NULL,    -- the newest cycle that wanted it
    due           TEXT,                -- why it was to be run; null: its result stood
    state         TEXT NOT NULL,       -- `left` until it has settled
    result        INTEGER REFERENCES result (number),
    since         TEXT,                -- of a failing cell: when it was first seen to fail
    since_version TEXT,                -- … and in which release
    core_s        REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (project, environment, artifact)
) STRICT, WITHOUT ROWID;
CREATE INDEX standing_by_cycle ON standing (cycle, state);

-- News only, append only.
CREATE TABLE transition (
    cycle       INTEGER NOT NULL,
    project     TEXT NOT NULL,
    environment TEXT NOT NULL,
    artifact    TEXT NOT NULL,
    state       TEXT NOT NULL,
    result      INTEGER NOT NULL REFERENCES result (number),
    before      INTEGER REFERENCES result (number),
    PRIMARY KEY (cycle, project, environment, artifact)
) STRICT, WITHOUT ROWID;
CREATE INDEX transition_by_project ON transition (project);

-- Projects of a cycle that could not be planned.
CREATE TABLE absent (
    cycle   INTEGER NOT NULL,
    project TEXT NOT NULL,
    why     TEXT NOT NULL,
    PRIMARY KEY (cycle, project)
) STRICT, WITHOUT ROWID;

-- The letters, and what they told. A letter and what it tells are one transaction; its file follows.
CREATE TABLE letter (
    id      TEXT PRIMARY KEY,          -- also the file's name
    cycle   INTEGER NOT NULL,
    contact TEXT NOT NULL,             -- a digest of the address, or of the project where there is none
    message BLOB NOT NULL,             -- the whole message, zstd
    written INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE told (
    contact     TEXT NOT NULL,
    project     TEXT NOT NULL,
    environment TEXT NOT NULL,
    artifact    TEXT NOT NULL,
    what        TEXT NOT NULL,         -- the state that was told, and the result it stood at
    letter      TEXT NOT NULL,
    PRIMARY KEY (contact, project, environment, artifact, what)
) STRICT, WITHOUT ROWID;

-- Who is concerned with a project, as its metadata has it: a JSON object. Addresses in it are shown nowhere.
CREATE TABLE people (
    project TEXT PRIMARY KEY,
    people  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
