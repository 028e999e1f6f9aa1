"""Connections over urllib3 whose exchanges end in time, from the first packet to the last byte.

urllib3's own time limits are for each address of a host, each write and each read.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 -- else the first name that is looked up imports it
import io
import socket
import threading
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Overdue
from urllib3.util.connection import allowed_gai_family, create_connection

from fotapool.client.errors import ConnectionFailed, Response, TimedOut
from fotapool.client.forks import renewed_in_children
from fotapool.client.network import CONNECT_TIMEOUT_S, Network, Proxy, Unsent, never_sent, why
from fotapool.client.transport import HttpRequest, host_of

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3._base_connection import BaseHTTPConnection


class Connections:
    """Pooled connections, up to a number of them, to wherever requests go. Thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network
        # What a semaphore does, without its time in Python on every request.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(network.connections_max):
            self._free.put(None)
        self._making = threading.Lock()
        self._ways: dict[str, tuple[PoolManager, Proxy | None]] = {}
        self._managers: dict[tuple[Proxy | None, bool], PoolManager] = {}

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        until_s = monotonic() + timeout_s
        try:
            self._free.get(timeout=timeout_s)
        except Empty:
            raise TimedOut(
                f"none of the {self._network.connections_max} connections to "
                f"{host_of(request.url)} was free within {timeout_s:g} s",
                sent=False,
            ) from None
        try:
            return self._exchange(request, timeout_s, until_s)
        finally:
            self._free.put(None)

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()

    def _exchange(self, request: HttpRequest, timeout_s: float, until_s: float) -> Response:
        host = host_of(request.url)
        manager, proxy = self._way(request.url)
        try:
            answer = manager.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=timeout_s,
                pool_timeout=until_s,  # _PlainPool knows what is meant
                redirect=False,
            )
        except Unsent as error:
            raise never_sent(error, request.url, proxy) from error
        except Overdue as error:
            raise TimedOut(f"{host} did not answer within {timeout_s:g} s", sent=True) from error
        except HTTPError as error:
            raise ConnectionFailed(f"the connection to {host} broke: {error}", sent=True) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, headers, answer.data)

    def _way(self, url: str) -> tuple[PoolManager, Proxy | None]:
        origin = url[: url.index("/", 8)]
        known = self._ways.get(origin)
        if known is None:
            self._network.check(url)
            proxy = self._network.proxy_for(url)
            with self._making:
                known = self._ways[origin] = (self._manager(proxy, url.startswith("https:")), proxy)
        return known

    def _manager(self, proxy: Proxy | None, tls: bool) -> PoolManager:
        known = self._managers.get((proxy, tls))
        if known is None:
            needed = tls or (proxy is not None and proxy.is_tls)
            context = self._network.tls_context() if needed else None
            known = self._managers[proxy, tls] = _new_manager(
                proxy, context, self._network.connections_max
            )
        return known


def _new_manager(proxy: Proxy | None, context: SSLContext | None, size: int) -> PoolManager:
    settings: dict[str, Any] = {"maxsize": size, "retries": False}
    if context is not None:
        settings["ssl_context"] = context
    if proxy is None:
        made = PoolManager(**settings)
    else:
        made = ProxyManager(
            proxy.url, proxy_headers=proxy.headers, proxy_ssl_context=context, **settings
        )
    made.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return made


class _Plain(HTTPConnection):
    """A connection that knows when its exchange must have ended."""

    until_s = float("inf")

    def connect(self) -> None:
        """Raises Unsent."""
        until_s = self.until_s
        self.until_s = min(until_s, monotonic() + CONNECT_TIMEOUT_S)
        try:
            super().connect()
        except (OSError, HTTPException, HTTPError, UnicodeError) as error:
            raise Unsent(why(error), late=isinstance(error, TimeoutError | Overdue)) from error
        finally:
            self.until_s = until_s

    def hurry(self, sock: socket.socket) -> None:
        """Let no operation on a socket take longer than what is left. Raises TimeoutError."""
        left_s = self.until_s - monotonic()
        if left_s <= 0:
            raise TimeoutError
        sock.settimeout(left_s)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        sock: Any = self.sock
        try:
            self.hurry(sock)
            super().send(data)
        except TimeoutError as error:
            raise Overdue from error

    # To http.client this is what makes an answer of a socket; typeshed knows classes alone.
    def response_class(  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        self, sock: Any, **settings: Any
    ) -> HTTPResponse:
        return HTTPResponse(_Opening(self, sock), **settings)  # type: ignore[arg-type]

    def _new_conn(self) -> socket.socket:
        """As urllib3's, which gives each address of a host all of the time."""
        last: OSError = OSError("the name has no address")
        found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), 1)
        for *_, address in found:
            left_s = self.until_s - monotonic()
            if left_s <= 0:
                raise TimeoutError
            try:
                return create_connection(
                    (str(address[0]), self.port), left_s, socket_options=self.socket_options
                )
            except OSError as error:
                last = error
        raise last


class _Tls(_Plain, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    pass


class _PlainPool(HTTPConnectionPool):
    """Connections to one host that are told when they must have done."""

    # urllib3's own class does not fit its protocol for pyright either.
    ConnectionCls = _Plain  # pyright: ignore[reportAssignmentType]

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        renewed_in_children(self)

    def forked(self) -> None:
        """The child's end does away with its pools: no thread of the parent must hold it up."""
        waiting = self.pool
        if waiting is not None:
            theirs = list(waiting.queue)
            waiting.__init__(waiting.maxsize)  # type: ignore[misc]
            for connection in theirs:
                if connection is not None:
                    connection.close()

    def _get_conn(self, timeout: float | None = None) -> BaseHTTPConnection:
        connection = super()._get_conn()
        connection.until_s = timeout  # type: ignore[attr-defined]
        return connection


class _TlsPool(_PlainPool, HTTPSConnectionPool):
    ConnectionCls = _Tls


class _Opening:
    """A socket as http.client opens it: to be read, in time."""

    def __init__(self, connection: _Plain, sock: socket.socket) -> None:
        self._connection = connection
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_InTime(self._connection, self._sock, raw))


class _InTime(io.RawIOBase):
    """Reads that together take no longer than the exchange may."""

    def __init__(self, connection: _Plain, sock: socket.socket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._connection = connection
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.hurry(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        with suppress(OSError):
            self._raw.close()
        super().close()
