"""The statements on directory tables: small, apart from the pools, in no statement with them."""

from __future__ import annotations

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
