"""What a client decides around an attempt: where it goes, with what, and if there is another."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from fotapool.client.calls import Call
from fotapool.client.credentials import BEARER, SESSION, Credentials
from fotapool.client.errors import (
    AnswerError,
    ApiError,
    ConnectionFailed,
    TimedOut,
    TooManyRequests,
    UnexpectedAnswer,
)
from fotapool.client.options import Options
from fotapool.client.transport import HttpRequest
from fotapool.wire import UNREADABLE, login
from fotapool.wire.answered import Response, keep_answer
from fotapool.wire.login import TokenAnswer

T = TypeVar("T")

BACKOFF_S = 0.5
BACKOFF_MAX_S = 8.0
RETRY_AFTER_MAX_S = 60.0

_ASKED = frozenset({"retry-after", "retry-after-ms"})

NOTHING: Mapping[str, str] = {}

KEYS_KEPT_HEADER = "fotapool-idempotency"
"""By this header of an answer a server tells that it keeps idempotency keys."""

_TOKEN_PATH = "/api/ts/v1/oauth2/token"  # noqa: S105 -- a path
_REVOKE_PATH = "/api/ts/v1/oauth2/revoke"
_LOGIN_PATH = "/api/m2m/v1/session/login"
_LOGOUT_PATH = "/api/m2m/v1/session/logout"


@dataclass(slots=True)
class Shown:
    """What a server has shown of itself: that it keeps keys, or wants to be left alone."""

    keeps_keys: bool = False
    slower: Response | None = None
    quiet_until_s: float = -math.inf

    def take(self, failure: AnswerError, now_s: float) -> None:
        """Whoever is asked to wait by a 429 waits with all of its calls."""
        if isinstance(failure, TooManyRequests) and failure.retry_after_s is not None:
            until_s = now_s + min(failure.retry_after_s, RETRY_AFTER_MAX_S)
            if until_s >= self.quiet_until_s:
                # Not the error: it holds every frame that it went through, requests and all.
                self.slower, self.quiet_until_s = failure.response, until_s

    def quiet_s(self, now_s: float, left_s: float) -> float:
        """How long to wait before a request. Raises TooManyRequests, as a call with `left_s`
        seconds left would come to nothing else."""
        wait_s = self.quiet_until_s - now_s
        if self.slower is None or wait_s <= 0:
            return 0.0
        if wait_s > left_s:
            raise TooManyRequests(self.slower)
        return wait_s


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a failed attempt: a wait, and another, perhaps of what is missing alone."""

    wait_s: float
    settle: bool


@dataclass(slots=True)
class Course:
    """How far one call has come.

    `sent` tells whether the attempt under way has left for the server, `in_doubt` whether one of
    them may have been carried out though nobody knows.
    """

    options: Options
    began_s: float
    attempts: int = 0
    sent: bool = False
    in_doubt: bool = False
    renewed: set[str] = field(default_factory=set)

    def left_s(self, now_s: float) -> float:
        """How long the call may still take."""
        return self.began_s + self.options.deadline_s - now_s

    def wait_left_s(self, now_s: float) -> float:
        """How long it may wait before another attempt."""
        return min(self.began_s + self.options.retry_budget_s - now_s, self.left_s(now_s))

    def timeout_s(self, now_s: float) -> float:
        """How long an attempt may take that begins now. Raises TimedOut where that is nothing."""
        left_s = min(self.options.attempt_s, self.left_s(now_s))
        if left_s <= 0:
            raise TimedOut(f"the call took more than {self.options.deadline_s:g} s", sent=False)
        return left_s

    def after(
        self, call: Call[T], failure: ApiError, now_s: float, *, keeps_keys: bool
    ) -> Step | None:
        """What follows a failure, None if nothing does. The failure learns what is in doubt."""
        self._doubt(call, failure)
        self.attempts += 1
        certain = keeps_keys or not self.sent
        again = may_retry(call, failure, keyed=certain)
        settle = not again and call.settle is not None and may_retry(call, failure, keyed=True)
        if self.attempts > self.options.max_retries or not (again or settle):
            return None
        wait_s = pause_s(failure, self.attempts - 1, self.wait_left_s(now_s))
        if wait_s is None:
            return None
        # What a 429 asks for, each attempt of every call waits for (Shown.quiet_s).
        told = isinstance(failure, TooManyRequests) and failure.retry_after_s is not None
        return Step(0.0 if told else wait_s, settle)

    def _doubt(self, call: Call[T], failure: ApiError) -> None:
        self.in_doubt |= call.is_write and self.sent and is_doubtful(failure)
        failure.in_doubt = self.in_doubt
        if isinstance(failure, ConnectionFailed):
            failure.sent = self.in_doubt or (self.sent and failure.sent)


def keyed(call: Call[T]) -> Call[T]:
    """The call with a key where it needs one: made once, the same for each attempt."""
    if not call.is_write or call.key is not None:
        return call
    return msgspec.structs.replace(call, key=uuid.uuid4().hex)


def request_of(origin: str, call: Call[T], tokens: Mapping[str, str]) -> HttpRequest:
    """The request of a call, with the tokens that it needs."""
    if call.bare:
        return bare_request(origin, call)
    named = {"Authorization": f"Bearer {tokens[BEARER]}"}
    if call.session:
        named["VZ-M2M-Token"] = tokens[SESSION]
    if call.key is not None:
        named["Idempotency-Key"] = call.key
    return bare_request(origin, call, named)


def bare_request(origin: str, call: Call[T], named: Mapping[str, str] = NOTHING) -> HttpRequest:
    """The request of a call that names all of its headers, but for these."""
    headers = {"Accept": "application/json", "User-Agent": "fotapool"}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    headers.update(named)
    headers.update(call.headers)  # its own type wins: the token call sends a form
    return HttpRequest(call.method, origin + call.path, headers, call.body)


def token_call(credentials: Credentials) -> Call[TokenAnswer]:
    """Fetches a bearer token."""
    return Call(
        "POST",
        _TOKEN_PATH,
        lambda response: login.read_token(response.body),
        login.write_form(grant_type="client_credentials"),
        headers=_form_headers(credentials),
        secret=True,
    )


def revoke_call(credentials: Credentials, bearer: str) -> Call[None]:
    """Ends a bearer token, which may be done twice."""
    body = login.write_form(grant_type="client_credentials", token=bearer)
    headers = _form_headers(credentials)
    return Call("POST", _REVOKE_PATH, _read_nothing, body, headers=headers, writes=False, bare=True)


def login_call(credentials: Credentials, bearer: str) -> Call[str]:
    """Begins a session."""
    return Call(
        "POST",
        _LOGIN_PATH,
        lambda response: login.read_session(response.body),
        login.write_login(credentials.username, credentials.password),
        headers=(("Authorization", f"Bearer {bearer}"),),
        secret=True,
    )


def logout_call(bearer: str, session: str) -> Call[None]:
    """Ends a session, which may be done twice."""
    headers = (("Authorization", f"Bearer {bearer}"), ("VZ-M2M-Token", session))
    return Call("POST", _LOGOUT_PATH, _read_nothing, headers=headers, writes=False, bare=True)


def _form_headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    return (
        ("Authorization", login.write_basic(credentials.client_id, credentials.client_secret)),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )


def _read_nothing(_response: Response) -> None:
    """The token that an answer names is dead by then."""


def read_answer(call: Call[T], response: Response) -> T:
    """The result of a call, which keeps the answer. Raises UnexpectedAnswer."""
    try:
        result = call.read(response)
    except UNREADABLE as error:
        shown = replace(response, body=b"") if call.secret else response
        raise UnexpectedAnswer(shown, f"Unreadable answer ({error})") from error
    keep_answer(result, response)
    return result


def is_doubtful(failure: ApiError) -> bool:
    """Whether a request may have been carried out though this came of it."""
    if isinstance(failure, ConnectionFailed):
        return failure.sent
    if not isinstance(failure, AnswerError):
        return False
    status = failure.response_code
    return 200 <= status < 300 or (status >= 500 and not _asks_to_come_back(failure))


def may_retry(call: Call[T], failure: ApiError, *, keyed: bool) -> bool:
    """Whether sending again cannot do a thing twice, and may help."""
    repeatable = keyed or not call.is_write or call.idempotent
    if isinstance(failure, ConnectionFailed):
        return repeatable or not failure.sent
    if not isinstance(failure, AnswerError):
        return False
    status = failure.response_code
    if repeatable:
        # A good answer that cannot be read was perhaps garbled on its way.
        return status in (429, 502, 503, 504) or 200 <= status < 300
    return status == 429 or _asks_to_come_back(failure)


def _asks_to_come_back(failure: AnswerError) -> bool:
    """A 503 that names a time was no beginning of the work."""
    return failure.response_code == 503 and not _ASKED.isdisjoint(failure.response.headers)


def pause_s(failure: ApiError, attempt: int, left_s: float) -> float | None:
    """How long to wait before the next attempt; None where there is to be none any more.

    What the server asks for, else full jitter: clients that failed together part again. Whoever
    has only `left_s` seconds left does not begin a longer wait.
    """
    asked_s = failure.retry_after_s if isinstance(failure, AnswerError) else None
    if asked_s is None:
        import random  # noqa: PLC0415 -- few programs ever need it

        spread_s = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(attempt, 10))
        asked_s = random.uniform(0, spread_s)  # noqa: S311 -- spreading load, not hiding anything
    wait_s = min(asked_s, RETRY_AFTER_MAX_S)
    return wait_s if wait_s <= left_s else None
