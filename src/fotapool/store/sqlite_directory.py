"""The directory in SQLite: account names, credentials, grants, tokens, sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from fotapool.model import AccountKey, Credential, Role, Session, Token
from fotapool.store import statements_directory as sql


class SqliteDirectory:
    """What auth's `Directory` promises, on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def accounts(self) -> list[AccountKey]:
        return [AccountKey(*row) for row in self._connection.execute(sql.ACCOUNT_NAMES)]

    def find_account(self, name: str) -> AccountKey | None:
        row = self._connection.execute(sql.ACCOUNT_BY_NAME, (name,)).fetchone()
        return AccountKey(*row) if row else None

    def credentials(self) -> list[Credential]:
        return [_credential(row) for row in self._connection.execute(sql.CREDENTIALS)]

    def find_credential(
        self, by: Literal["id", "name", "client_id", "username"], value: int | str
    ) -> Credential | None:
        row = self._connection.execute(sql.CREDENTIAL_BY[by], (value,)).fetchone()
        return _credential(row) if row else None

    def add_credential(self, credential: Credential, accounts: Sequence[AccountKey]) -> int:
        (credential_id,) = self._connection.execute(
            sql.CREDENTIAL_INSERT,
            (
                credential.name,
                credential.role,
                credential.client_id,
                credential.client_secret_hash,
                credential.username,
                credential.password_hash,
                credential.created_at_ms,
            ),
        ).fetchone()
        self._connection.executemany(
            sql.GRANT_INSERT, [(credential_id, account.id) for account in accounts]
        )
        return int(credential_id)

    def save_credential(self, credential: Credential) -> None:
        self._connection.execute(
            sql.CREDENTIAL_UPDATE,
            (
                credential.client_secret_hash,
                credential.password_hash,
                credential.failed_logins,
                credential.locked_until_ms,
                credential.revoked_at_ms,
                credential.id,
            ),
        )

    def grants(self, credential_id: int) -> list[AccountKey]:
        rows = self._connection.execute(sql.GRANTS, (credential_id,))
        return [AccountKey(*row) for row in rows]

    def find_token(self, by: Literal["hash", "credential"], value: bytes | int) -> Token | None:
        row = self._connection.execute(sql.TOKEN_BY[by], (value,)).fetchone()
        return Token(*row) if row else None

    def save_token(self, token: Token) -> None:
        self._connection.execute(
            sql.TOKEN_UPSERT, (token.credential_id, token.hash, token.nonce, token.expires_at_ms)
        )

    def drop_token(self, credential_id: int) -> None:
        self._connection.execute(sql.TOKEN_DELETE, (credential_id,))

    def find_session(self, session_hash: bytes) -> Session | None:
        row = self._connection.execute(sql.SESSION, (session_hash,)).fetchone()
        return Session(*row) if row else None

    def add_session(self, session: Session) -> None:
        self._connection.execute(
            sql.SESSION_INSERT, (session.hash, session.credential_id, session.used_at_ms)
        )

    def touch_session(self, session_hash: bytes, used_at_ms: int) -> None:
        self._connection.execute(sql.SESSION_TOUCH, (used_at_ms, session_hash, used_at_ms))

    def drop_session(self, session_hash: bytes) -> None:
        self._connection.execute(sql.SESSION_DELETE, (session_hash,))

    def drop_sessions(self, credential_id: int) -> None:
        self._connection.execute(sql.SESSIONS_DELETE, (credential_id,))

    def forget_sessions(self, used_before_ms: int) -> None:
        self._connection.execute(sql.SESSIONS_FORGET, (used_before_ms,))

    def beat(self, process: int, at_ms: int) -> None:
        self._connection.execute(sql.HEARTBEAT, (process, at_ms))


def _credential(row: Any) -> Credential:
    number, name, role, *rest = row
    return Credential(number, name, Role(role), *rest)
