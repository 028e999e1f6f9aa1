"""Where pools live: the only room that speaks SQL. `open_store` picks the engine by its URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from fotapool.model import Clock, ConfigurationError, NotFound
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.sqlite import SqliteStore
from fotapool.store.sqlite_connection import in_snapshot
from fotapool.store.sqlite_file import opened_for_reading, sole_server

__all__ = ["Reader", "SqliteStore", "open_store", "opened_reader", "sole_server"]

T = TypeVar("T")

_SQLITE = "sqlite:///"


class Reader:
    """A database opened for reading alone: it changes nothing, and a writer may go on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        """Run a job that only reads, in one snapshot. Raises StoreError."""
        return in_snapshot(self._connection, job)


@contextmanager
def opened_reader(url: str) -> Iterator[Reader]:
    """Open the database that a URL names for reading alone, as it lies.

    Raises ConfigurationError, NotFound where there is none, StoreUnusable for one of another
    version, StoreDamaged for one that cannot be read.
    """
    path = _path(url)
    if path is None or not path.exists():
        raise NotFound(f"there is no database at {url}; name it with --db")
    with opened_for_reading(path) as connection:
        yield Reader(connection)


def open_store(url: str, *, clock: Clock) -> SqliteStore:
    """Open the database that a URL names, making or migrating it first.

    `sqlite:///fleet.db` is a file in the working folder, `sqlite:////srv/fleet.db` an absolute
    path, `sqlite:///:memory:` a database that ends with the process. Raises ConfigurationError
    for any other URL, StoreUnusable for a file that will not do.
    """
    return SqliteStore(_path(url), clock=clock)


def _path(url: str) -> Path | None:
    """The file a URL names; None for a database in memory."""
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise ConfigurationError(
            f"database URL {url!r}: use sqlite:///PATH (an absolute path has four slashes) "
            "or sqlite:///:memory:"
        )
    path = url.removeprefix(_SQLITE)
    return None if path == ":memory:" else Path(path)
