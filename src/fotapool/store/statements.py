"""The statements on licenses and the ledger, by name. Parameters stand in the order of the words;
what the engines spell differently is a hole (`dialect`).

Two kinds of tables, and no statement touches both: pool tables, where each statement names one
account (here and in `statements_life`), and the small tables of `statements_directory`.
"""

from __future__ import annotations

ACCOUNT_INSERT = """
INSERT INTO account
  (account, purchase_type, total, used, overhang, sequence, changed_at_ms, head)
VALUES (?, ?, 0, 0, 0, 0, 0, ?)
"""

ACCOUNT = """
SELECT total, used, overhang, purchase_type, sequence, changed_at_ms, head, active, policy,
  subscribed_at_ms, candidates, candidates_at_ms
FROM account WHERE account = ?
"""

# A statement of its own, and all else is read by later ones: in one with others, PostgreSQL would
# show this row as it is now and the rest as it was before the wait.
ACCOUNT_LOCKED = ACCOUNT + "{lock}"

ACCOUNT_UPDATE = """
UPDATE account
SET total = ?, used = ?, overhang = ?, purchase_type = ?, sequence = ?, changed_at_ms = ?, head = ?,
  active = ?, policy = ?, subscribed_at_ms = ?, candidates = ?, candidates_at_ms = ?
WHERE account = ?
"""

FACTS = """
SELECT
  {list}(named.value) FILTER (WHERE coalesce(device.registered, 0) = 0),
  {list}(named.value) FILTER (WHERE license.imei IS NOT NULL),
  {list}(named.value) FILTER (WHERE device.upgrade = 1),
  {list}(named.value) FILTER (WHERE device.upgrade = 2),
  {list}(named.value) FILTER (WHERE device.upgraded_sequence >
    coalesce(license.origin_sequence, license.since_sequence))
FROM {named}
LEFT JOIN device ON device.account = ? AND device.imei = named.value
LEFT JOIN license ON license.account = ? AND license.imei = named.value
"""

LICENSE_INSERT = """
INSERT INTO license (account, imei, since_ms, since_sequence)
SELECT ?, value, ?, ? FROM {named}
"""

LICENSE_INSERT_ONE = """
INSERT INTO license (account, imei, since_ms, since_sequence) VALUES (?, ?, ?, ?)
"""

SPAN_INSERT = """
INSERT INTO span
  (account, imei, since_ms, until_ms, since_sequence, until_sequence, origin_sequence, origin_ms)
SELECT account, imei, since_ms, ?, since_sequence, ?, origin_sequence, origin_ms FROM license
WHERE account = ? AND imei {among}
"""

LICENSE_DELETE = """
DELETE FROM license WHERE account = ? AND imei {among}
"""

GRANTED_INSERT = "INSERT INTO granted (account, sequence, held) VALUES (?, ?, ?)"

GRANTED_TAKE = """
UPDATE granted SET held = granted.held - gone.count
FROM (
  SELECT coalesce(origin_sequence, since_sequence) AS sequence, count(*) AS count FROM license
  WHERE account = ? AND imei {among} GROUP BY 1) AS gone
WHERE granted.account = ? AND granted.sequence = gone.sequence
RETURNING granted.sequence, granted.held
"""

GRANTED_DELETE = "DELETE FROM granted WHERE account = ? AND sequence = ?"

# "WHERE true" parts the SELECT from ON CONFLICT, which the parser would take for a join's ON.
DEVICE_UPSERT = """
INSERT INTO device (account, imei)
SELECT ?, value FROM {named} WHERE true
ON CONFLICT (account, imei) DO UPDATE SET registered = 1
"""

CHANGE_INSERT = """
INSERT INTO change
  (account, sequence, at_ms, actor, request_id, verb, devices, outcomes,
   total, used, overhang, detail, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# Keys are known of two days: of one, and of the latest before it that has any. Each is sought by
# itself: a range over days would read every key of the later ones.
_DAY_BEFORE = "(SELECT max(day) FROM idempotency WHERE account = ? AND day < ?)"

KEYS = f"""
SELECT key, fingerprint, sequence, answer FROM idempotency
WHERE account = ? AND day IN (?, {_DAY_BEFORE}) AND key {{among_texts}}
"""

KEY_INSERT = """
INSERT INTO idempotency (account, day, key, fingerprint, sequence, answer)
VALUES (?, ?, ?, ?, ?, ?)
"""

KEYS_FORGET = f"""
WITH
  kept (day) AS {_DAY_BEFORE},
  oldest (day) AS (
    SELECT min(day) FROM idempotency WHERE account = ? AND day < (SELECT day FROM kept))
DELETE FROM idempotency
WHERE account = ? AND day = (SELECT day FROM oldest) AND key IN
  (SELECT key FROM idempotency WHERE account = ? AND day = (SELECT day FROM oldest) LIMIT ?)
"""

# One statement is one snapshot, and one row costs one turn of the interpreter lock.
PAGE_AFTER = """
SELECT
  account.total, account.used, account.overhang, account.sequence,
  EXISTS (SELECT 1 FROM device WHERE device.account = ? AND device.imei = ?),
  page.imeis, page.times
FROM account, (
  SELECT {list}(imei) AS imeis, {list}(since_ms) AS times FROM (
    SELECT imei, coalesce(origin_ms, since_ms) AS since_ms FROM license
    WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?) AS held
) AS page
WHERE account.account = ?
"""

PAGE_AT = """
SELECT
  account.total, account.used, account.overhang, account.sequence, 1, page.imeis, page.times
FROM account, (
  SELECT {list}(imei) AS imeis, {list}(since_ms) AS times FROM (
    SELECT imei, coalesce(origin_ms, since_ms) AS since_ms FROM license
    WHERE account = ? ORDER BY imei LIMIT ? OFFSET ?) AS held
) AS page
WHERE account.account = ?
"""

_CHANGE = """
SELECT account, sequence, at_ms, actor, request_id, verb, devices, outcomes, total, used, overhang,
  detail, hash
FROM change
"""

CHANGES_AFTER = _CHANGE + "WHERE account = ? AND sequence > ? ORDER BY sequence LIMIT ?"

_ENTRY = """
SELECT sequence, at_ms, actor, request_id, verb, outcomes, total, used, overhang, detail, hash
FROM change
"""

# 8 bytes are found anywhere, so that a device found is looked for again, at its place.
_ENTRIES = """
WHERE account = ? AND sequence BETWEEN ? AND ?
  AND verb = coalesce(?, verb) AND actor = coalesce(?, actor)
  AND (CAST(? AS {bytes}) IS NULL OR {outcomes_hold})
  AND (CAST(? AS {bytes}) IS NULL OR {devices_hold})
"""

ENTRIES_NEWEST = _ENTRY + _ENTRIES + "ORDER BY sequence DESC"

ENTRIES_OLDEST = _ENTRY + _ENTRIES + "ORDER BY sequence"

ENTRIES_OF = (
    _ENTRY
    + """
WHERE account = ? AND sequence {among}
"""
)

CHANGES_OF = (
    _CHANGE
    + """
WHERE account = ? AND sequence {among}
"""
)

VERDICTS_IN = """
SELECT coalesce(sum(length(outcomes)), 0) FROM change
WHERE account = ? AND sequence {among}
"""

# From the sequence it was to have: later changes only are looked at.
CHANGE_OF_REQUEST = """
SELECT hash FROM change WHERE account = ? AND sequence >= ? AND request_id = ?
"""

DEVICES_OF = "SELECT devices, outcomes FROM change WHERE account = ? AND sequence = ?"

TIME_OF = "SELECT at_ms FROM change WHERE account = ? AND sequence = ?"

HAS_ACCOUNT = """
SELECT EXISTS (SELECT 1 FROM account WHERE account = ?)
  OR EXISTS (SELECT 1 FROM change WHERE account = ?)
"""

KNOWS = "SELECT EXISTS (SELECT 1 FROM device WHERE account = ? AND imei = ?)"

LICENSES_AT = """
SELECT
  {list}(imei) FILTER (WHERE since_sequence <= ?),
  {list}(since_ms) FILTER (WHERE since_sequence <= ?),
  count(*), max(imei)
FROM (SELECT imei, coalesce(origin_ms, since_ms) AS since_ms, since_sequence FROM license
  WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?) AS looked_at
"""

# From device to device, and in each to the one interval that can hold the sequence: whether a
# device has one interval or ten thousand, it costs the same.
SPANS_AT = """
WITH RECURSIVE
  named (imei, place) AS (
    SELECT (SELECT min(imei) FROM span WHERE account = ? AND imei > ?), 1
    UNION ALL
    SELECT (SELECT min(imei) FROM span WHERE account = ? AND imei > named.imei), place + 1
    FROM named WHERE named.imei IS NOT NULL AND place < ?)
SELECT
  {list}(span.imei) FILTER (WHERE span.until_sequence > ?),
  {list}(coalesce(span.origin_ms, span.since_ms))
    FILTER (WHERE span.until_sequence > ?),
  count(named.imei), max(named.imei)
FROM named
LEFT JOIN span ON span.account = ? AND span.imei = named.imei AND span.since_sequence = (
  SELECT max(since_sequence) FROM span
  WHERE account = ? AND imei = named.imei AND since_sequence <= ?)
"""

LICENSES_BETWEEN = """
SELECT account, imei, since_sequence, since_ms, origin_sequence, origin_ms FROM license
WHERE account = ? AND imei > ? AND imei <= ? ORDER BY imei LIMIT ?
"""

SPANS_BETWEEN = """
SELECT account, imei, since_sequence, since_ms, until_sequence, until_ms, origin_sequence, origin_ms
FROM span
WHERE account = ? AND (imei, since_sequence) > (?, ?) AND imei <= ?
ORDER BY imei, since_sequence LIMIT ?
"""
