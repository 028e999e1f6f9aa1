"""The directory: account names, credentials, grants, tokens, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fotapool.model import AccountKey, Credential, Role, Session, Token
from fotapool.store import statements_directory as sql
from fotapool.store.connection import Connection


class StoredDirectory:
    """What auth's `Directory` promises, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows = connection.rows
        self._array = connection.array

    def accounts(self) -> list[AccountKey]:
        return [AccountKey(*row) for row in self._rows(sql.ACCOUNT_NAMES)]

    def find_account(self, name: str) -> AccountKey | None:
        rows = self._rows(sql.ACCOUNT_BY_NAME, name)
        return AccountKey(*rows[0]) if rows else None

    def credentials(self) -> list[Credential]:
        return [_credential(row) for row in self._rows(sql.CREDENTIALS)]

    def find_credential(
        self, by: Literal["id", "name", "client_id", "username"], value: int | str
    ) -> Credential | None:
        rows = self._rows(sql.CREDENTIAL_BY[by], value)
        return _credential(rows[0]) if rows else None

    def add_credential(self, credential: Credential, accounts: Sequence[AccountKey]) -> int:
        ((credential_id,),) = self._rows(
            sql.CREDENTIAL_INSERT,
            credential.name,
            int(credential.role),
            credential.client_id,
            credential.client_secret_hash,
            credential.username,
            credential.password_hash,
            credential.created_at_ms,
        )
        self.connection.write_each(
            sql.GRANT_INSERT, [(credential_id, account.id) for account in accounts]
        )
        return int(credential_id)

    def save_credential(self, credential: Credential) -> None:
        self.connection.write(
            sql.CREDENTIAL_UPDATE,
            credential.client_secret_hash,
            credential.password_hash,
            credential.failed_logins,
            credential.locked_until_ms,
            credential.revoked_at_ms,
            credential.id,
        )

    def grants(self, credential_id: int) -> list[AccountKey]:
        rows = self._rows(sql.GRANTS, credential_id)
        return [AccountKey(*row) for row in rows]

    def find_token(self, by: Literal["hash", "credential"], value: bytes | int) -> Token | None:
        rows = self._rows(sql.TOKEN_BY[by], value)
        return Token(*rows[0]) if rows else None

    def save_token(self, token: Token) -> None:
        self.connection.write(
            sql.TOKEN_UPSERT, token.credential_id, token.hash, token.nonce, token.expires_at_ms
        )

    def drop_token(self, credential_id: int) -> None:
        self.connection.write(sql.TOKEN_DELETE, credential_id)

    def find_session(self, session_hash: bytes) -> Session | None:
        rows = self._rows(sql.SESSION, session_hash)
        return Session(*rows[0]) if rows else None

    def add_session(self, session: Session) -> None:
        self.connection.write(
            sql.SESSION_INSERT, session.hash, session.credential_id, session.used_at_ms
        )

    def touch_session(self, session_hash: bytes, used_at_ms: int) -> None:
        self.connection.write(sql.SESSION_TOUCH, used_at_ms, session_hash, used_at_ms)

    def drop_session(self, session_hash: bytes) -> None:
        self.connection.write(sql.SESSION_DELETE, session_hash)

    def drop_sessions(self, credential_id: int) -> None:
        self.connection.write(sql.SESSIONS_DELETE, credential_id)

    def forget_sessions(self, used_before_ms: int) -> None:
        self.connection.write(sql.SESSIONS_FORGET, used_before_ms)

    def beat(self, process: int, at_ms: int) -> None:
        self.connection.write(sql.HEARTBEAT, process, at_ms)


def _credential(row: Any) -> Credential:
    number, name, role, *rest = row
    return Credential(number, name, Role(role), *rest)
