-- One row a leak group of a dump; see docs/fleet.md.
CREATE TABLE IF NOT EXISTS leaks (
    seen          TEXT NOT NULL,     -- day on which the dump was taken, YYYY-MM-DD
    file          TEXT NOT NULL,     -- the dump
    target        TEXT NOT NULL,
    identity      TEXT,              -- kernel release or program
    signature     TEXT NOT NULL,
    weak          INTEGER NOT NULL,  -- signed without a stack
    cache         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    count         INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    hanging_bytes INTEGER NOT NULL,
    site          TEXT NOT NULL,
    stack         TEXT NOT NULL      -- JSON array, innermost first
);
CREATE INDEX IF NOT EXISTS leaks_signature ON leaks (signature, seen);
