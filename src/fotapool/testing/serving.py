"""The emulator on a socket, for the official SDK, other languages and other processes.

An ASGI application on uvicorn's protocol; faults that are about the connection reach for its
transport. A port, a thread and an event loop of its own, started and stopped in milliseconds.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fotapool.api import refuse
from fotapool.model import Refusal
from fotapool.testing.control import CONTROL, Control
from fotapool.testing.emulator import Emulator
from fotapool.testing.exchange import Answer, Cut

HOST = "127.0.0.1"
BODY_BYTES_MAX = 4 * 1024 * 1024
THREADS = 8
DRIP_PIECES = 20
TURN_S = 0.05
"""How long a delayed answer sleeps before it looks whether the emulator was reset meanwhile."""

_TRANSPORT = "fotapool.transport"


@contextmanager
def serving(emulator: Emulator, host: str = HOST, port: int = 0) -> Iterator[str]:
    """Serve an emulator while the block runs; gives the base URL. Raises CannotListen."""
    # Only who opens a socket needs a server's parts.
    from fotapool.server.process import base_url, bind  # noqa: PLC0415
    from fotapool.server.settings import Settings  # noqa: PLC0415

    with bind(host, port) as listening, ThreadPoolExecutor(THREADS, "fota-emulator") as executor:
        app = EmulatorApp(emulator, executor)
        with _looping(app, listening):
            yield base_url(listening, Settings())


@contextmanager
def _looping(app: EmulatorApp, listening: socket.socket) -> Iterator[None]:
    """An event loop in a thread of its own that serves a socket."""
    loop = asyncio.new_event_loop()
    state = ServerState()
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()

    def protocol() -> _Protocol:
        return _Protocol(config, state, {}, loop)

    thread = threading.Thread(target=loop.run_forever, name="fota-emulator", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        loop.create_server(protocol, sock=listening), loop
    ).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_close(server, state), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server, state: ServerState) -> None:
    """Hang up on everyone, and let nothing go on."""
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    while state.connections:  # noqa: ASYNC110 -- uvicorn's state has nothing to wait for
        await asyncio.sleep(0)
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol; an exchange can reach its transport, to cut it."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        scope: Any = self.scope
        scope[_TRANSPORT] = self.transport


class EmulatorApp:
    """The ASGI application: the API by its paths, the control API beside it."""

    def __init__(self, emulator: Emulator, executor: ThreadPoolExecutor) -> None:
        self._emulator = emulator
        self._executor = executor
        self._control = Control(emulator)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Made before the exchange: a reset right after it must end the delay as well.
        delivery = _Delivery(self._emulator, scope.get(_TRANSPORT), receive, send)
        # The block has ended, and with it whatever was still under way.
        with suppress(asyncio.CancelledError):
            await delivery.deliver(await self._answer(scope, await _read(receive)))

    async def _answer(self, scope: Any, body: bytes | None) -> Answer:
        path = scope["raw_path"].decode("ascii", "replace")
        if path.startswith(CONTROL):
            return await self._in_thread(lambda: self._controlled(scope, path, body or b""))
        if path in ("/healthz", "/readyz"):
            return _json(200, {"status": "ok" if path == "/healthz" else "ready"})
        if body is None:
            return _refused(path, Refusal.BODY_TOO_LARGE)
        return await self._in_thread(lambda: self._exchange(scope, path, body))

    def _exchange(self, scope: Any, path: str, body: bytes) -> Answer:
        query = scope["query_string"].decode("latin-1")
        return self._emulator.exchange(scope["method"], path, query, _headers(scope), body)

    def _controlled(self, scope: Any, path: str, body: bytes) -> Answer:
        query = scope["query_string"].decode("latin-1")
        status, told = self._control.answer(scope["method"], path, query, body)
        return _json(status, told)

    async def _in_thread(self, function: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)


class _Delivery:
    """Sends an answer the way it is to travel."""

    def __init__(self, emulator: Emulator, transport: Any, receive: Any, send: Any) -> None:
        self._emulator = emulator
        self._receive = receive
        self._generation = emulator.generation
        self._transport = transport
        self._send = send

    async def deliver(self, answer: Answer) -> None:
        await self._wait(answer.delay_s)
        if answer.cut is Cut.BEFORE_ANSWER:
            self._transport.abort()
            await self._hung_up()
            return
        headers = [(b"content-length", str(len(answer.body)).encode())]
        headers += [(k.encode(), v.encode("latin-1", "replace")) for k, v in answer.headers.items()]
        await self._send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        if answer.cut is Cut.WITHIN_ANSWER:
            half = answer.body[: len(answer.body) // 2]
            await self._send({"type": "http.response.body", "body": half, "more_body": True})
            self._transport.close()
            await self._hung_up()
            return
        async for piece, more in self._pieces(answer):
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    async def _pieces(self, answer: Answer) -> AsyncIterator[tuple[bytes, bool]]:
        if not answer.drip_s:
            yield answer.body, False
            return
        size = max(1, -(-len(answer.body) // DRIP_PIECES))
        for start in range(0, len(answer.body), size):
            await self._wait(answer.drip_s / DRIP_PIECES)
            yield answer.body[start : start + size], True
        yield b"", False

    async def _hung_up(self) -> None:
        """Until the connection is gone: to end before would be called a defect."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _wait(self, seconds: float) -> None:
        """In real time, for the client is another process; a reset ends it."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while (left_s := until_s - loop.time()) > 0:
            if self._emulator.generation != self._generation:
                return
            await asyncio.sleep(min(left_s, TURN_S))


async def _read(receive: Any) -> bytes | None:
    """The whole body; None for one that is too large, of which the rest is thrown away."""
    body = bytearray()
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        piece = message.get("body", b"")
        size += len(piece)
        if size <= BODY_BYTES_MAX:
            body += piece
        more = message.get("more_body", False)
    return bytes(body) if size <= BODY_BYTES_MAX else None


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _json(status: int, told: object) -> Answer:
    return Answer(status, {"content-type": "application/json"}, msgspec.json.encode(told))


def _refused(path: str, refusal: Refusal) -> Answer:
    reply = refuse(path, refusal, named={"limit": BODY_BYTES_MAX})
    return Answer(reply.status, {"content-type": "application/json"}, reply.body)
