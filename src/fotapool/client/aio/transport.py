"""How the requests of coroutines travel. As fotapool.client.transport, over aiohttp."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from typing import TYPE_CHECKING, Protocol

from fotapool.client import transport
from fotapool.client.errors import Response
from fotapool.client.forks import IMPORTING, renewed_in_children
from fotapool.client.network import Network
from fotapool.client.transport import HttpRequest, Transport
from fotapool.model import ConfigurationError

if TYPE_CHECKING:
    from fotapool.client.aio.connections import Connections


class AsyncTransport(Protocol):
    """Carries one request and brings its answer, for any number of tasks at a time.

    One with a clock of its own may also have `pause(seconds)`, what waits between attempts, and
    `clock_s()`, by which the time for them is counted, and `check(url)` as `Transport` may.
    """

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        """The answer, whatever its status; redirects are answers, not followed.

        Raises ConnectionFailed or TimedOut when there is none.
        """
        ...

    async def close_async(self) -> None:
        """Let go of connections."""
        ...


class AiohttpTransport:
    """Pooled connections over aiohttp. They belong to the event loop of the first request, until
    they are closed; a forked child opens its own.

    Raises ConfigurationError where aiohttp is not installed, for another event loop, and as
    `Urllib3Transport` does.
    """

    def __init__(self, network: Network | None = None) -> None:
        try:
            with IMPORTING:
                # Imported here: whoever is served without it needs neither it nor its half second.
                from fotapool.client.aio.connections import Connections  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                'AsyncClient needs aiohttp: pip install "fotapool[async]"'
            ) from error
        self.network: Network = network or Network()
        self._connections = Connections
        self._opened: Connections | None = None
        renewed_in_children(self)

    def check(self, url: str) -> None:
        self.network.check(url)

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        return await self._open().send(request, timeout_s)

    async def close_async(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.close()

    def forked(self) -> None:
        """Connections and event loop are the parent's."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.abandon()

    def _open(self) -> Connections:
        loop = asyncio.get_running_loop()
        if self._opened is None:
            self._opened = self._connections(self.network, loop)
        if self._opened.loop is not loop:
            raise ConfigurationError(
                "an AsyncClient belongs to the event loop of its first call: close it there, or "
                "make one for each"
            )
        return self._opened


class AsyncDefaultTransport:
    """What a client has that was given none: whoever stands in, else pooled connections."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()
        self._pooled: AiohttpTransport | None = None

    def check(self, url: str) -> None:
        if transport.stand_in() is None:
            self._network.check(url)

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        stand_in = transport.stand_in()
        if stand_in is not None:
            return await _send_by(stand_in, request, timeout_s)
        self._pooled = self._pooled or AiohttpTransport(self._network)
        return await self._pooled.send_async(request, timeout_s)

    async def pause_async(self, seconds: float) -> None:
        await pause_async(transport.stand_in(), seconds)

    def clock_s(self) -> float:
        return transport.clock_s(transport.stand_in())

    async def close_async(self) -> None:
        if self._pooled is not None:
            await self._pooled.close_async()


async def pause_async(carrier: object, seconds: float) -> None:
    """Wait as this transport waits, a coroutine of its own first."""
    waiting = getattr(carrier, "pause_async", None)
    pausing = getattr(carrier, "pause", None)
    if waiting is not None:
        await waiting(seconds)
    elif pausing is not None:
        pausing(seconds)
    else:
        await sleep(seconds)


async def _send_by(stand_in: Transport, request: HttpRequest, timeout_s: float) -> Response:
    """By its coroutine; one that has none, such as a recorder, waits in a thread."""
    sending = getattr(stand_in, "send_async", None)
    if sending is not None:
        answer: Response = await sending(request, timeout_s)
        return answer
    return await asyncio.to_thread(stand_in.send, request, timeout_s)
