"""A database that servers are started on, whatever its engine, and the servers as processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.processes import address_of

from fotapool.store import open_store
from world import Clock, World


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database by its URL. `servers` is how many processes serve it side by side.

    `crash` kills the database's own processes and starts them again, where it has any.
    """

    url: str
    servers: int
    crash: Callable[[], None] | None = None

    @contextmanager
    def opened(self) -> Iterator[World]:
        """As an admin command has it, beside servers or alone; its clock stands at now."""
        clock = Clock(time.time_ns() // 1_000_000)
        store = open_store(self.url, clock=clock)
        try:
            yield World(store, clock)
        finally:
            store.close()

    @contextmanager
    def served(self, *options: str) -> Iterator[Servers]:
        """As many servers as may be; all are killed in the end."""
        servers = Servers(self.url, options)
        try:
            for at in range(self.servers):
                servers.start(at)
            yield servers
        finally:
            for at in servers.running:
                servers.kill(at)


@dataclass
class Servers:
    """`fotapool serve` as processes on ports of their own, by number."""

    url: str
    options: tuple[str, ...]
    ports: dict[int, int] = field(default_factory=dict)
    processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def running(self) -> list[int]:
        return sorted(self.processes)

    def start(self, at: int) -> None:
        """Start a server and wait until it listens."""
        command = [sys.executable, "-m", "fotapool", "serve", "--port", "0", "--db", self.url]
        quiet = ["--log-level", "error", "--json"]
        process = subprocess.Popen(
            [*command, *quiet, *self.options], stdout=subprocess.PIPE, text=True
        )
        self.processes[at] = process
        self.ports[at] = int(address_of(process).rpartition(":")[2])

    def kill(self, at: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.ports.pop(at, None)
        process = self.processes.pop(at)
        process.kill()
        process.communicate()
