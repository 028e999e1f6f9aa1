"""The SDK. `Client` logs in by itself and offers `client.licenses`, `client.pool`,
`client.devices` and `client.upgrades`.

A `Call` says what to send and how to read the answer; this shell carries it: tokens, retries,
errors. It works against a fotapool server and against the vendor's.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Self, TypeVar

from fotapool.client.calls import Call
from fotapool.client.devices import DevicesController, UpgradesController
from fotapool.client.errors import (
    AnswerError,
    ApiError,
    Conflict,
    ConnectionFailed,
    ErrorException,
    Forbidden,
    MissingPath,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    error_of,
)
from fotapool.client.licenses import LicensesController
from fotapool.client.pool import PoolController
from fotapool.client.results import (
    AccountDevice,
    AccountStatus,
    CandidateEdit,
    ChangeSummary,
    ClockHealth,
    DryRun,
    Holding,
    LicenseChange,
    LicensedDevice,
    NamedChange,
    PoolAccount,
    PoolChange,
    PoolDevice,
    PoolStatus,
    Refusals,
    Subscription,
    Verdict,
)
from fotapool.client.tokens import BEARER, ENVIRONMENT, SESSION, Credentials, Tokens
from fotapool.client.transport import (
    DefaultTransport,
    HttpRequest,
    Transport,
    Urllib3Transport,
    pause,
    standing_in,
)
from fotapool.model import ConfigurationError
from fotapool.wire import UNREADABLE, login
from fotapool.wire.login import TokenAnswer

__all__ = [
    "AccountDevice",
    "AccountStatus",
    "AnswerError",
    "ApiError",
    "CandidateEdit",
    "ChangeSummary",
    "Client",
    "ClockHealth",
    "Conflict",
    "ConnectionFailed",
    "DefaultTransport",
    "DevicesController",
    "DryRun",
    "ErrorException",
    "Forbidden",
    "Holding",
    "HttpRequest",
    "LicenseChange",
    "LicensedDevice",
    "LicensesController",
    "MissingPath",
    "NamedChange",
    "PoolAccount",
    "PoolChange",
    "PoolController",
    "PoolDevice",
    "PoolStatus",
    "Refusals",
    "Response",
    "ServerError",
    "Subscription",
    "TimedOut",
    "TooManyRequests",
    "Transport",
    "Unauthorized",
    "UnexpectedAnswer",
    "UpgradesController",
    "Urllib3Transport",
    "Verdict",
    "standing_in",
]

T = TypeVar("T")

PRODUCTION = "https://thingspace.verizon.com"
TIMEOUT_S = 30.0
MAX_RETRIES = 2
BACKOFF_S = 0.5
BACKOFF_MAX_S = 8.0
RETRY_AFTER_MAX_S = 60.0

KEYS_KEPT_HEADER = "fotapool-idempotency"
"""By this header of an answer a server tells that it keeps idempotency keys."""

_TOKEN_PATH = "/api/ts/v1/oauth2/token"  # noqa: S105 -- a path
_LOGIN_PATH = "/api/m2m/v1/session/login"


class Client:
    """Speaks the license API. Thread-safe; a context manager that lets go of connections.

    Every argument is optional; the first seven also come from the environment
    (`FOTAPOOL_CLIENT_ID`, `_CLIENT_SECRET`, `_USERNAME`, `_PASSWORD`, `_BASE_URL`,
    `_ACCESS_TOKEN`, `_SESSION_TOKEN`). The client fetches both tokens when it first needs them;
    a ready `access_token` or `session_token` is used as it is. `base_url` is the origin, a
    trailing `/` or `/api` allowed; it redirects everything, the token calls included, and is
    the vendor's production host by default.

    Each of the two tokens is renewed once per call when it is refused. Reads are tried again,
    up to `max_retries` times, after a broken connection and after 429, 502, 503 and 504. Every
    write carries an idempotency key, the same for each of its attempts; a server that has shown
    to keep keys is asked again like that too. Any other only where it did not take the write: no
    connection, 429, or 503 with Retry-After.

    Raises ConfigurationError for a base URL, token or time that is none; the first call raises
    it for credentials that are missing.
    """

    def __init__(
        self,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        username: str | None = None,
        password: str | None = None,
        base_url: str | None = None,
        access_token: str | None = None,
        session_token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
        transport: Transport | None = None,
    ) -> None:
        credentials = Credentials(
            client_id=_given("client_id", client_id),
            client_secret=_given("client_secret", client_secret),
            username=_given("username", username),
            password=_given("password", password),
            access_token=_given("access_token", access_token),
            session_token=_given("session_token", session_token),
        )
        if timeout_s <= 0 or max_retries < 0:
            raise ConfigurationError(
                f"timeout_s {timeout_s} and max_retries {max_retries}: use a time above 0 and "
                "a number of retries from 0"
            )
        self._credentials = credentials
        self._origin = _origin(_given("base_url", base_url) or PRODUCTION)
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._transport = transport if transport is not None else DefaultTransport()
        self._tokens = Tokens(credentials, fetch_token=self._fetch_token, log_in=self._log_in)
        self._keeps_keys = False
        self.licenses = LicensesController(self)
        self.pool = PoolController(self)
        self.devices = DevicesController(self)
        self.upgrades = UpgradesController(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client(base_url={self._origin!r})"

    def close(self) -> None:
        """Let go of connections. The client can go on being used, and opens new ones."""
        self._transport.close()

    def perform(self, call: Call[T]) -> T:
        """Carry a call. Raises ApiError, and ConfigurationError before any request."""
        renewed: set[str] = set()
        if call.is_write and call.key is None:
            call = replace(call, key=uuid.uuid4().hex)
        for attempt in range(self._max_retries):
            try:
                return self._attempt(call, renewed)
            except ApiError as failure:
                if not _may_retry(call, failure, keyed=self._keeps_keys):
                    raise
                pause(self._transport, _pause_s(failure, attempt))
        return self._attempt(call, renewed)

    def _attempt(self, call: Call[T], renewed: set[str]) -> T:
        """Send a call, and again with a new token where one is refused and was not yet renewed."""
        while True:
            tokens = self._tokens.get(session=call.session)
            headers = {"Authorization": f"Bearer {tokens[BEARER]}", **dict(call.headers)}
            if call.session:
                headers["VZ-M2M-Token"] = tokens[SESSION]
            if call.key is not None:
                headers["Idempotency-Key"] = call.key
            try:
                return _read(call, self._send(call.method, call.path, headers, call.body))
            except AnswerError as error:
                which = self._tokens.refused(error)
                if which is None or which in renewed:
                    raise
            renewed.add(which)
            self._tokens.renew(which, tokens[which])

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Response:
        """One request, one answer. Raises ApiError for no answer and for one outside 2xx."""
        # A caller's own type wins: the token call sends a form.
        named = {"Accept": "application/json", "User-Agent": "fotapool"}
        if body is not None:
            named["Content-Type"] = "application/json"
        request = HttpRequest(method, self._origin + path, {**named, **headers}, body)
        response = self._transport.send(request, self._timeout_s)
        self._keeps_keys = self._keeps_keys or KEYS_KEPT_HEADER in response.headers
        if not 200 <= response.status_code < 300:
            raise error_of(response)
        return response

    def _fetch_token(self) -> TokenAnswer:
        basic = login.write_basic(self._credentials.client_id, self._credentials.client_secret)
        headers = {
            "Authorization": basic,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = login.write_form(grant_type="client_credentials")
        call = Call("POST", _TOKEN_PATH, lambda response: login.read_token(response.body))
        return _read(call, self._send("POST", _TOKEN_PATH, headers, body))

    def _log_in(self, bearer: str) -> str:
        body = login.write_login(self._credentials.username, self._credentials.password)
        call = Call("POST", _LOGIN_PATH, lambda response: login.read_session(response.body))
        headers = {"Authorization": f"Bearer {bearer}"}
        return _read(call, self._send("POST", _LOGIN_PATH, headers, body))


def _given(name: str, value: str | None) -> str:
    return os.environ.get(ENVIRONMENT[name], "") if value is None else value


def _origin(base_url: str) -> str:
    origin = base_url.rstrip("/").removesuffix("/api").rstrip("/")
    scheme, _, rest = origin.partition("://")
    if scheme not in ("http", "https") or not rest or "?" in rest or "#" in rest:
        raise ConfigurationError(
            f"base_url {base_url!r}: use an origin such as https://thingspace.verizon.com"
        )
    return origin


def _read(call: Call[T], response: Response) -> T:
    try:
        return call.read(response)
    except UNREADABLE as error:
        raise UnexpectedAnswer(response, f"Unreadable answer ({error})") from error


def _may_retry(call: Call[T], failure: ApiError, *, keyed: bool) -> bool:
    """Whether sending again cannot do a thing twice, and may help."""
    repeatable = keyed or not call.is_write
    if isinstance(failure, ConnectionFailed):
        return repeatable or not failure.sent
    if not isinstance(failure, AnswerError):
        return False
    status = failure.response_code
    if repeatable:
        return status in (429, 502, 503, 504)
    return status == 429 or (status == 503 and "retry-after" in failure.response.headers)


def _pause_s(failure: ApiError, attempt: int) -> float:
    """What the server asks for, else full jitter: clients that failed together part again."""
    if isinstance(failure, AnswerError):
        asked = failure.response.headers.get("retry-after", "")
        if asked.isascii() and asked.isdigit():
            return min(float(asked), RETRY_AFTER_MAX_S)
    spread_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt)
    return random.uniform(0, spread_s)  # noqa: S311 -- spreading load, not hiding anything
