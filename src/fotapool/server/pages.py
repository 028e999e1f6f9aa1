"""What is not the API: health and its description, as one small ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fotapool.api import refuse
from fotapool.model import Refusal, StoreError
from fotapool.server.docs import Docs
from fotapool.server.log import LOGGER, Told

PROBE_EVERY_S = 1.0


def make_pages(
    *,
    probe: Callable[[], None],
    executor: Executor,
    root_path: str,
    random: Callable[[int], bytes],
) -> ASGIApp:
    """Every path outside `/api/`."""
    health = Health(probe, executor)
    docs = Docs(root_path)
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
    return Logged(pages, random)


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
    """Gives every answer its request id, every exchange a line in the log."""

    def __init__(self, inner: ASGIApp, random: Callable[[int], bytes]) -> None:
        self._inner = inner
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        told = self._begin(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.status = message["status"]
                shown = (b"x-request-id", told.shown_id.encode())
                message = {**message, "headers": [*message["headers"], shown]}
            else:
                told.body_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._inner(scope, receive, send_with_id)
        finally:
            told.write()

    def _begin(self, scope: Scope) -> Told:
        sent = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"").decode("latin-1")
        raw_path: bytes = scope["raw_path"]
        path = raw_path.decode("ascii", "replace")
        return Told(scope["method"], path, self._random(16), sent)


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
