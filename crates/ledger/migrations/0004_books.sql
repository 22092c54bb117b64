-- The fourth form of the books: money also goes from floats back to the treasury, and the desk knows
-- which nodes its owner chose to ask.
-- The log is the truth and is never rewritten; every other table is
-- what the log adds up to, so a migration throws those away and replays the log into new ones.
CREATE TABLE IF NOT EXISTS events (
    seq     INTEGER PRIMARY KEY,           -- 1, 2, 3 … without gaps
    at_ms   INTEGER NOT NULL,              -- the desk's clock, never backwards
    kind    TEXT    NOT NULL,
    payment TEXT,                          -- the payment it is about, if any
    body    TEXT    NOT NULL,              -- the exact bytes that were hashed
    hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_payment ON events (payment, seq) WHERE payment IS NOT NULL;

CREATE TRIGGER IF NOT EXISTS events_are_never_edited BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;

-- How far the vault has put its name to the log: one row, written with every commit while the
-- vault is open.
CREATE TABLE IF NOT EXISTS seals (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq      INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    mac      BLOB    NOT NULL CHECK (length(mac) = 32)
) STRICT;

CREATE TABLE desk (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    frozen   INTEGER NOT NULL CHECK (frozen IN (0, 1)),
    payments INTEGER NOT NULL,             -- how many there are
    restored TEXT,                         -- how far books out of a backup are, until the owner thaws
    account  INTEGER NOT NULL CHECK (account >= 0), -- the last one the chain knows and no agent has
    locks    TEXT,                         -- when vault and window lock, once the owner has said
    nodes    TEXT                          -- which nodes are asked about the chain, once the owner has said
) STRICT;

CREATE TABLE agents (
    agent        TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL UNIQUE,
    account      INTEGER NOT NULL UNIQUE CHECK (account > 0),
    address      TEXT    NOT NULL UNIQUE,
    grade        TEXT    NOT NULL,
    budget       TEXT    NOT NULL,
    shared       TEXT,                     -- the shared budget it is under, if any
    token_sha256 TEXT    UNIQUE,           -- absent once revoked
    place        TEXT,                     -- where its credential is used from
    questions    TEXT    NOT NULL,         -- its payments that wait for the owner
    last_ms      INTEGER,                  -- when it last asked for anything
    added_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shared_budgets (
    shared   TEXT    PRIMARY KEY,
    name     TEXT    NOT NULL,
    name_key TEXT    NOT NULL UNIQUE,
    budget   TEXT    NOT NULL,
    added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    seq             INTEGER PRIMARY KEY,   -- its first event: the order of activity
    payment         TEXT    NOT NULL UNIQUE,
    agent           TEXT    NOT NULL,
    client_key      TEXT,
    request_sha256  TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    what            TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    purpose         TEXT,
    task            TEXT,
    origin          TEXT    NOT NULL,
    pay_to          TEXT    NOT NULL,
    chain_id        INTEGER NOT NULL,
    contract        TEXT    NOT NULL,
    value           INTEGER NOT NULL CHECK (value >= 0),
    verdict_seq     INTEGER NOT NULL,      -- the event that holds what was decided last
    spans           TEXT,                  -- the counters its hold lies in
    from_address    TEXT,
    nonce           TEXT,
    valid_after_s   INTEGER,
    valid_before_s  INTEGER,
    response_status INTEGER,
    response_sha256 TEXT,
    tx              TEXT,
    block           INTEGER,
    note            TEXT,
    at_ms           INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_by_agent ON payments (agent, seq);
CREATE INDEX payments_by_state ON payments (state, seq);
CREATE INDEX payments_by_time ON payments (at_ms);

CREATE TABLE client_keys (
    agent          TEXT NOT NULL,
    client_key     TEXT NOT NULL,
    payment        TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    PRIMARY KEY (agent, client_key)
) STRICT, WITHOUT ROWID;

-- One row a window: what it holds, whoever's it is. A check reads one row, however long the
-- history is.
CREATE TABLE counters (
    holder  TEXT    NOT NULL,              -- an agent or a shared budget
    span    TEXT    NOT NULL,              -- 'day', 'week', 'month', 'lifetime', 'payee_day', 'new_payee_day'
    label   TEXT    NOT NULL,              -- which one: '2026-11-22'
    held    INTEGER NOT NULL CHECK (held >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    PRIMARY KEY (holder, span, label)
) STRICT, WITHOUT ROWID;

-- The rolling hour: the last sixty-one minutes of one holder.
CREATE TABLE hours (
    holder  TEXT PRIMARY KEY,
    minutes TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Double entry: each line takes from one account what it gives to another.
CREATE TABLE entries (
    seq    INTEGER PRIMARY KEY,            -- the event that moved the money
    debit  TEXT    NOT NULL,               -- where it went
    credit TEXT    NOT NULL,               -- where it came from
    units  INTEGER NOT NULL CHECK (units > 0)
) STRICT;

CREATE TABLE accounts (
    account TEXT    PRIMARY KEY,           -- 'float/agt_…', 'held/agt_…', 'payee/https://…', 'treasury', 'outside'
    units   INTEGER NOT NULL CHECK (units >= 0 OR account IN ('treasury', 'outside'))
) STRICT, WITHOUT ROWID;

CREATE TABLE payees (
    origin        TEXT    NOT NULL,
    pay_to        TEXT    NOT NULL,
    chain_id      INTEGER NOT NULL,
    contract      TEXT    NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL,
    last_value    INTEGER,                 -- what was last paid there, once anything was
    last_what     TEXT,
    PRIMARY KEY (origin, pay_to, chain_id, contract)
) STRICT, WITHOUT ROWID;

-- The address an origin was paid at last.
CREATE TABLE origins (
    origin   TEXT    NOT NULL,
    chain_id INTEGER NOT NULL,
    contract TEXT    NOT NULL,
    pay_to   TEXT    NOT NULL,
    PRIMARY KEY (origin, chain_id, contract)
) STRICT, WITHOUT ROWID;

-- The last ten prices paid for the same thing.
CREATE TABLE prices (
    origin TEXT NOT NULL,
    item   TEXT NOT NULL,                  -- the path that was fetched
    last   TEXT NOT NULL,
    PRIMARY KEY (origin, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    approval    TEXT    PRIMARY KEY,
    payment     TEXT    NOT NULL UNIQUE,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'lapsed', 'changed')),
    asked_ms    INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    answered_ms INTEGER,
    answer      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_waiting ON approvals (expires_ms) WHERE state = 'waiting';

CREATE TABLE refills (
    refill     TEXT    PRIMARY KEY,
    agent      TEXT    NOT NULL,
    value      INTEGER NOT NULL CHECK (value > 0),
    chain_id   INTEGER NOT NULL,
    contract   TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('granted', 'sent', 'settled', 'failed')),
    tx         TEXT,
    block      INTEGER,
    note       TEXT,
    at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refills_by_tx ON refills (tx) WHERE tx IS NOT NULL;

CREATE TABLE sweeps (
    sweep          TEXT    PRIMARY KEY,
    agent          TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('held', 'sent', 'settled', 'void', 'expired')),
    chain_id       INTEGER NOT NULL,
    contract       TEXT    NOT NULL,
    from_address   TEXT    NOT NULL,
    to_address     TEXT    NOT NULL,
    value          INTEGER NOT NULL CHECK (value > 0),
    nonce          TEXT    NOT NULL UNIQUE,
    valid_after_s  INTEGER NOT NULL,
    valid_before_s INTEGER NOT NULL,
    tx             TEXT,
    block          INTEGER,
    note           TEXT,
    at_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sweeps_open ON sweeps (at_ms) WHERE state IN ('held', 'sent');

CREATE TABLE hosts (
    host TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Money that reached a float from outside, so that the same log is never booked twice.
CREATE TABLE receipts (
    tx        TEXT    NOT NULL,
    log_index INTEGER NOT NULL,
    agent     TEXT    NOT NULL,
    PRIMARY KEY (tx, log_index)
) STRICT, WITHOUT ROWID;

-- What was spent from accounts of this vault that no agent here has, so that the same log is never
-- counted twice.
CREATE TABLE strangers (
    tx        TEXT    NOT NULL,
    log_index INTEGER NOT NULL,
    account   INTEGER NOT NULL CHECK (account > 0),
    PRIMARY KEY (tx, log_index)
) STRICT, WITHOUT ROWID;

-- What looked odd, and whether that is over: danger is folded from these.
CREATE TABLE signals (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    ack_ms  INTEGER                        -- acknowledged by the owner, or agreed again
) STRICT;
CREATE INDEX signals_open ON signals (seq) WHERE ack_ms IS NULL;

-- How often something odd happened lately, before it is a signal.
CREATE TABLE tallies (
    subject TEXT NOT NULL,
    kind    TEXT NOT NULL,
    times   TEXT NOT NULL,
    PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;

-- Nonces that payees prescribed, and those that the chain told of after a restore: each is signed
-- once, or two payments would share one signature.
CREATE TABLE nonces (
    agent   TEXT NOT NULL,
    nonce   TEXT NOT NULL,
    payment TEXT,
    PRIMARY KEY (agent, nonce)
) STRICT, WITHOUT ROWID;

-- Not part of the books: things kept for a while, that no sum depends on.
CREATE TABLE IF NOT EXISTS kept_requests (
    payment TEXT PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS kept_responses (
    payment TEXT PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS marks (
    mark  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
-- The words of each payment, for searching; caught up before a search, and rebuilt at will.
CREATE VIRTUAL TABLE payments_text USING fts5 (
    what, payee, purpose, task,
    content = '', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
