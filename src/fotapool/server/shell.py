"""The ASGI shell: bytes from the socket to `Api` and back, health, and a log line a request."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fotapool.api import Api, Call, Pending, Reply, Request, refuse
from fotapool.model import Refusal, Refused, StoreError
from fotapool.server.docs import Docs
from fotapool.server.log import LOGGER, log_fields
from fotapool.server.settings import Settings

T = TypeVar("T")

DRAIN_S = 2.0
"""How long what a client still sends is thrown away, so that it reads our refusal and no reset."""
PROBE_EVERY_S = 1.0

ANONYMOUS_BYTES_MAX = 65_536
"""What a body may hold before its sender has proved who it is."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_EXCHANGE = "fotapool.exchange"
_CLIENT_GONE = 499


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as the log sees them."""

    id: bytes
    shown_id: str
    started_s: float
    status: int = 0
    body_bytes: int = 0
    body_read: bool = False
    writing: bool = False
    log: dict[str, str] = field(default_factory=dict)


class _ClientGone(Exception):
    """The client hung up before its request was whole."""


def make_app(
    api: Api,
    *,
    probe: Callable[[], None],
    executor: Executor,
    settings: Settings,
    random: Callable[[int], bytes],
) -> ASGIApp:
    """The whole server as one ASGI application: the API by its paths, pages for the rest."""
    health = Health(probe, executor)
    docs = Docs(settings.root_path)
    pages = Starlette(
        routes=[
            Route("/healthz", health.alive),
            Route("/readyz", health.ready),
            Route("/openapi.json", docs.description),
            Route("/docs", docs.page),
        ],
        exception_handlers={HTTPException: _refuse_page, Exception: _fail_page},
    )
    pages.router.redirect_slashes = False
    shell = Shell(api, executor, settings)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await (shell if _path(scope).startswith("/api/") else pages)(scope, receive, send)

    return Logged(dispatch, random)


async def _refuse_page(request: StarletteRequest, error: Exception) -> StarletteResponse:
    status = getattr(error, "status_code", 404)
    refusal = Refusal.METHOD_UNKNOWN if status == 405 else Refusal.PATH_UNKNOWN
    allowed = getattr(error, "headers", None) or {}
    reply = refuse(request.url.path, refusal, headers=tuple(allowed.items()))
    return StarletteResponse(reply.body, reply.status, dict(reply.headers), "application/json")


async def _fail_page(request: StarletteRequest, _error: Exception) -> StarletteResponse:
    """The answer to a defect; the error itself is raised again by the framework, for the log."""
    reply = refuse(request.url.path, Refusal.INTERNAL)
    return StarletteResponse(reply.body, reply.status, media_type="application/json")


class Logged:
    """Gives every request an id, every answer its header, every exchange a line in the log."""

    def __init__(self, inner: ASGIApp, random: Callable[[int], bytes]) -> None:
        self._inner = inner
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        exchange = self._begin(scope)
        scope[_EXCHANGE] = exchange

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                shown = (b"x-request-id", exchange.shown_id.encode())
                message = {**message, "headers": [*message["headers"], shown]}
            else:
                exchange.body_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._inner(scope, receive, send_with_id)
        finally:
            _log_exchange(scope, exchange)

    def _begin(self, scope: Scope) -> Exchange:
        request_id = self._random(16)
        sent = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"").decode("latin-1")
        shown = sent if _REQUEST_ID.fullmatch(sent) else request_id.hex()
        return Exchange(request_id, shown, time.perf_counter())


def _log_exchange(scope: Scope, exchange: Exchange) -> None:
    if LOGGER.isEnabledFor(logging.INFO):
        taken_ms = (time.perf_counter() - exchange.started_s) * 1000
        fields: dict[str, object] = {
            "method": scope["method"],
            "path": _path(scope),
            "status": exchange.status,
            "ms": round(taken_ms, 1),
            "bytes": exchange.body_bytes,
            "request": exchange.shown_id,
            **exchange.log,
        }
        log_fields(logging.INFO, "request", fields)


class Shell:
    """Hands requests to the API: what must wait for the database in threads, the rest at once.

    Bodies are bounded in size and time, and so is what may wait: beyond it the answer is 503 and
    nothing was done (docs/reference/protocol.md R15).
    """

    def __init__(self, api: Api, executor: Executor, settings: Settings) -> None:
        self._api = api
        self._executor = executor
        self._settings = settings
        self._room = _Room(settings.queue_requests_max, settings.queue_bytes_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[_EXCHANGE]
        try:
            reply = await self._answer(scope, receive, exchange)
        except Refused as refused:
            reply = refuse(_path(scope), refused.refusal, named=refused.named)
            if not exchange.body_read:
                await _refuse_body(receive, send, reply)
                return
        except _ClientGone:
            exchange.status = _CLIENT_GONE
            return
        except asyncio.CancelledError:
            # The server stops and its grace is over. A write that was begun goes on by itself.
            unknown = Refusal.OUTCOME_UNKNOWN if exchange.writing else Refusal.BUSY
            reply = refuse(_path(scope), unknown, headers=(("Connection", "close"),))
        except Exception:  # noqa: BLE001 -- logged, and answered as documented
            LOGGER.exception("the server failed", extra={"fields": {"request": exchange.shown_id}})
            reply = refuse(_path(scope), Refusal.INTERNAL)
        await send_reply(send, reply)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> Reply:
        headers = _headers(scope)
        query = scope["query_string"].decode("latin-1")
        found = self._api.find(
            Request(
                scope["method"], _path(scope), query, headers, b"", exchange.id, log=exchange.log
            )
        )
        if isinstance(found, Reply):
            return found
        with self._room.held() as held:
            body = await self._read_body(receive, found, held)
            exchange.body_read = True
            held.add_request()
            return await self._carry_out(found.with_body(body), exchange)

    async def _carry_out(self, call: Call, exchange: Exchange) -> Reply:
        exchange.writing = call.route.writes
        if self._api.opens_at_once(call):
            opened = self._api.open(call)
        else:
            opened = await self._in_thread(self._api.open, call)
        if isinstance(opened, Pending):
            # What the future ends with, an error too, is for the reply to say.
            with suppress(Exception):
                await asyncio.wrap_future(opened.change)
            return opened.reply(opened.change)
        return opened

    async def _read_body(self, receive: Receive, call: Call, held: _Held) -> bytes:
        limit = self._settings.body_bytes_max
        if call.route.role is None:
            limit = min(limit, ANONYMOUS_BYTES_MAX)
        if _declared_bytes(call.request.headers) > limit:
            raise Refused(Refusal.BODY_TOO_LARGE, limit=limit)
        body = bytearray()
        known = False
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for chunk in _chunks(receive):
                    held.add_bytes(len(chunk))
                    body += chunk
                    if len(body) > limit:
                        raise Refused(Refusal.BODY_TOO_LARGE, limit=limit)
                    if len(body) > ANONYMOUS_BYTES_MAX and not known:
                        await self._in_thread(self._api.identify, call)
                        known = True
        except TimeoutError:
            raise Refused(Refusal.BODY_TOO_SLOW) from None
        return bytes(body)

    async def _in_thread(self, function: Callable[[Call], T], call: Call) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, call)


class _Room:
    """What is under way in this process, bounded in number of requests and bytes of bodies."""

    def __init__(self, requests_max: int, bytes_max: int) -> None:
        self.requests_left = requests_max
        self.bytes_left = bytes_max

    @contextmanager
    def held(self) -> Iterator[_Held]:
        held = _Held(self)
        try:
            yield held
        finally:
            self.requests_left += held.requests
            self.bytes_left += held.bytes


@dataclass(slots=True)
class _Held:
    """The room that one request takes up. Adding raises Refused when there is none left."""

    room: _Room
    requests: int = 0
    bytes: int = 0

    def add_bytes(self, size: int) -> None:
        if self.room.bytes_left < size:
            raise Refused(Refusal.BUSY)
        self.room.bytes_left -= size
        self.bytes += size

    def add_request(self) -> None:
        if self.room.requests_left < 1:
            raise Refused(Refusal.BUSY)
        self.room.requests_left -= 1
        self.requests += 1


class Health:
    """`/healthz`: the process answers. `/readyz`: the database takes writes. Neither says more."""

    def __init__(self, probe: Callable[[], None], executor: Executor) -> None:
        self._probe = probe
        self._executor = executor
        self._asking = asyncio.Lock()
        self._asked_s = float("-inf")
        self._ready = False

    async def alive(self, _request: StarletteRequest) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: StarletteRequest) -> JSONResponse:
        """Writes for real, and at most once a second, whoever asks how often."""
        async with self._asking:
            if time.monotonic() - self._asked_s >= PROBE_EVERY_S:
                self._ready = await self._ask()
                self._asked_s = time.monotonic()
        if self._ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready"}, 503, {"Retry-After": "1"})

    async def _ask(self) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._probe)
        except StoreError as error:
            LOGGER.warning("not ready: %s", error)
            return False
        return True


async def send_reply(send: Send, reply: Reply, *, more_body: bool = False) -> None:
    """Send a whole reply; with `more_body` the exchange is held open after it."""
    headers = [(b"content-length", str(len(reply.body)).encode())]
    if reply.body:
        headers.append((b"content-type", b"application/json"))
    headers += [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": more_body})


async def _refuse_body(receive: Receive, send: Send, reply: Reply) -> None:
    """Refuse in the middle of a body, then close the connection.

    What still arrives is thrown away for a moment: closing on unread bytes would reset the
    connection, and the client would never see why.
    """
    closing = replace(reply, headers=(*reply.headers, ("Connection", "close")))
    await send_reply(send, closing, more_body=True)
    with suppress(TimeoutError, _ClientGone):
        async with asyncio.timeout(DRAIN_S):
            async for _ in _chunks(receive):
                pass
    await send({"type": "http.response.body", "body": b""})


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it arrives."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name. One that came twice keeps both values, which is no value that is known."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def _declared_bytes(headers: Mapping[str, str]) -> int:
    """How large the body says it is; 0 where it does not."""
    return int(headers.get("content-length", "0"))


def _path(scope: Scope) -> str:
    """The path as it came: percent-encoded, double slashes and all."""
    raw: bytes = scope["raw_path"]
    return raw.decode("ascii", "replace")
