"""How the requests of coroutines travel. As fotapool.client.transport, over aiohttp."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from typing import TYPE_CHECKING, Protocol

from fotapool.client import transport
from fotapool.client.errors import ConnectionFailed, Response, TimedOut
from fotapool.client.transport import CONNECT_TIMEOUT_S, POOL_SIZE, HttpRequest, Transport, host_of
from fotapool.model import ConfigurationError

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientTimeout


class AsyncTransport(Protocol):
    """Carries one request and brings its answer, for any number of tasks at a time.

    One with a clock of its own may also have `pause(seconds)`, what waits between attempts, and
    `clock_s()`, by which the time for them is counted.
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
    they are closed.

    Raises ConfigurationError where aiohttp is not installed, and for another event loop.
    """

    def __init__(self) -> None:
        try:
            # Imported here: whoever is served without it needs neither it nor its half second.
            import aiohttp  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                'AsyncClient needs aiohttp: pip install "fotapool[async]"'
            ) from error
        self._aiohttp = aiohttp
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        errors, host = self._aiohttp, host_of(request.url)
        try:
            return await self._exchange(request, timeout_s)
        except errors.ConnectionTimeoutError as error:
            raise TimedOut(f"no connection to {host} in time", sent=False) from error
        except errors.ClientConnectorError as error:
            raise ConnectionFailed(f"cannot connect to {host}: {error}", sent=False) from error
        except TimeoutError as error:
            raise TimedOut(f"{host} did not answer within {timeout_s:g} s", sent=True) from error
        except errors.ClientError as error:
            raise ConnectionFailed(f"the connection to {host} broke: {error}", sent=True) from error

    async def close_async(self) -> None:
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    async def _exchange(self, request: HttpRequest, timeout_s: float) -> Response:
        from yarl import URL  # noqa: PLC0415 -- comes with aiohttp

        async with self._open().request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=request.headers,
            timeout=self._timeout(timeout_s),
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, headers, body)

    def _open(self) -> ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._loop = loop
            self._session = self._aiohttp.ClientSession(
                connector=self._aiohttp.TCPConnector(limit=POOL_SIZE),
                cookie_jar=self._aiohttp.DummyCookieJar(),
            )
        if self._loop is not loop:
            raise ConfigurationError(
                "an AsyncClient belongs to the event loop of its first call: close it there, or "
                "make one for each"
            )
        return self._session

    def _timeout(self, timeout_s: float) -> ClientTimeout:
        return self._aiohttp.ClientTimeout(
            total=None, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s), sock_read=timeout_s
        )


class AsyncDefaultTransport:
    """What a client has that was given none: whoever stands in, else pooled connections."""

    def __init__(self) -> None:
        self._pooled: AiohttpTransport | None = None

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        stand_in = transport.stand_in()
        if stand_in is not None:
            return await _send_by(stand_in, request, timeout_s)
        self._pooled = self._pooled or AiohttpTransport()
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
