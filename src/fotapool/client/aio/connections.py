"""Connections over aiohttp that tell what was sent, send it once, and survive a fork."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from fotapool.client.errors import ConnectionFailed, Response, TimedOut
from fotapool.client.network import (
    CONNECT_TIMEOUT_S,
    Network,
    Proxy,
    Unsent,
    never_sent,
    no_connection,
    why,
)
from fotapool.client.transport import HttpRequest, host_of

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Connections:
    """Pooled connections of one event loop, up to a number of them, to wherever requests go."""

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._network = network
        self._connector = _Connector(limit=network.connections_max)
        self._session = ClientSession(connector=self._connector, cookie_jar=DummyCookieJar())
        # Whether a request is sent again is decided where it is known whether it may be.
        self._session._retry_connection = False  # noqa: SLF001
        self._ways: dict[str, tuple[Proxy | None, dict[str, Any]]] = {}

    async def send(self, request: HttpRequest, timeout_s: float) -> Response:
        host = host_of(request.url)
        proxy, settings = self._way(request.url)
        progress = _Progress()
        _PROGRESS.set(progress)
        try:
            return await self._exchange(request, timeout_s, proxy, settings)
        except Unsent as error:
            raise never_sent(error, request.url, proxy) from error
        except TimeoutError as error:
            said = f"{host} did not answer within {timeout_s:g} s"
            if not progress.is_connected:
                said = no_connection(request.url, proxy)
            raise TimedOut(said, sent=progress.is_connected) from error
        except ClientError as error:
            raise ConnectionFailed(f"the connection to {host} broke: {error}", sent=True) from error

    async def close(self) -> None:
        await self._session.close()

    def abandon(self) -> None:
        """In a forked child. To close anything would reach into the parent's event loop."""
        self._connector.abandon()
        self._session.detach()

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
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=headers,
            timeout=ClientTimeout(total=timeout_s, ceil_threshold=timeout_s),
            allow_redirects=False,
            **settings,
        ) as answer:
            body = await answer.read()
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, named, body)

    def _way(self, url: str) -> tuple[Proxy | None, dict[str, Any]]:
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


class _Progress:
    """How far one request has come."""

    __slots__ = ("has_new_connection", "is_connected")

    def __init__(self) -> None:
        self.is_connected = False
        self.has_new_connection = False


_PROGRESS: ContextVar[_Progress] = ContextVar("progress")
"""That of the request which the running task carries."""

_of_parents: list[_Connector] = []


class _Connector(TCPConnector):
    """Whatever fails before there is a connection raises Unsent."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own
    ) -> Connection:
        progress = _PROGRESS.get()
        try:
            connection = await super().connect(req, traces, timeout)
            while not progress.has_new_connection and _has_ended(connection):
                connection.close()
                connection = await super().connect(req, traces, timeout)
        except (ClientError, OSError) as error:
            late = isinstance(error, TimeoutError)
            raise Unsent(_reason(error), late=late) from error
        progress.is_connected = True
        return connection

    def abandon(self) -> None:
        """Stay as it is, and be called closed, to the end of this process."""
        self._closed = True
        _of_parents.append(self)

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        _PROGRESS.get().has_new_connection = True
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await super()._create_connection(req, traces, timeout)


def _has_ended(connection: Connection) -> bool:
    """Whether the other side has hung up, and the event loop had no turn yet to see it."""
    transport = connection.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _reason(error: BaseException) -> str:
    status = getattr(error, "status", None)
    if status is not None:  # a proxy's
        return f"{status} {getattr(error, 'message', '')}".strip()
    return why(error.__cause__ or error)
