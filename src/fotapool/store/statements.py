"""Every SQL statement of fotapool, by name. Parameters stand in the order of the words.

Two kinds of tables, and no statement touches both: pool tables, where each statement names one
account, and the small directory tables.
"""

from __future__ import annotations

# --- pool tables -----------------------------------------------------------------------------

ACCOUNT_INSERT = """
INSERT INTO account
  (account, purchase_type, total, used, overhang, sequence, changed_at_ms, head)
VALUES (?, ?, 0, 0, 0, 0, 0, ?)
"""

ACCOUNT = """
SELECT total, used, overhang, active, sequence, changed_at_ms, head FROM account WHERE account = ?
"""

ACCOUNT_UPDATE = """
UPDATE account
SET total = ?, used = ?, overhang = ?, sequence = ?, changed_at_ms = ?, head = ?
WHERE account = ?
"""

ACCOUNT_SUMMARY = """
SELECT purchase_type, active, total, used, overhang FROM account WHERE account = ?
"""

# LEFT JOIN keeps json_each outermost: with a plain JOIN the planner walks the whole account.
FACTS = """
SELECT
  json_group_array(named.value) FILTER (WHERE device.registered IS NOT 1),
  json_group_array(named.value) FILTER (WHERE license.imei IS NOT NULL),
  json_group_array(named.value) FILTER (WHERE device.upgrade = 1),
  json_group_array(named.value) FILTER (WHERE device.upgrade = 2),
  json_group_array(named.value) FILTER (WHERE device.upgraded_sequence > license.since_sequence)
FROM json_each(?) AS named
LEFT JOIN device ON device.account = ? AND device.imei = named.value
LEFT JOIN license ON license.account = ? AND license.imei = named.value
"""

LICENSE_INSERT = """
INSERT INTO license (account, imei, since_ms, since_sequence)
SELECT ?, value, ?, ? FROM json_each(?)
"""

LICENSE_INSERT_ONE = """
INSERT INTO license (account, imei, since_ms, since_sequence) VALUES (?, ?, ?, ?)
"""

SPAN_INSERT = """
INSERT INTO span (account, imei, since_ms, until_ms, since_sequence, until_sequence)
SELECT account, imei, since_ms, ?, since_sequence, ? FROM license
WHERE account = ? AND imei IN (SELECT value FROM json_each(?))
"""

LICENSE_DELETE = """
DELETE FROM license WHERE account = ? AND imei IN (SELECT value FROM json_each(?))
"""

# "WHERE true" parts the SELECT from ON CONFLICT, which the parser would take for a join's ON.
DEVICE_UPSERT = """
INSERT INTO device (account, imei)
SELECT ?, value FROM json_each(?) WHERE true
ON CONFLICT (account, imei) DO UPDATE SET registered = 1
"""

UPGRADES_CANCEL = """
UPDATE device SET upgrade = 0
WHERE account = ? AND imei IN (SELECT value FROM json_each(?)) AND upgrade = 1
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
SELECT key, fingerprint, sequence FROM idempotency
WHERE account = ? AND day IN (?, {_DAY_BEFORE}) AND key IN (SELECT value FROM json_each(?))
"""

KEY_INSERT = """
INSERT INTO idempotency (account, day, key, fingerprint, sequence) VALUES (?, ?, ?, ?, ?)
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
  SELECT json_group_array(imei) AS imeis, json_group_array(since_ms) AS times FROM (
    SELECT imei, since_ms FROM license WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?)
) AS page
WHERE account.account = ?
"""

PAGE_AT = """
SELECT
  account.total, account.used, account.overhang, account.sequence, 1, page.imeis, page.times
FROM account, (
  SELECT json_group_array(imei) AS imeis, json_group_array(since_ms) AS times FROM (
    SELECT imei, since_ms FROM license WHERE account = ? ORDER BY imei LIMIT ? OFFSET ?)
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

# instr finds 8 bytes anywhere, so that a device found is looked for again, at its place.
_ENTRIES = """
WHERE account = ? AND sequence BETWEEN ? AND ?
  AND verb = coalesce(?, verb) AND actor = coalesce(?, actor)
  AND (? IS NULL OR instr(outcomes, ?) > 0) AND (? IS NULL OR instr(devices, ?) > 0)
"""

ENTRIES_NEWEST = _ENTRY + _ENTRIES + "ORDER BY sequence DESC"

ENTRIES_OLDEST = _ENTRY + _ENTRIES + "ORDER BY sequence"

ENTRIES_OF = (
    _ENTRY
    + """
WHERE account = ? AND sequence IN (SELECT value FROM json_each(?))
"""
)

DEVICES_OF = "SELECT devices, outcomes FROM change WHERE account = ? AND sequence = ?"

TIME_OF = "SELECT at_ms FROM change WHERE account = ? AND sequence = ?"

HAS_ACCOUNT = """
SELECT EXISTS (SELECT 1 FROM account WHERE account = ?)
  OR EXISTS (SELECT 1 FROM change WHERE account = ?)
"""

KNOWS = "SELECT EXISTS (SELECT 1 FROM device WHERE account = ? AND imei = ?)"

LICENSES_AT = """
SELECT
  json_group_array(imei) FILTER (WHERE since_sequence <= ?),
  json_group_array(since_ms) FILTER (WHERE since_sequence <= ?),
  count(*), max(imei)
FROM (SELECT imei, since_ms, since_sequence FROM license
  WHERE account = ? AND imei > ? ORDER BY imei LIMIT ?)
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
  json_group_array(span.imei) FILTER (WHERE span.until_sequence > ?),
  json_group_array(span.since_ms) FILTER (WHERE span.until_sequence > ?),
  count(named.imei), max(named.imei)
FROM named
LEFT JOIN span ON span.account = ? AND span.imei = named.imei AND span.since_sequence = (
  SELECT max(since_sequence) FROM span
  WHERE account = ? AND imei = named.imei AND since_sequence <= ?)
"""

LICENSES_BETWEEN = """
SELECT account, imei, since_sequence, since_ms FROM license
WHERE account = ? AND imei > ? AND imei <= ? ORDER BY imei LIMIT ?
"""

SPANS_BETWEEN = """
SELECT account, imei, since_sequence, since_ms, until_sequence, until_ms FROM span
WHERE account = ? AND (imei, since_sequence) > (?, ?) AND imei <= ?
ORDER BY imei, since_sequence LIMIT ?
"""

# --- directory tables ------------------------------------------------------------------------

ACCOUNT_NAME_INSERT = """
INSERT INTO account_name (name, account)
SELECT ?, coalesce(max(account), 0) + 1 FROM account_name
RETURNING account
"""

ACCOUNT_NAMES = "SELECT account, name FROM account_name ORDER BY name"

ACCOUNT_BY_NAME = "SELECT account, name FROM account_name WHERE name = ?"

CREDENTIAL_INSERT = """
INSERT INTO credential
  (credential, name, role, client_id, client_secret_hash, username, password_hash, created_at_ms)
SELECT coalesce(max(credential), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM credential
RETURNING credential
"""

_CREDENTIAL = """
SELECT credential, name, role, client_id, client_secret_hash, username, password_hash,
  created_at_ms, failed_logins, locked_until_ms, revoked_at_ms
FROM credential
"""

CREDENTIALS = _CREDENTIAL + "ORDER BY credential"

CREDENTIAL_BY = {
    "id": _CREDENTIAL + "WHERE credential = ?",
    "name": _CREDENTIAL + "WHERE name = ?",
    "client_id": _CREDENTIAL + "WHERE client_id = ?",
    "username": _CREDENTIAL + "WHERE username = ?",
}

CREDENTIAL_UPDATE = """
UPDATE credential
SET client_secret_hash = ?, password_hash = ?, failed_logins = ?, locked_until_ms = ?,
  revoked_at_ms = ?
WHERE credential = ?
"""

GRANT_INSERT = "INSERT INTO credential_account (credential, account) VALUES (?, ?)"

GRANTS = """
SELECT account_name.account, account_name.name
FROM credential_account
JOIN account_name ON account_name.account = credential_account.account
WHERE credential_account.credential = ?
ORDER BY account_name.name
"""

TOKEN_UPSERT = """
INSERT INTO token (credential, hash, nonce, expires_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (credential) DO UPDATE
SET hash = excluded.hash, nonce = excluded.nonce, expires_at_ms = excluded.expires_at_ms
"""

TOKEN_BY = {
    "hash": "SELECT credential, hash, nonce, expires_at_ms FROM token WHERE hash = ?",
    "credential": "SELECT credential, hash, nonce, expires_at_ms FROM token WHERE credential = ?",
}

TOKEN_DELETE = "DELETE FROM token WHERE credential = ?"

SESSION = "SELECT hash, credential, used_at_ms FROM session WHERE hash = ?"

SESSION_INSERT = "INSERT INTO session (hash, credential, used_at_ms) VALUES (?, ?, ?)"

# An update, so that a use that races a logout does not bring the session back.
SESSION_TOUCH = "UPDATE session SET used_at_ms = ? WHERE hash = ? AND used_at_ms < ?"

SESSION_DELETE = "DELETE FROM session WHERE hash = ?"

SESSIONS_DELETE = "DELETE FROM session WHERE credential = ?"

SESSIONS_FORGET = """
DELETE FROM session WHERE hash IN
  (SELECT hash FROM session WHERE used_at_ms < ? ORDER BY used_at_ms LIMIT 100)
"""

HEARTBEAT = """
INSERT INTO heartbeat (process, at_ms) VALUES (?, ?)
ON CONFLICT (process) DO UPDATE SET at_ms = excluded.at_ms
"""

MIGRATION_LAST = "SELECT max(number) FROM migration"

MIGRATION_INSERT = "INSERT INTO migration (number, applied_at_ms) VALUES (?, ?)"
