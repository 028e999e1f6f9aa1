"""What a client decides around an attempt: where it goes, with what, and if there is another."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from fotapool.client.calls import Call
from fotapool.client.credentials import BEARER, SESSION, Credentials
from fotapool.client.errors import (
    AnswerError,
    ApiError,
    ConnectionFailed,
    UnexpectedAnswer,
)
from fotapool.client.transport import HttpRequest
from fotapool.model import ConfigurationError
from fotapool.wire import UNREADABLE, login
from fotapool.wire.answered import Response, keep_answer
from fotapool.wire.login import TokenAnswer

T = TypeVar("T")

PRODUCTION = "https://thingspace.verizon.com"
TIMEOUT_S = 30.0
MAX_RETRIES = 2
BACKOFF_S = 0.5
BACKOFF_MAX_S = 8.0
RETRY_AFTER_MAX_S = 60.0
RETRY_BUDGET_S = 120.0

_ASKED = frozenset({"retry-after", "retry-after-ms"})

KEYS_KEPT_HEADER = "fotapool-idempotency"
"""By this header of an answer a server tells that it keeps idempotency keys."""

_TOKEN_PATH = "/api/ts/v1/oauth2/token"  # noqa: S105 -- a path
_LOGIN_PATH = "/api/m2m/v1/session/login"


@dataclass(frozen=True, slots=True)
class Options:
    """Where a client sends its calls, how long it waits, how often and how long it tries again.

    Raises ConfigurationError for what makes no sense.
    """

    base_url: str
    timeout_s: float
    max_retries: int
    retry_budget_s: float

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.max_retries < 0 or self.retry_budget_s < 0:
            raise ConfigurationError(
                f"timeout_s {self.timeout_s}, max_retries {self.max_retries} and retry_budget_s "
                f"{self.retry_budget_s}: use a time above 0, and a number and a budget from 0"
            )
        scheme, _, rest = self.origin.partition("://")
        if scheme not in ("http", "https") or not rest or "?" in rest or "#" in rest:
            raise ConfigurationError(
                f"base_url {self.base_url!r}: use an origin such as {PRODUCTION}"
            )

    @property
    def origin(self) -> str:
        return self.base_url.rstrip("/").removesuffix("/api").rstrip("/")


@dataclass(slots=True)
class Shown:
    """What a server has shown of itself."""

    keeps_keys: bool = False


def changed(before: T, given: Mapping[str, object]) -> T:
    """A dataclass with those of these values that are given."""
    told = {name: value for name, value in given.items() if value is not None}
    return replace(before, **told)  # type: ignore[type-var]


def keyed(call: Call[T]) -> Call[T]:
    """The call with a key where it needs one: made once, the same for each attempt."""
    return replace(call, key=uuid.uuid4().hex) if call.is_write and call.key is None else call


def request_of(origin: str, call: Call[T], tokens: Mapping[str, str]) -> HttpRequest:
    """The request of a call that needs tokens."""
    named = {"Authorization": f"Bearer {tokens[BEARER]}"}
    if call.session:
        named["VZ-M2M-Token"] = tokens[SESSION]
    if call.key is not None:
        named["Idempotency-Key"] = call.key
    return bare_request(origin, replace(call, headers=(*named.items(), *call.headers)))


def bare_request(origin: str, call: Call[T]) -> HttpRequest:
    """The request of a call that names all of its headers."""
    # A caller's own type wins: the token call sends a form.
    headers = {"Accept": "application/json", "User-Agent": "fotapool"}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return HttpRequest(
        call.method, origin + call.path, {**headers, **dict(call.headers)}, call.body
    )


def token_call(credentials: Credentials) -> Call[TokenAnswer]:
    """Fetches a bearer token."""
    return Call(
        "POST",
        _TOKEN_PATH,
        lambda response: login.read_token(response.body),
        login.write_form(grant_type="client_credentials"),
        headers=(
            ("Authorization", login.write_basic(credentials.client_id, credentials.client_secret)),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ),
        secret=True,
    )


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


def read_answer(call: Call[T], response: Response) -> T:
    """The result of a call, which keeps the answer. Raises UnexpectedAnswer."""
    try:
        result = call.read(response)
    except UNREADABLE as error:
        shown = replace(response, body=b"") if call.secret else response
        raise UnexpectedAnswer(shown, f"Unreadable answer ({error})") from error
    keep_answer(result, response)
    return result


def may_retry(call: Call[T], failure: ApiError, *, keyed: bool) -> bool:
    """Whether sending again cannot do a thing twice, and may help."""
    repeatable = keyed or not call.is_write
    if isinstance(failure, ConnectionFailed):
        return repeatable or not failure.sent
    if not isinstance(failure, AnswerError):
        return False
    status = failure.response_code
    if repeatable:
        # A good answer that cannot be read was perhaps garbled on its way.
        return status in (429, 502, 503, 504) or 200 <= status < 300
    asked = not _ASKED.isdisjoint(failure.response.headers)
    return status == 429 or (status == 503 and asked)


def pause_s(failure: ApiError, attempt: int, left_s: float) -> float | None:
    """How long to wait before the next attempt; None where there is to be none any more.

    What the server asks for, else full jitter: clients that failed together part again. Whoever
    has only `left_s` seconds left does not begin a longer wait.
    """
    asked_s = failure.retry_after_s if isinstance(failure, AnswerError) else None
    if asked_s is None:
        spread_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt)
        asked_s = random.uniform(0, spread_s)  # noqa: S311 -- spreading load, not hiding anything
    wait_s = min(asked_s, RETRY_AFTER_MAX_S)
    return wait_s if wait_s <= left_s else None
