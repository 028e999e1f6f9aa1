"""What aiohttp's connections need beside aiohttp: to tell what was sent, and to end with a fork."""

from __future__ import annotations

import asyncio
import select
from contextvars import ContextVar
from typing import TYPE_CHECKING

from aiohttp import ClientError, TCPConnector

from fotapool.client.network import CONNECT_TIMEOUT_S, Unsent, why

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Way:
    """How far one request has come."""

    __slots__ = ("is_connected", "is_new")

    def __init__(self) -> None:
        self.is_connected: bool = False
        self.is_new: bool = False


WAY: ContextVar[Way] = ContextVar("way")
"""That of the request which the running task carries."""

_of_parents: list[Connector] = []


class Connector(TCPConnector):
    """Connections of one event loop. Whatever fails before there is one raises Unsent."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own
    ) -> Connection:
        way = WAY.get()
        try:
            connection = await super().connect(req, traces, timeout)
            while not way.is_new and _has_ended(connection):
                connection.close()
                connection = await super().connect(req, traces, timeout)
        except (ClientError, OSError) as error:
            late = isinstance(error, TimeoutError)
            raise Unsent(_reason(error), late=late) from error
        way.is_connected = True
        return connection

    def abandon(self) -> None:
        """In a forked child. To close anything would reach into the parent's event loop."""
        self._closed = True
        _of_parents.append(self)

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own
    ) -> ResponseHandler:
        WAY.get().is_new = True
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
