"""A server as a value: store, API and uvicorn, started and stopped as one."""

from __future__ import annotations

import contextlib
import errno
import gc
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from fotapool.api import Api
from fotapool.auth import Auth
from fotapool.ledger import Ledger
from fotapool.ledger.history import History
from fotapool.ledger.registry import Registry
from fotapool.model import CannotListen, Clock, ConfigurationError
from fotapool.server.http import BoundedHttp
from fotapool.server.pages import make_pages
from fotapool.server.settings import Settings
from fotapool.server.shell import Shell
from fotapool.store import GroupedStore

READ_THREADS = 4
KEEP_ALIVE_S = 75
"""Longer than the idle time of common proxies and client pools, so that they close first."""
GRACE_S = 10
BACKLOG = 2048
GARBAGE_THRESHOLDS = (20_000, 20, 20)


class Server:
    """A license server over an open store, as a value: run it here, or beside a test.

    Raises StoreUnusable when another process serves the same SQLite file. Closing the store is left
    to whoever opened it.
    """

    def __init__(
        self,
        store: GroupedStore,
        settings: Settings,
        *,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._random = random

    def run(self, listening: socket.socket, *, started: Callable[[], object]) -> None:
        """Serve on this thread, the main one, until SIGTERM, Ctrl-C, or a second of either."""
        with self._prepared() as config, _rare_collections():
            _Uvicorn(config, started).run(sockets=[listening])

    @contextlib.contextmanager
    def running(self, listening: socket.socket) -> Iterator[str]:
        """Serve on a thread of its own while the block runs; gives the base URL."""
        with self._prepared() as config:
            ready = threading.Event()
            server = _Uvicorn(config, ready.set)
            thread = threading.Thread(
                target=server.run, args=([listening],), name="fotapool-server"
            )
            thread.start()
            try:
                while not ready.wait(0.05):
                    if not thread.is_alive():
                        raise RuntimeError("the server did not start")
                yield base_url(listening, self._settings)
            finally:
                server.should_exit = True
                thread.join()

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[uvicorn.Config]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._store.serving())
            executor = stack.enter_context(ThreadPoolExecutor(READ_THREADS, "fotapool-read"))
            auth = Auth(self._store, clock=self._clock, random=self._random)
            api = Api(
                Ledger(self._store, self._clock),
                History(self._store, self._clock),
                Registry(self._store),
                auth,
                items_max=self._settings.items_max,
                root_path=self._settings.root_path,
            )
            pages = make_pages(
                probe=self._store.probe,
                executor=executor,
                root_path=self._settings.root_path,
                random=self._random,
            )
            shell = Shell(api, executor, self._settings, self._random)
            yield _uvicorn_config(pages, shell, self._settings)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage in cycles more rarely: requests leave none (docs/decisions/0005)."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Uvicorn(uvicorn.Server):
    """uvicorn, but a signal ends it quietly: it is how a server is meant to stop."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            # uvicorn would raise them again, and the process would end as if killed.
            self._captured_signals.clear()


def _uvicorn_config(pages: ASGIApp, shell: Shell, settings: Settings) -> uvicorn.Config:
    config = uvicorn.Config(
        pages,
        http=partial(BoundedHttp, shell=shell),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        ssl_certfile=settings.ssl_certfile or None,
        ssl_keyfile=settings.ssl_keyfile or None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"TLS certificate {settings.ssl_certfile} or its key cannot be used: {error}"
        ) from error
    return config


def bind(host: str, port: int, *, tries: int = 1) -> socket.socket:
    """A listening socket; with `tries` above 1 the next free port where one is busy.

    Raises CannotListen.
    """
    for candidate in range(port, port + tries):
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and candidate < port + tries - 1:
                continue
            raise _cannot_listen(host, candidate, error.strerror or str(error)) from error
        except UnicodeError as error:
            raise _cannot_listen(host, candidate, "this is no host name") from error
    raise AssertionError("unreachable")


def _cannot_listen(host: str, port: int, why: str) -> CannotListen:
    return CannotListen(
        f"cannot listen on {host} port {port}: {why}; choose another with --host and --port"
    )


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def base_url(listening: socket.socket, settings: Settings) -> str:
    """Where a client on this machine reaches the server."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 -- recognised, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.ssl_certfile else "http"
    return f"{scheme}://{shown}:{port}{settings.root_path}"
