# Made of aio/tokens.py by scripts/uncolour: change that one.
"""The two tokens a call needs, fetched when first needed and again when refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy

from fotapool.client.credentials import BEARER, SESSION, SESSION_OVER, Credentials
from fotapool.client.errors import AnswerError, ErrorException, Unauthorized
from fotapool.client.forks import renewed_in_children
from fotapool.wire.login import TokenAnswer


class Tokens:
    """Bearer and session token of one client. One fetch at a time, for all who wait.

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
        self.forked()
        renewed_in_children(self)
        self._bearer = credentials.access_token
        self._bearer_dies_s = float("inf")
        self._session = credentials.session_token
        self._refused: AnswerError | None = None

    def forked(self) -> None:
        """In a child: whoever fetched a token in the parent does not finish here."""
        self._lock = threading.Lock()

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

    def renew(self, which: str, refused: str) -> None:
        """Replace a refused token, unless somebody else has done so meanwhile. Raises ApiError."""
        with self._lock:
            if which == BEARER and self._bearer == refused:
                self._renew_bearer()
            elif which == SESSION and self._session == refused:
                self._renew_session()

    def end(
        self,
        *,
        log_out: Callable[[str, str], None],
        revoke: Callable[[str], None],
    ) -> None:
        """End session and bearer at the server, and forget each as it ends.

        What there is no means to end is forgotten alone: a bearer without id and secret, a
        session without a bearer. Nobody is held up: calls that lose a token meanwhile renew it.
        Raises ApiError.
        """
        with self._lock:
            bearer, session = self._bearer, self._session
        can_fetch = self._credentials.can_fetch_token
        if session and can_fetch:
            bearer = (self.get(session=False))[BEARER]
        if session and bearer:
            bearer = self._end_session(log_out, bearer, session)
        self._forget(SESSION, session)
        if bearer and can_fetch:
            revoke(bearer)
        self._forget(BEARER, bearer)

    def _end_session(self, log_out: Callable[[str, str], None], bearer: str, session: str) -> str:
        """Ends a session, with another bearer where this one has died; gives the last one."""
        try:
            try:
                log_out(bearer, session)
            except Unauthorized:
                # Without another bearer there is nothing left to end a session with.
                if self._credentials.can_fetch_token:
                    self.renew(BEARER, bearer)
                    bearer = (self.get(session=False))[BEARER]
                    log_out(bearer, session)
        except ErrorException as error:
            if error.refusal not in SESSION_OVER:
                raise
        return bearer

    def _forget(self, which: str, ended: str) -> None:
        """Forget a token that was ended, unless there is another one meanwhile."""
        with self._lock:
            if which == BEARER and self._bearer == ended:
                self._bearer = ""
            elif which == SESSION and self._session == ended:
                self._session = ""
            self._credentials = self._credentials.without_tokens()

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
            raise copy(self._refused)
        try:
            fetch()
        except (ErrorException, Unauthorized) as error:
            # A copy: the error itself holds on to every frame that it went through.
            self._refused = copy(error)
            raise
