# Made of aio/shell.py by scripts/uncolour: change that one.
"""The client itself: it carries calls with tokens, retries and errors."""

from __future__ import annotations

from copy import copy
from math import inf
from typing import Self, TypeVar, Unpack

from fotapool.client.attempts import (
    KEYS_KEPT_HEADER,
    Course,
    Shown,
    bare_request,
    keyed,
    login_call,
    logout_call,
    read_answer,
    request_of,
    revoke_call,
    token_call,
)
from fotapool.client.calls import Call, Settled
from fotapool.client.certificates import FilePath
from fotapool.client.credentials import Credentials, given
from fotapool.client.devices import DevicesController, UpgradesController
from fotapool.client.errors import AnswerError, ApiError, ConnectionFailed, Response, TimedOut
from fotapool.client.errors_by_code import error_of
from fotapool.client.licenses import LicensesController
from fotapool.client.network import CONNECTIONS_MAX, Network
from fotapool.client.options import (
    MAX_RETRIES,
    PRODUCTION,
    RETRY_BUDGET_S,
    TIMEOUT_S,
    CallOptions,
    Options,
    changed,
    check_names,
)
from fotapool.client.pool import PoolController
from fotapool.client.tokens import Tokens
from fotapool.client.transport import (
    DefaultTransport,
    HttpRequest,
    Transport,
    check,
    clock_s,
    pause,
    refuse_beside,
)
from fotapool.client.watching import AfterRequest, BeforeRequest, Watch, listen
from fotapool.wire.login import TokenAnswer

S = TypeVar("S")
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
    good answer that cannot be read; no attempt begins later than `retry_budget_s` after the first,
    and none ends later than `deadline_s` after it. Before another the client waits as long as the
    server asks (Retry-After in seconds, as a date, or retry-after-ms), at most a minute, all of
    its calls together after a 429; else a random time of up to 0.5, 1, 2 … 8 seconds.

    Every write carries an idempotency key, the same for each of its attempts; a server that has
    shown to keep keys is asked again like that too. Any other only where it did not take the
    write: no connection, 429, or 503 with Retry-After. Where the answer to an assign or remove is
    lost it is asked what the devices hold now, and gets what is missing alone: the result is
    `reconciled`. An error of a write tells by `in_doubt` whether it may have been done.

    `proxy`, `ca_file`, `client_certificate` and `allow_http` say how the server is reached; without
    them the environment does (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `FOTAPOOL_ALLOW_HTTP`
    and their like). Logins go over plain http beyond this machine only where that is allowed, and
    nowhere after a redirect. There are never more than `connections_max` requests at a time.

    `before_request` and `after_request` are called around each request, those for tokens and
    further attempts too; the latter with the answer, or the ConnectionFailed in place of one. With
    `FOTAPOOL_LOG=debug` in the environment each is a line on standard error, without secrets.

    Raises ConfigurationError for a base URL, token, time, proxy or file that is none; the first
    call raises it for credentials that are missing.
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
        deadline_s: float = inf,
        max_retries: int = MAX_RETRIES,
        retry_budget_s: float = RETRY_BUDGET_S,
        before_request: BeforeRequest | None = None,
        after_request: AfterRequest | None = None,
        proxy: str | None = None,
        ca_file: FilePath | None = None,
        client_certificate: FilePath | tuple[FilePath, FilePath] | None = None,
        allow_http: bool | None = None,
        connections_max: int = CONNECTIONS_MAX,
        transport: Transport | None = None,
    ) -> None:
        self._credentials = Credentials.given(
            client_id, client_secret, username, password, access_token, session_token
        )
        network = Network(proxy, ca_file, client_certificate, allow_http, connections_max)
        self._transport = transport or DefaultTransport(network)
        self._tokens = Tokens(self._credentials, fetch_token=self._fetch_token, log_in=self._log_in)
        self._shown = Shown()
        origin = given("base_url", base_url) or PRODUCTION
        self._options = Options(origin, timeout_s, deadline_s, max_retries, retry_budget_s)
        self._watch = Watch(before_request, after_request)
        self._make_parts()
        refuse_beside(transport, network)
        check(self._transport, self._options.origin)
        listen()

    def _make_parts(self) -> None:
        self.licenses: LicensesController = LicensesController(self)
        self.pool: PoolController = PoolController(self)
        self.devices: DevicesController = DevicesController(self)
        self.upgrades: UpgradesController = UpgradesController(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._options.origin!r})"

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """This client with other options, over the same connections and tokens.

        What is not given stays as it is; calls for tokens stay those of this client. To
        close one is to close both. Raises ConfigurationError for a time or number that is none.
        """
        if not options:
            return self
        other = self._other(options)
        other._make_parts()  # noqa: SLF001 -- one's own kind: no other's secret is looked into
        return other

    def _other(self, options: CallOptions) -> Self:
        """One with other options, for a call alone: its parts are still those of this one."""
        check_names(options)
        other = copy(self)
        other._options = changed(self._options, options)  # noqa: SLF001 -- as above
        other._watch = changed(self._watch, options)  # noqa: SLF001 -- as above
        return other

    def close(self) -> None:
        """Let go of connections. The client can go on being used, and opens new ones."""
        self._transport.close()

    def log_out(self, **options: Unpack[CallOptions]) -> None:
        """End the session and the bearer token, and forget them; the next call logs in again.

        Ready tokens that the client was given are ended too. What has died already is forgotten
        alone; where there is nothing to end, nothing is sent. Raises ApiError where a token may
        go on living: it is kept, so that this can be called again.
        """
        carrier = self.with_options(**options)

        def end_session(bearer: str, session: str) -> None:
            carrier.perform(logout_call(bearer, session))

        def revoke(bearer: str) -> None:
            carrier.perform(revoke_call(self._credentials, bearer))

        self._tokens.end(log_out=end_session, revoke=revoke)

    def perform(self, call: Call[T], **options: Unpack[CallOptions]) -> T:
        """Carry a call. Raises ApiError, and ConfigurationError before any request."""
        if options:
            return self._other(options).perform(call)
        call, course = keyed(call), Course(self._options, self._now_s())
        while True:
            try:
                return self._attempt(call, course)
            except ApiError as failure:
                keeps_keys = self._shown.keeps_keys
                step = course.after(call, failure, self._now_s(), keeps_keys=keeps_keys)
                if step is None:
                    raise
                lost = failure
            try:
                if step.wait_s > 0:
                    pause(self._transport, step.wait_s)
                if step.settle:
                    settled = self._settled(call, lost, course)
                    if isinstance(settled, Settled):
                        return settled.result
                    call = settled
            finally:
                del lost  # else it holds this frame, and this frame it

    def _settled(self, call: Call[T], lost: ApiError, course: Course) -> Call[T] | Settled[T]:
        """What a call comes to whose answer was lost, or the call that brings what is missing.

        Raises the loss where what became of it cannot be read.
        """
        if call.settle is None:
            raise lost
        steps = call.settle()
        try:
            question = next(steps)
            while True:
                question = steps.send(self._asked(question, course))
        except StopIteration as end:
            settled: Call[T] | Settled[T] = end.value
        except ApiError as failure:
            raise lost from failure
        finally:
            del lost
        if self._shown.keeps_keys:
            return call
        return keyed(settled) if isinstance(settled, Call) else settled

    def _asked(self, question: Call[S], course: Course) -> S:
        """What is asked on the way, in the time that the call still has for another attempt."""
        left_s = course.wait_left_s(self._now_s())
        if left_s <= 0:
            raise TimedOut("no time is left to read what became of it", sent=False)
        return self._other({"deadline_s": left_s}).perform(question)

    def _attempt(self, call: Call[T], course: Course) -> T:
        """Send a call, and again with a new token where one is refused and was not yet renewed."""
        while True:
            course.sent = False
            self._leave_alone(course)
            tokens = {} if call.bare else self._tokens.get(session=call.session)
            request = request_of(self._options.origin, call, tokens)
            timeout_s = course.timeout_s(self._now_s())
            course.sent = True
            try:
                return read_answer(call, self._send(request, timeout_s))
            except AnswerError as error:
                which = None if call.bare else self._credentials.refused(error)
                if which is None or which in course.renewed:
                    raise
            course.sent = False
            course.renewed.add(which)
            self._tokens.renew(which, tokens[which])

    def _leave_alone(self, course: Course) -> None:
        """Wait while the server has asked for it, whichever call it was that it asked."""
        heard_s = -inf
        while self._shown.quiet_until_s > heard_s:  # meanwhile another call may have been asked
            heard_s, now_s = self._shown.quiet_until_s, self._now_s()
            wait_s = self._shown.quiet_s(now_s, course.wait_left_s(now_s))
            if wait_s > 0:
                pause(self._transport, wait_s)

    def _send(self, request: HttpRequest, timeout_s: float) -> Response:
        """One request, one answer. Raises ApiError for no answer and for one outside 2xx."""
        self._watch.sending(request)
        began_s = self._now_s()
        try:
            response = self._transport.send(request, timeout_s)
        except ConnectionFailed as failure:
            self._watch.came(request, failure, self._now_s() - began_s)
            raise
        self._watch.came(request, response, self._now_s() - began_s)
        if KEYS_KEPT_HEADER in response.headers:
            self._shown.keeps_keys = True
        if not 200 <= response.status_code < 300:
            raise self._told(error_of(response))
        return response

    def _told(self, error: AnswerError) -> AnswerError:
        """An error whose wish to be left alone was heard."""
        self._shown.take(error, self._now_s())
        return error

    def _now_s(self) -> float:
        return clock_s(self._transport)

    def _fetch_token(self) -> TokenAnswer:
        return self._carry(token_call(self._credentials))

    def _log_in(self, bearer: str) -> str:
        return self._carry(login_call(self._credentials, bearer))

    def _carry(self, call: Call[T]) -> T:
        # Not to be sent while the server wants to be left alone: its call waits, and not a lock.
        self._shown.quiet_s(self._now_s(), 0.0)
        request = bare_request(self._options.origin, call)
        return read_answer(call, self._send(request, self._options.attempt_s))
