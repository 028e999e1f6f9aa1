"""One function from request to reply. Every operation is one visible row of `ROUTES`.

Checks run in the documented order: bearer, session, account name, visibility, role, body
(docs/reference/protocol.md R14). Nothing here knows sockets, threads or the framework.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from urllib.parse import parse_qs, unquote

from fotapool.auth import Auth, Identity
from fotapool.ledger import PAGE_SIZE_MAX, Ledger
from fotapool.model import (
    ACCOUNT_NAME,
    AccountKey,
    Change,
    Command,
    Cursor,
    DeviceList,
    Page,
    Refusal,
    Refused,
    Role,
    StoreError,
    Verb,
)
from fotapool.wire import login, v1, v2, v3
from fotapool.wire.errors import ERRORS, write_error

T = TypeVar("T")

DEPRECATED_SINCE = "@1672531200"
"""2023-01-01. The vendor names no date; this one is ours (RFC 9745)."""

RETRY_AFTER_S = 1

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `path` is still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    id: bytes
    log: dict[str, str] = field(default_factory=dict)
    """What the request's log line will say besides: who asked, for which account."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out."""

    status: int
    body: bytes = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A write under way: the reply is made from its change once that is committed."""

    change: Future[Change]
    reply: Callable[[Future[Change]], Reply]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has found its row; `segments` is what the path named, still encoded."""

    request: Request
    route: Route
    segments: Mapping[str, str]
    items_max: int

    def with_body(self, body: bytes) -> Call:
        """The same call, its body read."""
        return replace(self, request=replace(self.request, body=body))

    def segment(self, name: str) -> str | None:
        encoded = self.segments.get(name)
        return None if encoded is None else unquote(encoded)

    def query(self, name: str) -> str | None:
        values = parse_qs(self.request.query, keep_blank_values=True).get(name)
        return values[0] if values else None


class Version(Protocol):
    """What a wire version offers the server; each module of `wire` is one."""

    def read_request(self, body: bytes, account: str, items_max: int) -> list[str]: ...
    def write_change(self, change: Change) -> bytes: ...
    def read_cursor(self, text: str | None) -> Cursor: ...
    def write_page(self, page: Page, page_size_max: int) -> bytes: ...


Operation = Callable[["Api", Call], Reply | Pending]


def status(version: Version) -> Operation:
    """Read a page of an account's licensed devices."""

    def operation(api: Api, call: Call) -> Reply:
        _, account = api.authorize(call)
        text = call.segment("cursor") or call.query("lastSeenDeviceId")
        page = api.ledger.status(account, version.read_cursor(text))
        at = ("Fotapool-Sequence", str(page.sequence))
        return Reply(200, version.write_page(page, PAGE_SIZE_MAX), (at,))

    return operation


def change(version: Version, verb: Verb) -> Operation:
    """Assign or remove licenses."""

    def operation(api: Api, call: Call) -> Pending:
        identity, account = api.authorize(call)
        items = version.read_request(call.request.body, account.name, call.items_max)
        command = Command(account, verb, DeviceList.parse(items), identity.name, call.request.id)

        def reply(future: Future[Change]) -> Reply:
            made = future.result()
            number = ("Fotapool-Change", str(made.sequence))
            return Reply(200, version.write_change(made), (number,))

        return Pending(api.ledger.submit(command), reply)

    return operation


def issue_token(api: Api, call: Call) -> Reply:
    """Give a bearer token for client credentials."""
    client_id, client_secret = login.read_basic(call.request.headers.get("authorization"))
    scope = login.read_grant(call.request.body)
    token, seconds = api.auth.issue_token(client_id, client_secret)
    return Reply(200, login.write_token(token, seconds, scope), _NEVER_STORED)


def revoke_token(api: Api, call: Call) -> Reply:
    """End a bearer token. The answer has no body; the token comes back in a header."""
    client_id, client_secret = login.read_basic(call.request.headers.get("authorization"))
    token = login.read_form(call.request.body).get("token", "")
    api.auth.revoke_token(client_id, client_secret, token)
    said = (("RevokedAccessToken", token),) if _HEADER_SAFE.fullmatch(token) else ()
    return Reply(200, b"", _NEVER_STORED + said)


def log_in(api: Api, call: Call) -> Reply:
    """Begin a session."""
    identity = api.identify(call)
    session = api.auth.log_in(identity, *login.read_login(call.request.body))
    return Reply(200, login.write_session(session), _NEVER_STORED)


def log_out(api: Api, call: Call) -> Reply:
    """End a session."""
    identity = api.identify(call)
    session = _session(call.request)
    api.auth.log_out(identity, session)
    return Reply(200, login.write_session(session), _NEVER_STORED)


_NEVER_STORED: Headers = (("Cache-Control", "no-store"),)
_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method and path, what it does, and for whom.

    `role` is None where no account is named. `successor` is the path of the operation to use
    instead, where this one is deprecated.
    """

    method: str
    path: str
    operation: Operation
    role: Role | None = None
    successor: str = ""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        # An empty account name is a wrong name, not an unknown path.
        pattern = self.path.replace("{account}", "(?P<account>[^/]*)")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        object.__setattr__(self, "pattern", re.compile(pattern))

    @property
    def writes(self) -> bool:
        """Whether this changes a pool, and so waits for a commit."""
        return self.method == "POST" and self.role is not None


V1 = "/api/fota/v1/licenses/{account}"
V2 = "/api/fota/v2/licenses/{account}"
V3 = "/api/fota/v3/licenses/{account}"
# As pages of the vendor print them.
V1_DOUBLE = "/api/fota/v1//licenses/{account}"
V3_FIRMWARE = "/api/fota/v3/firmware/licenses/{account}"

_READ, _WRITE = Role.VIEWER, Role.OPERATOR
_ASSIGN, _REMOVE = Verb.ASSIGN, Verb.REMOVE

ROUTES: Sequence[Route] = (
    Route("GET", V3, status(v3), _READ),
    Route("GET", V3 + "/index/{cursor}", status(v3), _READ),
    Route("POST", V3 + "/assign", change(v3, _ASSIGN), _WRITE),
    Route("POST", V3 + "/remove", change(v3, _REMOVE), _WRITE),
    Route("POST", V3_FIRMWARE + "/assign", change(v3, _ASSIGN), _WRITE),
    Route("POST", V3_FIRMWARE + "/remove", change(v3, _REMOVE), _WRITE),
    Route("GET", V2, status(v2), _READ),
    Route("GET", V2 + "/index/{cursor}", status(v2), _READ),
    Route("POST", V2 + "/assign", change(v2, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V2 + "/remove", change(v2, _REMOVE), _WRITE, V3 + "/remove"),
    Route("GET", V1, status(v1), _READ),
    Route("GET", V1 + "/index/{cursor}", status(v1), _READ),
    Route("POST", V1 + "/assign", change(v1, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V1 + "/remove", change(v1, _REMOVE), _WRITE, V3 + "/remove"),
    Route("GET", V1_DOUBLE, status(v1), _READ),
    Route("GET", V1_DOUBLE + "/index/{cursor}", status(v1), _READ),
    Route("POST", V1_DOUBLE + "/assign", change(v1, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V1_DOUBLE + "/remove", change(v1, _REMOVE), _WRITE, V3 + "/remove"),
    Route("POST", "/api/ts/v1/oauth2/token", issue_token),
    Route("POST", "/api/ts/v1/oauth2/revoke", revoke_token),
    Route("POST", "/api/m2m/v1/session/login", log_in),
    Route("POST", "/api/m2m/v1/session/logout", log_out),
)


class Api:
    """The license API over a ledger and its logins. Thread-safe.

    `root_path` is where a proxy mounts the server; links in answers begin with it.
    """

    def __init__(self, ledger: Ledger, auth: Auth, *, items_max: int, root_path: str = "") -> None:
        self.ledger = ledger
        self.auth = auth
        self._items_max = items_max
        self._root_path = root_path

    def respond(self, request: Request) -> Reply:
        """Answer a request, waiting for its commit."""
        found = self.find(request)
        opened = self.open(found) if isinstance(found, Call) else found
        return opened if isinstance(opened, Reply) else opened.reply(opened.change)

    def find(self, request: Request) -> Call | Reply:
        """The request in its row, or the reply that there is none."""
        for route in ROUTES:
            match = route.pattern.fullmatch(request.path)
            if match is not None and route.method == request.method:
                return Call(request, route, match.groupdict(), self._items_max)
        return _unrouted(request)

    def open(self, call: Call) -> Reply | Pending:
        """Begin a call: its reply, or the write that the reply waits for."""
        headers = self._deprecation(call)
        opened = _guarded(call, lambda: call.route.operation(self, call))
        if isinstance(opened, Reply):
            return _with_headers(opened, headers)

        def reply(future: Future[Change]) -> Reply:
            return _with_headers(_guarded(call, lambda: opened.reply(future)), headers)

        return Pending(opened.change, reply)

    def opens_at_once(self, call: Call) -> bool:
        """Whether opening the call waits for nothing, so that an event loop may do it."""
        bearer = _bearer(call.request)
        session = _session(call.request)
        return call.route.writes and bearer is not None and self.auth.remembers(bearer, session)

    def identify(self, call: Call) -> Identity:
        """Who asks, by the bearer token. Raises Refused."""
        bearer = _bearer(call.request)
        if bearer is None:
            raise Refused(Refusal.BEARER_MISSING)
        identity = self.auth.identify(bearer)
        call.request.log["credential"] = identity.name
        return identity

    def authorize(self, call: Call) -> tuple[Identity, AccountKey]:
        """Who asks and for which account, after every check that comes before the body.

        Raises Refused.
        """
        identity = self.identify(call)
        stored = self.auth.check_session(identity, _session(call.request))
        name = call.segment("account") or ""
        if not ACCOUNT_NAME.fullmatch(name):
            raise Refused(Refusal.ACCOUNT_NAME_INVALID)
        account = identity.account(name)
        call.request.log["account"] = account.name
        identity.require(call.route.role or Role.ADMIN)
        if stored is not None and not call.route.writes:
            # A write is queued behind it and waits anyway; only a read must wait by itself. It
            # goes on where the disk takes no writes: this process remembers the use.
            with suppress(StoreError):
                stored.result()
        return identity, account

    def _deprecation(self, call: Call) -> Headers:
        if not call.route.successor:
            return ()
        target = self._root_path + call.route.successor.format_map(call.segments)
        return (
            ("Deprecation", DEPRECATED_SINCE),
            ("Link", f'<{target}>; rel="successor-version"'),
        )


def refuse(
    request_path: str, refusal: Refusal, *, headers: Headers = (), limit: int | None = None
) -> Reply:
    """The reply that tells a refusal."""
    row = ERRORS[refusal]
    family = "/" + "/".join(request_path.split("/")[2:4])
    body = write_error(refusal, limit=limit, api=family)
    return Reply(row.status, body, headers + tuple(_error_headers(refusal)))


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def _session(request: Request) -> str:
    return request.headers.get("vz-m2m-token", "")


def _error_headers(refusal: Refusal) -> Iterator[tuple[str, str]]:
    if refusal in (Refusal.BEARER_MISSING, Refusal.BEARER_INVALID):
        yield "WWW-Authenticate", "Bearer"
    if refusal in (Refusal.CLIENT_MISSING, Refusal.CLIENT_INVALID):
        yield "WWW-Authenticate", "Basic"
    if refusal is Refusal.BUSY:
        yield "Retry-After", str(RETRY_AFTER_S)


def _unrouted(request: Request) -> Reply:
    allowed = {route.method for route in ROUTES if route.pattern.fullmatch(request.path)}
    if not allowed:
        return refuse(request.path, Refusal.PATH_UNKNOWN)
    allow = (("Allow", ", ".join(sorted(allowed))),)
    return refuse(request.path, Refusal.METHOD_UNKNOWN, headers=allow)


def _guarded(call: Call, step: Callable[[], T]) -> T | Reply:
    """Run a step; a refusal becomes its reply, and what the store could not do becomes 503."""
    try:
        return step()
    except Refused as refused:
        return refuse(call.request.path, refused.refusal, limit=refused.limit)
    except StoreError:
        return refuse(call.request.path, Refusal.BUSY)


def _with_headers(reply: Reply, headers: Headers) -> Reply:
    return replace(reply, headers=headers + reply.headers) if headers else reply
