"""One function from request to reply. Every operation is one visible row of `routes.ROUTES`.

Checks run in the documented order: bearer, session, account name, visibility, role, body
(docs/reference/protocol.md R14). Nothing here knows sockets, threads or the framework.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from fotapool.api.exchange import Call, Found, Headers, Pending, Reply, Request, refuse
from fotapool.api.routes import ROUTES, Route, RouteTable
from fotapool.auth import Auth, Identity
from fotapool.ledger import Ledger
from fotapool.ledger.history import History
from fotapool.ledger.registry import Registry
from fotapool.model import (
    ACCOUNT_NAME,
    AccountKey,
    Change,
    OutcomeUnknown,
    Refusal,
    Refused,
    Role,
    StoreDamaged,
    StoreError,
)

__all__ = ["ROUTES", "Api", "Call", "Found", "Pending", "Reply", "Request", "Route", "refuse"]

T = TypeVar("T")

_TABLE = RouteTable(ROUTES)

_KEYS_KEPT = ("Fotapool-Idempotency", "24h")
"""By this a client knows that a write is carried out once, however often it asks (R11)."""

DEPRECATED_SINCE = "@1672531200"
"""2023-01-01. The vendor names no date; this one is ours (RFC 9745)."""


class Api:
    """The license API over a ledger and its logins. Thread-safe.

    `root_path` is where a proxy mounts the server; links in answers begin with it.
    """

    def __init__(
        self,
        ledger: Ledger,
        history: History,
        registry: Registry,
        auth: Auth,
        *,
        items_max: int,
        root_path: str = "",
    ) -> None:
        self.ledger = ledger
        self.history = history
        self.registry = registry
        self.auth = auth
        self._items_max = items_max
        self._root_path = root_path

    def respond(self, request: Request) -> Reply:
        """Answer a request, waiting for its commit."""
        found = self.find(request.method, request.path)
        opened = found if isinstance(found, Reply) else self.open(self.call(found, request))
        return opened if isinstance(opened, Reply) else opened.reply(opened.change)

    def find(self, method: str, path: str) -> Found | Reply:
        """The row of a request, or the reply that there is none."""
        found = _TABLE.find(method, path)
        return _unrouted(path) if found is None else found

    def call(self, found: Found, request: Request) -> Call:
        """The request in its row."""
        return Call(request, found.route, found.segments, self._items_max)

    def open(self, call: Call) -> Reply | Pending:
        """Begin a call: its reply, or the write that the reply waits for."""
        headers = self._standing_headers(call)
        opened = _guarded(call, lambda: call.route.operation(self, call))
        if isinstance(opened, Reply):
            return _with_headers(opened, headers)

        # Not through `opened`: a future whose waiter knows it by name is a cycle of garbage.
        make = opened.reply

        def reply(future: Future[Change]) -> Reply:
            return _with_headers(_guarded(call, lambda: make(future)), headers)

        return Pending(opened.change, reply)

    def opens_at_once(self, call: Call) -> bool:
        """Whether opening the call waits for nothing, so that an event loop may do it."""
        bearer = call.request.bearer
        session = None if call.route.own else call.request.session
        waits = not call.route.writes or call.route.looks
        return not waits and bearer is not None and self.auth.remembers(bearer, session)

    def identify(self, call: Call) -> Identity:
        """Who asks, by the bearer token. Raises Refused."""
        bearer = call.request.bearer
        if bearer is None:
            raise Refused(Refusal.BEARER_MISSING)
        identity = self.auth.identify(bearer)
        call.request.log["credential"] = identity.name
        return identity

    def authorize(
        self, call: Call, account_name: Callable[[], str] | None = None
    ) -> tuple[Identity, AccountKey]:
        """Who asks and for which account, after every check that comes before the body.

        `account_name` finds the account where the path names none. Raises Refused.
        """
        identity = self.identify(call)
        stored: Future[None] | None = None
        if not call.route.own:
            stored = self.auth.check_session(identity, call.request.session)
        name = call.segment("account") or "" if account_name is None else account_name()
        if not ACCOUNT_NAME.fullmatch(name):
            raise Refused(Refusal.ACCOUNT_NAME_INVALID)
        account = identity.account(name)
        call.request.log["account"] = account.name
        identity.require(call.route.role or Role.ADMIN)
        if stored is not None:
            # A read goes on where the disk takes no writes: this process remembers the use.
            with suppress(StoreError):
                stored.result()
        return identity, account

    def _standing_headers(self, call: Call) -> Headers:
        """What every answer of this route says, whatever comes of the call."""
        if not call.route.successor:
            return (_KEYS_KEPT,)
        target = self._root_path + call.route.successor.format_map(call.segments)
        return (
            _KEYS_KEPT,
            ("Deprecation", DEPRECATED_SINCE),
            ("Link", f'<{target}>; rel="successor-version"'),
        )


def _unrouted(path: str) -> Reply:
    allowed = {route.method for route in ROUTES if route.pattern.fullmatch(path)}
    if not allowed:
        return refuse(path, Refusal.PATH_UNKNOWN)
    allow = (("Allow", ", ".join(sorted(allowed))),)
    return refuse(path, Refusal.METHOD_UNKNOWN, headers=allow)


def _guarded(call: Call, step: Callable[[], T]) -> T | Reply:
    """Run a step; a refusal becomes its reply, and what the store could not do becomes 503.

    Damage is raised on: waiting does not mend it, and an operator must see it.
    """
    try:
        return step()
    except Refused as refused:
        return refuse(call.request.path, refused.refusal, named=refused.named)
    except StoreDamaged:
        raise
    except OutcomeUnknown:
        return refuse(call.request.path, Refusal.OUTCOME_UNKNOWN)
    except StoreError:
        return refuse(call.request.path, Refusal.BUSY)


def _with_headers(reply: Reply, headers: Headers) -> Reply:
    return Reply(reply.status, reply.body, headers + reply.headers)
