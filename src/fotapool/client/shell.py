# Made of aio/shell.py by scripts/uncolour: change that one.
"""The client itself: it carries calls with tokens, retries and errors."""

from __future__ import annotations

from copy import copy
from typing import Self, TypeVar

from fotapool.client.attempts import (
    KEYS_KEPT_HEADER,
    MAX_RETRIES,
    PRODUCTION,
    RETRY_BUDGET_S,
    TIMEOUT_S,
    Options,
    Shown,
    bare_request,
    changed,
    keyed,
    login_call,
    may_retry,
    pause_s,
    read_answer,
    request_of,
    token_call,
)
from fotapool.client.calls import Call
from fotapool.client.credentials import Credentials, given
from fotapool.client.devices import DevicesController, UpgradesController
from fotapool.client.errors import AnswerError, ApiError, ConnectionFailed, Response
from fotapool.client.errors_by_code import error_of
from fotapool.client.licenses import LicensesController
from fotapool.client.pool import PoolController
from fotapool.client.tokens import Tokens
from fotapool.client.transport import DefaultTransport, HttpRequest, Transport, clock_s, pause
from fotapool.client.watching import AfterRequest, BeforeRequest, Watch, listen
from fotapool.wire.login import TokenAnswer

T = TypeVar("T")


class Client:
    """Speaks the license API. Any number of threads or tasks may share one.

    A context manager that lets go of connections. `Client` and `AsyncClient` have the same verbs;
    those of the latter are awaited, and its lists gone through with `async for`.

    Every argument is optional; the first seven also come from the environment
    (`FOTAPOOL_CLIENT_ID`, `_CLIENT_SECRET`, `_USERNAME`, `_PASSWORD`, `_BASE_URL`,
    `_ACCESS_TOKEN`, `_SESSION_TOKEN`). The client fetches both tokens when it first needs them;
    a ready `access_token` or `session_token` is used as it is. `base_url` is the origin, a
    trailing `/` or `/api` allowed; it redirects everything, the token calls included, and is
    the vendor's production host by default.

    Each of the two tokens is renewed once per call when it is refused. Reads are tried again,
    up to `max_retries` times, after a broken connection, after 429, 502, 503 and 504, and after a
    good answer that cannot be read; no attempt begins later than `retry_budget_s` after the first.
    Before it the client waits as long as the server asks (Retry-After in seconds, as a date, or
    retry-after-ms), at most a minute, else a random time of up to 0.5, 1, 2 … 8 seconds. Every
    write carries an idempotency key, the same for each of its attempts; a server that has shown
    to keep keys is asked again like that too. Any other only where it did not take the write: no
    connection, 429, or 503 with Retry-After.

    `before_request` and `after_request` are called around each request, those for tokens and
    further attempts too; the latter with the answer, or the ConnectionFailed in place of one. With
    `FOTAPOOL_LOG=debug` in the environment each is a line on standard error, without secrets.

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
        retry_budget_s: float = RETRY_BUDGET_S,
        before_request: BeforeRequest | None = None,
        after_request: AfterRequest | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._credentials = Credentials(
            client_id=given("client_id", client_id),
            client_secret=given("client_secret", client_secret),
            username=given("username", username),
            password=given("password", password),
            access_token=given("access_token", access_token),
            session_token=given("session_token", session_token),
        )
        self._transport = transport if transport is not None else DefaultTransport()
        self._tokens = Tokens(self._credentials, fetch_token=self._fetch_token, log_in=self._log_in)
        self._shown = Shown()
        self._become(
            Options(
                given("base_url", base_url) or PRODUCTION, timeout_s, max_retries, retry_budget_s
            ),
            Watch(before_request, after_request),
        )
        listen()

    def _become(self, options: Options, watch: Watch) -> None:
        self._options = options
        self._watch = watch
        self.licenses = LicensesController(self)
        self.pool = PoolController(self)
        self.devices = DevicesController(self)
        self.upgrades = UpgradesController(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._options.origin!r})"

    def with_options(
        self,
        *,
        timeout_s: float | None = None,
        max_retries: int | None = None,
        retry_budget_s: float | None = None,
        before_request: BeforeRequest | None = None,
        after_request: AfterRequest | None = None,
    ) -> Self:
        """This client with other options, over the same connections and tokens.

        What is not given stays as it is; calls for tokens stay those of this client. To
        close one is to close both. Raises ConfigurationError for a time or number that is none.
        """
        other = copy(self)
        options = {
            "timeout_s": timeout_s,
            "max_retries": max_retries,
            "retry_budget_s": retry_budget_s,
        }
        hooks = {"before_request": before_request, "after_request": after_request}
        # One's own kind: no other's secret is looked into.
        other._become(changed(self._options, options), changed(self._watch, hooks))  # noqa: SLF001
        return other

    def close(self) -> None:
        """Let go of connections. The client can go on being used, and opens new ones."""
        self._transport.close()

    def perform(self, call: Call[T]) -> T:
        """Carry a call. Raises ApiError, and ConfigurationError before any request."""
        renewed: set[str] = set()
        call = keyed(call)
        until_s = clock_s(self._transport) + self._options.retry_budget_s
        for attempt in range(self._options.max_retries):
            try:
                return self._attempt(call, renewed)
            except ApiError as failure:
                left_s = until_s - clock_s(self._transport)
                wait_s = pause_s(failure, attempt, left_s)
                if wait_s is None or not may_retry(call, failure, keyed=self._shown.keeps_keys):
                    raise
            pause(self._transport, wait_s)
        return self._attempt(call, renewed)

    def _attempt(self, call: Call[T], renewed: set[str]) -> T:
        """Send a call, and again with a new token where one is refused and was not yet renewed."""
        while True:
            tokens = self._tokens.get(session=call.session)
            request = request_of(self._options.origin, call, tokens)
            try:
                return read_answer(call, self._send(request))
            except AnswerError as error:
                which = self._credentials.refused(error)
                if which is None or which in renewed:
                    raise
            renewed.add(which)
            self._tokens.renew(which, tokens[which])

    def _send(self, request: HttpRequest) -> Response:
        """One request, one answer. Raises ApiError for no answer and for one outside 2xx."""
        self._watch.sending(request)
        began_s = clock_s(self._transport)
        try:
            response = self._transport.send(request, self._options.timeout_s)
        except ConnectionFailed as failure:
            self._watch.came(request, failure, clock_s(self._transport) - began_s)
            raise
        self._watch.came(request, response, clock_s(self._transport) - began_s)
        if KEYS_KEPT_HEADER in response.headers:
            self._shown.keeps_keys = True
        if not 200 <= response.status_code < 300:
            raise error_of(response)
        return response

    def _fetch_token(self) -> TokenAnswer:
        call = token_call(self._credentials)
        return read_answer(call, self._send(bare_request(self._options.origin, call)))

    def _log_in(self, bearer: str) -> str:
        call = login_call(self._credentials, bearer)
        return read_answer(call, self._send(bare_request(self._options.origin, call)))
