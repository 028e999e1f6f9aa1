"""Who calls, and what they may do: client credentials, bearer tokens, sessions, roles.

Two tokens as documented: an OAuth bearer token that lives an hour, and an M2M session that dies
after 20 idle minutes (docs/reference/protocol.md R14 and "Tokens"). Secrets made here are stored
as SHA-256, chosen passwords as scrypt; no token is stored, only its hash.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from fotapool.auth.credentials import Credentials, Random, Secrets
from fotapool.auth.directory import Directory, DirectoryStore
from fotapool.auth.secrets import digest, make_token, matches
from fotapool.model import (
    AccountKey,
    Clock,
    Credential,
    Refusal,
    Refused,
    Role,
    Session,
    Token,
)

T = TypeVar("T")

TOKEN_LIFE_MS = 3_600_000
SESSION_IDLE_MS = 20 * 60_000
SESSION_TOUCH_MS = 60_000
SESSION_KEPT_MS = 24 * 3_600_000
"""How long a dead session is remembered, so that its user is told "expired", not "invalid"."""
FAILED_LOGINS_MAX = 5
LOCK_MS = 15 * 60_000
CACHE_MS = 5_000
"""For how long another process's revocation may go unnoticed here."""
CACHE_ENTRIES_MAX = 10_000

__all__ = ["Auth", "Credentials", "Directory", "DirectoryStore", "Identity", "Random", "Secrets"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a bearer token stands for."""

    credential_id: int
    name: str
    role: Role
    accounts: Mapping[str, AccountKey]

    def account(self, name: str) -> AccountKey:
        """An account this credential may see. Raises Refused, whether or not it exists."""
        try:
            return self.accounts[name]
        except KeyError:
            raise Refused(Refusal.ACCOUNT_NOT_FOUND) from None

    def require(self, role: Role) -> None:
        """Raises Refused when the credential's role is below this one."""
        if self.role < role:
            raise Refused(Refusal.ROLE_MISSING)


@dataclass(frozen=True, slots=True)
class _KnownToken:
    identity: Identity
    expires_at_ms: int
    read_at_ms: int


@dataclass(frozen=True, slots=True)
class _KnownSession:
    session: Session
    read_at_ms: int


class Auth:
    """Credentials, tokens and sessions over a directory. Thread-safe.

    Look-ups are remembered for five seconds: a revocation acts at once in this process and
    within that time in others.
    """

    def __init__(self, store: DirectoryStore, *, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._tokens: dict[str, _KnownToken] = {}
        self._sessions: dict[str, _KnownSession] = {}

    # --- bearer tokens -----------------------------------------------------------------------

    def issue_token(self, client_id: str, client_secret: str) -> tuple[str, int]:
        """The credential's bearer token of this hour and its remaining seconds.

        Within the hour every call gives the same token: it is made from the secret of the call
        and a stored nonce, so that any process can give it again though only its hash is kept.
        Raises Refused.
        """
        credential = self._authenticate_client(client_id, client_secret)
        token = self._store.read(
            lambda directory: directory.find_token("credential", credential.id)
        )
        if token is None or self._seconds_left(token) < 1:
            token = self._store.write(
                lambda directory: self._renew_token(directory, credential, client_secret)
            ).result()
        return make_token(client_secret, token.nonce), self._seconds_left(token)

    def revoke_token(self, client_id: str, client_secret: str, token: str) -> None:
        """End a bearer token; the next call for one gives another. Unknown tokens are ignored.

        Raises Refused for wrong client credentials.
        """
        credential = self._authenticate_client(client_id, client_secret)

        def drop(directory: Directory) -> None:
            found = directory.find_token("hash", digest(token))
            if found is not None and found.credential_id == credential.id:
                directory.drop_token(credential.id)

        self._store.write(drop).result()
        self._tokens.pop(token, None)

    def identify(self, token: str) -> Identity:
        """Whose bearer token this is. Raises Refused when it is wrong or has expired."""
        now_ms = self._clock()
        known = self._tokens.get(token)
        if known is None or not _is_fresh(known.read_at_ms, now_ms):
            known = self._store.read(lambda directory: _find_identity(directory, token, now_ms))
            if known is None:
                self._tokens.pop(token, None)
                raise Refused(Refusal.BEARER_INVALID)
            _remember(self._tokens, token, known)
        if now_ms >= known.expires_at_ms:
            raise Refused(Refusal.BEARER_INVALID)
        return known.identity

    def _authenticate_client(self, client_id: str, client_secret: str) -> Credential:
        credential = self._store.read(
            lambda directory: directory.find_credential("client_id", client_id)
        )
        stored = credential.client_secret_hash if credential else ""
        if not matches(stored, client_secret) or credential is None or credential.revoked_at_ms:
            raise Refused(Refusal.CLIENT_INVALID)
        return credential

    def _renew_token(self, directory: Directory, credential: Credential, secret: str) -> Token:
        token = directory.find_token("credential", credential.id)
        if token is not None and self._seconds_left(token) >= 1:
            return token
        nonce = self._random(16)
        token = Token(
            credential.id, digest(make_token(secret, nonce)), nonce, self._clock() + TOKEN_LIFE_MS
        )
        directory.save_token(token)
        return token

    def _seconds_left(self, token: Token) -> int:
        # A clock that went back since would give it more than its life.
        return min(token.expires_at_ms - self._clock() + 500, TOKEN_LIFE_MS) // 1000

    # --- sessions ----------------------------------------------------------------------------

    def log_in(self, identity: Identity, username: str, password: str) -> str:
        """A new session for the credential whose bearer token asks; earlier ones go on.

        Five failures in a row lock the login for 15 minutes; a locked one answers like a wrong
        password. Another credential's username is refused without counting. Raises Refused.
        """
        found = self._store.read(lambda directory: directory.find_credential("username", username))
        if found is None or found.id != identity.credential_id:
            raise Refused(Refusal.LOGIN_REFUSED)
        # Outside the transaction: scrypt is slow on purpose.
        password_matches = matches(found.password_hash, password)
        session_token = str(uuid.UUID(bytes=self._random(16), version=4))

        def judge(directory: Directory) -> bool:
            credential = directory.find_credential("id", identity.credential_id)
            now_ms = self._clock()
            if credential is None or credential.password_hash != found.password_hash:
                return False
            judged = judge_login(credential, password_matches, now_ms)
            if judged != credential:
                directory.save_credential(judged)
            if password_matches and not is_locked(credential, now_ms):
                directory.add_session(Session(digest(session_token), credential.id, now_ms))
                directory.forget_sessions(now_ms - SESSION_KEPT_MS)
                return True
            return False

        if not self._store.write(judge).result():
            raise Refused(Refusal.LOGIN_REFUSED)
        return session_token

    def check_session(self, identity: Identity, session_token: str) -> Future[None] | None:
        """Raises Refused unless the session is this credential's and alive.

        Using a session keeps it alive. Its last use is stored once a minute at most; when that
        is due, the future of storing it is given, to be waited for before answering.
        """
        now_ms = self._clock()
        known = self._sessions.get(session_token)
        if (
            known is None
            or not _is_fresh(known.read_at_ms, now_ms)
            or _is_idle(known.session, now_ms)
        ):
            known = self._read_session(session_token, now_ms)
        if known.session.credential_id != identity.credential_id:
            raise Refused(Refusal.SESSION_INVALID)
        if _is_idle(known.session, now_ms):
            raise Refused(Refusal.SESSION_EXPIRED)
        if now_ms - known.session.used_at_ms < SESSION_TOUCH_MS:
            return None
        touched = replace(known.session, used_at_ms=now_ms)
        _remember(self._sessions, session_token, _KnownSession(touched, known.read_at_ms))
        return self._store.write(
            lambda directory: directory.touch_session(touched.hash, touched.used_at_ms)
        )

    def log_out(self, identity: Identity, session_token: str) -> None:
        """End a session. Raises Refused when it is not this credential's, or not alive."""
        self.check_session(identity, session_token)
        self._store.write(lambda directory: directory.drop_session(digest(session_token))).result()
        self._sessions.pop(session_token, None)

    def _read_session(self, session_token: str, now_ms: int) -> _KnownSession:
        session = self._store.read(lambda directory: directory.find_session(digest(session_token)))
        if session is None:
            self._sessions.pop(session_token, None)
            raise Refused(Refusal.SESSION_INVALID)
        known = _KnownSession(session, now_ms)
        _remember(self._sessions, session_token, known)
        return known

    def remembers(self, token: str, session_token: str | None) -> bool:
        """Whether these tokens can be judged now without the store: no look-up, no use to keep."""
        now_ms = self._clock()
        token_known = self._tokens.get(token)
        if token_known is None or not _is_fresh(token_known.read_at_ms, now_ms):
            return False
        if session_token is None:
            return True
        session_known = self._sessions.get(session_token)
        return (
            session_known is not None
            and _is_fresh(session_known.read_at_ms, now_ms)
            and now_ms - session_known.session.used_at_ms < SESSION_TOUCH_MS
        )

    def forget(self) -> None:
        """Drop what is remembered of look-ups, after a credential was changed in this process."""
        self._tokens.clear()
        self._sessions.clear()


def judge_login(credential: Credential, password_matches: bool, now_ms: int) -> Credential:
    """The credential after a login attempt: failures counted, locked at the fifth in a row."""
    if is_locked(credential, now_ms):
        return credential
    if password_matches:
        return replace(credential, failed_logins=0, locked_until_ms=0)
    # A lock that has run out took its failures with it.
    failed = 1 if credential.locked_until_ms else credential.failed_logins + 1
    locked_until_ms = now_ms + LOCK_MS if failed >= FAILED_LOGINS_MAX else 0
    return replace(credential, failed_logins=failed, locked_until_ms=locked_until_ms)


def is_locked(credential: Credential, now_ms: int) -> bool:
    return now_ms < credential.locked_until_ms


def _is_fresh(read_at_ms: int, now_ms: int) -> bool:
    return 0 <= now_ms - read_at_ms < CACHE_MS


def _is_idle(session: Session, now_ms: int) -> bool:
    # The stored use may lag the last one by the touch interval; never end a session early.
    return now_ms - session.used_at_ms > SESSION_IDLE_MS + SESSION_TOUCH_MS


def _find_identity(directory: Directory, token: str, now_ms: int) -> _KnownToken | None:
    found = directory.find_token("hash", digest(token))
    credential = directory.find_credential("id", found.credential_id) if found else None
    if found is None or credential is None or credential.revoked_at_ms:
        return None
    accounts = {account.name: account for account in directory.grants(credential.id)}
    identity = Identity(credential.id, credential.name, credential.role, accounts)
    return _KnownToken(identity, found.expires_at_ms, now_ms)


def _remember(cache: dict[str, T], key: str, value: T) -> None:
    if len(cache) >= CACHE_ENTRIES_MAX:
        cache.clear()
    cache[key] = value
