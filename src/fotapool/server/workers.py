"""Several server processes on one port: started together, replaced when one dies, ended as one."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Semaphore
from types import FrameType
from typing import Protocol

from fotapool.model import StoreUnusable
from fotapool.server.log import LOGGER

LOOK_EVERY_S = 0.2
RESTART_AFTER_S = 1.0
"""A process that cannot live is not begun anew faster than this."""


class Serve(Protocol):
    """What a process does until it is told to stop. Must be a function that can be imported."""

    def __call__(self, listening: socket.socket, started: Callable[[], object]) -> None: ...


class Workers:
    """Processes that serve one listening socket. Run on the main thread."""

    def __init__(self, serve: Serve, listening: socket.socket, count: int) -> None:
        # Spawned, not forked: nothing of this process's threads and connections comes along.
        self._context = multiprocessing.get_context("spawn")
        self._started: Semaphore = self._context.Semaphore(0)
        self._serve = serve
        self._listening = listening
        self._processes = [self._begin() for _ in range(count)]
        self._stopping = False

    def run(self, started: Callable[[], None]) -> None:
        """Serve until SIGTERM or Ctrl-C. Raises StoreUnusable when a first process dies."""
        with _signals(self._stop):
            try:
                if self._wait_started():
                    started()
                while not self._stopping:
                    time.sleep(LOOK_EVERY_S)
                    self._replace_dead()
            finally:
                self._end()

    def _begin(self) -> SpawnProcess:
        process = self._context.Process(
            target=_process, args=(self._serve, self._listening, self._started), daemon=False
        )
        process.start()
        return process

    def _wait_started(self) -> bool:
        left = len(self._processes)
        while left and not self._stopping:
            if self._started.acquire(timeout=LOOK_EVERY_S):
                left -= 1
            elif not all(process.is_alive() for process in self._processes):
                raise StoreUnusable("a server process ended before it served; see its line above")
        return not left

    def _replace_dead(self) -> None:
        for at, process in enumerate(self._processes):
            if not process.is_alive() and not self._stopping:
                told = {"pid": process.pid, "exit_code": process.exitcode}
                LOGGER.error(
                    "a server process died; another takes its place", extra={"fields": told}
                )
                time.sleep(RESTART_AFTER_S)
                self._processes[at] = self._begin()

    def _stop(self) -> None:
        self._stopping = True

    def _end(self) -> None:
        for process in self._processes:
            if process.is_alive():
                process.terminate()
        for process in self._processes:
            process.join()
        LOGGER.debug("every server process has ended")


def _process(serve: Serve, listening: socket.socket, started: Semaphore) -> None:
    threading.Thread(target=_end_with_parent, name="fotapool-parent", daemon=True).start()
    serve(listening, started.release)


def _end_with_parent() -> None:
    """However the first process ends, nobody is left serving behind its back."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        signal.raise_signal(signal.SIGTERM)


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
