-- The log is the truth; every other table is what the log adds up to, and can be rebuilt from it.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,           -- 1, 2, 3 … without gaps
    at_ms   INTEGER NOT NULL,              -- the desk's clock, never backwards
    kind    TEXT    NOT NULL,
    payment TEXT,                          -- the payment it is about, if any
    body    TEXT    NOT NULL,              -- the exact bytes that were hashed
    hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX events_by_payment ON events (payment, seq) WHERE payment IS NOT NULL;

CREATE TRIGGER events_are_never_edited BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END;

CREATE TABLE desk (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    frozen   INTEGER NOT NULL CHECK (frozen IN (0, 1))
) STRICT;
INSERT INTO desk VALUES (1, 0);

CREATE TABLE agents (
    agent        TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL UNIQUE,
    account      INTEGER NOT NULL UNIQUE CHECK (account > 0),
    address      TEXT    NOT NULL UNIQUE,
    grade        TEXT    NOT NULL,
    budget       TEXT    NOT NULL,
    token_sha256 TEXT    UNIQUE,           -- absent once revoked
    added_ms     INTEGER NOT NULL
) STRICT;

CREATE TABLE payments (
    payment         TEXT    PRIMARY KEY,
    seq             INTEGER NOT NULL UNIQUE, -- its first event: the order of activity
    agent           TEXT    NOT NULL REFERENCES agents,
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
    offer           TEXT    NOT NULL,
    verdict         TEXT    NOT NULL,
    spans           TEXT,                    -- the windows its hold lies in
    from_address    TEXT,
    nonce           TEXT    UNIQUE,
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
CREATE UNIQUE INDEX payments_by_client_key ON payments (agent, client_key) WHERE client_key IS NOT NULL;
CREATE INDEX payments_by_agent ON payments (agent, seq);
CREATE INDEX payments_by_state ON payments (state, seq);

CREATE TABLE counters (
    agent   TEXT    NOT NULL REFERENCES agents,
    span    TEXT    NOT NULL,              -- 'day', 'week', 'month', 'lifetime'
    label   TEXT    NOT NULL,              -- which one: '2026-11-22'
    held    INTEGER NOT NULL CHECK (held >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    PRIMARY KEY (agent, span, label)
) STRICT, WITHOUT ROWID;

-- Double entry: the lines of one event add up to zero.
CREATE TABLE entries (
    seq     INTEGER NOT NULL REFERENCES events,
    account TEXT    NOT NULL,
    units   INTEGER NOT NULL,
    PRIMARY KEY (seq, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    account TEXT    PRIMARY KEY,           -- 'float/agt_…', 'held/agt_…', 'paid/agt_…', 'treasury', 'outside'
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

CREATE TABLE approvals (
    approval    TEXT    PRIMARY KEY,
    payment     TEXT    NOT NULL UNIQUE REFERENCES payments,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'lapsed', 'changed')),
    asked_ms    INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    answered_ms INTEGER,
    answer      TEXT
) STRICT;
CREATE INDEX approvals_waiting ON approvals (expires_ms) WHERE state = 'waiting';

CREATE TABLE refills (
    refill     TEXT    PRIMARY KEY,
    agent      TEXT    NOT NULL REFERENCES agents,
    value      INTEGER NOT NULL CHECK (value > 0),
    chain_id   INTEGER NOT NULL,
    contract   TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('granted', 'sent', 'settled', 'failed')),
    tx         TEXT,
    block      INTEGER,
    note       TEXT,
    at_ms      INTEGER NOT NULL
) STRICT;

CREATE TABLE hosts (
    host TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Money that reached a float from outside, so that the same log is never booked twice.
CREATE TABLE receipts (
    tx        TEXT    NOT NULL,
    log_index INTEGER NOT NULL,
    agent     TEXT    NOT NULL REFERENCES agents,
    PRIMARY KEY (tx, log_index)
) STRICT, WITHOUT ROWID;

-- Not part of the books: things kept for a while, that no sum depends on.
CREATE TABLE kept_requests (
    payment TEXT PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE kept_responses (
    payment TEXT PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE marks (
    mark  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
