-- Keys by the day of their change, so that a lookup seeks two days and whole days are forgotten
-- from the front: no second index. Nothing was ever written to the table as it was.

DROP TABLE idempotency;

CREATE TABLE idempotency (
  account {integer} NOT NULL,
  day {integer} NOT NULL,
  key TEXT NOT NULL,
  fingerprint {bytes} NOT NULL,
  sequence {integer} NOT NULL CHECK (sequence > 0),
  PRIMARY KEY (account, day, key)
) {clustered};
