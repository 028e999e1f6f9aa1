"""How the requests of coroutines travel. As fotapool.client.transport, over aiohttp."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections.abc import Mapping
from typing import Any, Protocol

from fotapool.client import transport
from fotapool.client.errors import ConnectionFailed, Response, TimedOut
from fotapool.client.forks import renewed_in_children
from fotapool.client.network import Network, Proxy, Unsent, no_connection
from fotapool.client.transport import HttpRequest, Transport, host_of
from fotapool.model import ConfigurationError


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
            # Imported here: whoever is served without it needs neither it nor its half second.
            import aiohttp  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                'AsyncClient needs aiohttp: pip install "fotapool[async]"'
            ) from error
        self._aiohttp = aiohttp
        self.network: Network = network or Network()
        self._opened: _Opened | None = None
        renewed_in_children(self)

    def check(self, url: str) -> None:
        self.network.check(url)

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        return await self._open().send(request, timeout_s)

    async def close_async(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.session.close()

    def forked(self) -> None:
        """Connections and event loop are the parent's."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.connector.abandon()
            opened.session.detach()

    def _open(self) -> _Opened:
        loop = asyncio.get_running_loop()
        if self._opened is None:
            self._opened = _Opened(self.network, loop)
        if self._opened.loop is not loop:
            raise ConfigurationError(
                "an AsyncClient belongs to the event loop of its first call: close it there, or "
                "make one for each"
            )
        return self._opened


class _Opened:
    """The connections of one event loop."""

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop) -> None:
        import aiohttp  # noqa: PLC0415 -- installed, as somebody made a transport of it
        from yarl import URL  # noqa: PLC0415 -- comes with aiohttp

        from fotapool.client.aio.connector import WAY, Connector, Way  # noqa: PLC0415

        self.loop = loop
        self.connector = Connector(limit=network.connections_max)
        self.session = aiohttp.ClientSession(
            connector=self.connector, cookie_jar=aiohttp.DummyCookieJar()
        )
        # Whether a request is sent again is decided where it is known whether it may be.
        self.session._retry_connection = False  # noqa: SLF001
        self._network = network
        self._ways: dict[str, tuple[Proxy | None, dict[str, Any]]] = {}
        self._errors, self._url, self._way, self._new_way = aiohttp, URL, WAY, Way

    async def send(self, request: HttpRequest, timeout_s: float) -> Response:
        host = host_of(request.url)
        proxy, settings = self._settings(request.url)
        way = self._new_way()
        self._way.set(way)
        try:
            return await self._exchange(request, timeout_s, proxy, settings)
        except Unsent as error:
            kind = TimedOut if error.late else ConnectionFailed
            reason = "" if error.late else str(error)
            raise kind(no_connection(request.url, proxy, reason), sent=False) from error
        except TimeoutError as error:
            said = f"{host} did not answer within {timeout_s:g} s"
            if not way.is_connected:
                said = no_connection(request.url, proxy)
            raise TimedOut(said, sent=way.is_connected) from error
        except self._errors.ClientError as error:
            raise ConnectionFailed(f"the connection to {host} broke: {error}", sent=True) from error

    async def _exchange(
        self,
        request: HttpRequest,
        timeout_s: float,
        proxy: Proxy | None,
        settings: Mapping[str, Any],
    ) -> Response:
        headers = request.headers
        if proxy is not None and request.url.startswith("http:"):
            headers = {**headers, **proxy.headers}
        async with self.session.request(
            request.method,
            self._url(request.url, encoded=True),
            data=request.body,
            headers=headers,
            timeout=self._errors.ClientTimeout(total=timeout_s, ceil_threshold=timeout_s),
            allow_redirects=False,
            **settings,
        ) as answer:
            body = await answer.read()
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, named, body)

    def _settings(self, url: str) -> tuple[Proxy | None, dict[str, Any]]:
        """By which proxy to go to a URL, and what aiohttp is told of it."""
        origin = url[: url.index("/", 8)]
        known = self._ways.get(origin)
        if known is None:
            self._network.check(url)
            proxy = self._network.proxy_for(url)
            told: dict[str, Any] = {}
            tls = url.startswith("https:")
            if proxy is not None:
                told["proxy"] = proxy.url
                told["proxy_headers"] = proxy.headers if tls else {}
            if tls or (proxy is not None and proxy.is_tls):
                told["ssl"] = self._network.tls_context()
            known = self._ways[origin] = (proxy, told)
        return known


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
