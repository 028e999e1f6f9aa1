-- The whole life of a pool: devices that leave, upgrades by name, shrinking, candidates, undo.

ALTER TABLE account ADD COLUMN policy TEXT NOT NULL DEFAULT 'registered'
  CHECK (policy IN ('registered', 'open'));
ALTER TABLE account ADD COLUMN subscribed_at_ms {integer} NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN candidates {integer} NOT NULL DEFAULT 0 CHECK (candidates >= 0);
ALTER TABLE account ADD COLUMN candidates_at_ms {integer} NOT NULL DEFAULT 0;

UPDATE account SET subscribed_at_ms = coalesce(
  (SELECT at_ms FROM change WHERE change.account = account.account AND change.sequence = 1), 0);

ALTER TABLE device ADD COLUMN upgrade_id {bytes};

CREATE INDEX device_upgrading ON device (account, imei) WHERE upgrade > 0;

-- The change and moment of the license that an undo brought back; NULL for any other license.
ALTER TABLE license ADD COLUMN origin_sequence {integer};
ALTER TABLE license ADD COLUMN origin_ms {integer};
ALTER TABLE span ADD COLUMN origin_sequence {integer};
ALTER TABLE span ADD COLUMN origin_ms {integer};

-- How many licenses of each granting change are still held: the queue of the oldest, without an
-- index that every assign would pay for.
CREATE TABLE granted (
  account {integer} NOT NULL,
  sequence {integer} NOT NULL,
  held {integer} NOT NULL CHECK (held >= 0),
  PRIMARY KEY (account, sequence)
) {clustered};

INSERT INTO granted (account, sequence, held)
SELECT account, since_sequence, count(*) FROM license GROUP BY account, since_sequence;

CREATE TABLE pending (
  account {integer} NOT NULL,
  imei {integer} NOT NULL,
  sequence {integer} NOT NULL,
  place {integer} NOT NULL,
  PRIMARY KEY (account, imei),
  UNIQUE (account, sequence, place)
) {clustered};

CREATE TABLE candidate (
  account {integer} NOT NULL,
  imei {integer} NOT NULL,
  sequence {integer} NOT NULL,
  place {integer} NOT NULL,
  PRIMARY KEY (account, imei),
  UNIQUE (account, sequence, place)
) {clustered};

CREATE TABLE upgrade (
  account {integer} NOT NULL,
  id {bytes} NOT NULL,
  sequence {integer} NOT NULL,
  firmware_name TEXT NOT NULL,
  firmware_to TEXT NOT NULL,
  start_date TEXT NOT NULL,
  end_date TEXT NOT NULL,
  PRIMARY KEY (account, id)
) {clustered};

CREATE TABLE upgrade_item (
  account {integer} NOT NULL,
  id {bytes} NOT NULL,
  imei {integer} NOT NULL,
  sequence {integer} NOT NULL,
  place {integer} NOT NULL,
  step {integer} NOT NULL CHECK (step BETWEEN 1 AND 5),
  PRIMARY KEY (account, id, imei)
) {clustered};

-- The body of an answer, where the change does not hold the whole of it.
ALTER TABLE idempotency ADD COLUMN answer {bytes};
