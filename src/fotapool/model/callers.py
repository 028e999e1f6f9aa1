"""Who calls: credentials, bearer tokens and sessions, as stored."""

from __future__ import annotations

from dataclasses import dataclass

from fotapool.model.words import Role


@dataclass(frozen=True, slots=True)
class Credential:
    """Who calls: an OAuth pair and a login, for named accounts, with a role (R14).

    Secrets stand here as stored: hashed. Times are 0 where the thing never happened.
    """

    id: int
    name: str
    role: Role
    client_id: str
    client_secret_hash: str
    username: str
    password_hash: str
    created_at_ms: int
    failed_logins: int = 0
    locked_until_ms: int = 0
    revoked_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A credential's bearer token of this hour, as stored: its hash, and what it is made from."""

    credential_id: int
    hash: bytes
    nonce: bytes
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A login, as stored: the hash of its token, and its last use to the minute."""

    hash: bytes
    credential_id: int
    used_at_ms: int
