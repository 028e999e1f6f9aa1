"""The two tokens a call needs, fetched when first needed and again when refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fotapool.client.errors import AnswerError, ErrorException, Unauthorized
from fotapool.model import ConfigurationError, Refusal
from fotapool.wire.login import TokenAnswer

ENVIRONMENT = {
    "client_id": "FOTAPOOL_CLIENT_ID",
    "client_secret": "FOTAPOOL_CLIENT_SECRET",
    "username": "FOTAPOOL_USERNAME",
    "password": "FOTAPOOL_PASSWORD",
    "base_url": "FOTAPOOL_BASE_URL",
    "access_token": "FOTAPOOL_ACCESS_TOKEN",
    "session_token": "FOTAPOOL_SESSION_TOKEN",
}
"""The variable that stands in for each argument of `Client` that is not given."""

BEARER, SESSION = "bearer", "session"

_SESSION_OVER = (Refusal.SESSION_EXPIRED, Refusal.SESSION_INVALID)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client was given to prove who it is; empty texts where it was not."""

    client_id: str
    client_secret: str
    username: str
    password: str
    access_token: str
    session_token: str

    def __post_init__(self) -> None:
        for name in ("access_token", "session_token"):
            value: str = getattr(self, name)
            if not (value.isascii() and value.isprintable()) or " " in value:
                raise ConfigurationError(
                    f"{name} (or {ENVIRONMENT[name]}): it holds a blank, a line break or another "
                    "character that no token has"
                )

    def check(self, *, session: bool) -> None:
        """Raises ConfigurationError naming everything that is missing."""
        missing: list[str] = []
        if not self.access_token:
            missing += [n for n in ("client_id", "client_secret") if not getattr(self, n)]
        if session and not self.session_token:
            missing += [n for n in ("username", "password") if not getattr(self, n)]
        if missing:
            names = ", ".join(f"{name} (or {ENVIRONMENT[name]})" for name in missing)
            raise ConfigurationError(f"missing: {names}. Pass it to Client or set the variable")

    @property
    def can_fetch_token(self) -> bool:
        return bool(self.client_id and self.client_secret)

    @property
    def can_log_in(self) -> bool:
        return bool(self.username and self.password)


class Tokens:
    """Bearer and session token of one client. Thread-safe: one fetch at a time, for all.

    A login or token call that was refused is never sent again: repeated failures lock a user.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        fetch_token: Callable[[], TokenAnswer],
        log_in: Callable[[str], str],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._fetch_token = fetch_token
        self._log_in = log_in
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._bearer = credentials.access_token
        self._bearer_dies_s = float("inf")
        self._session = credentials.session_token
        self._refused: AnswerError | None = None

    def get(self, *, session: bool) -> dict[str, str]:
        """Bearer and, where a call needs it, session token; fetched where missing.

        Raises ConfigurationError, and ApiError when the server refuses or does not answer.
        """
        with self._lock:
            self._credentials.check(session=session)
            if not self._bearer or self._clock_s() >= self._bearer_dies_s:
                self._renew_bearer()
            if session and not self._session:
                self._renew_session()
            return {BEARER: self._bearer, SESSION: self._session}

    def refused(self, error: AnswerError) -> str | None:
        """Which token an error is about, if one that can be fetched again."""
        if isinstance(error, Unauthorized) and self._credentials.can_fetch_token:
            return BEARER
        if error.refusal in _SESSION_OVER and self._credentials.can_log_in:
            return SESSION
        return None

    def renew(self, which: str, refused: str) -> None:
        """Replace a refused token, unless another thread has done so meanwhile. Raises ApiError."""
        with self._lock:
            if which == BEARER and self._bearer == refused:
                self._renew_bearer()
            elif which == SESSION and self._session == refused:
                self._renew_session()

    def _renew_bearer(self) -> None:
        def fetch() -> None:
            self._bearer = ""
            answer = self._fetch_token()
            self._bearer = answer.access_token
            life_s = float("inf") if answer.expires_in is None else answer.expires_in
            self._bearer_dies_s = self._clock_s() + life_s

        self._once(fetch)

    def _renew_session(self) -> None:
        def log_in() -> None:
            self._session = ""
            try:
                self._session = self._log_in(self._bearer)
            except Unauthorized:
                # The bearer has died, which says nothing about the login: fetch another, once.
                if not self._credentials.can_fetch_token:
                    raise
                self._renew_bearer()
                self._session = self._log_in(self._bearer)

        self._once(log_in)

    def _once(self, fetch: Callable[[], None]) -> None:
        if self._refused is not None:
            raise self._refused
        try:
            fetch()
        except (ErrorException, Unauthorized) as error:
            self._refused = error
            raise
