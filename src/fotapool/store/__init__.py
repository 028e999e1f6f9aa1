"""Where pools live: the only room that speaks SQL. `open_store` picks the engine by its URL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from fotapool.model import Clock, ConfigurationError, NotFound
from fotapool.store.backup import copy_file
from fotapool.store.grouped import GroupedStore
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.sqlite import SqliteStore
from fotapool.store.sqlite_connection import SqliteReader
from fotapool.store.sqlite_file import migrate_file, opened_for_reading

__all__ = [
    "GroupedStore",
    "Reader",
    "SqliteStore",
    "back_up",
    "distribute",
    "is_postgres",
    "migrate",
    "open_sqlite",
    "open_store",
    "opened_reader",
    "shown_url",
]

T = TypeVar("T")

_SQLITE = "sqlite:///"


class Reader(Protocol):
    """A database to be read, a snapshot at a time."""

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        """Run a job that only reads, in one snapshot. Raises StoreError."""
        ...


@contextmanager
def opened_reader(url: str) -> Iterator[Reader]:
    """Open the database that a URL names for reading alone, as it lies; a writer may go on.

    Raises ConfigurationError, NotFound where there is none, StoreUnusable for one of another
    version, StoreDamaged for one that cannot be read.
    """
    if is_postgres(url):
        with _postgres_extra():
            from fotapool.store import postgres
        with postgres.opened_reader(url) as reader:
            yield reader
        return
    with opened_for_reading(_existing(url)) as connection:
        yield SqliteReader(connection)


def open_store(url: str, *, clock: Clock) -> GroupedStore:
    """Open the database that a URL names.

    `sqlite:///fleet.db` is a file in the working folder, `sqlite:////srv/fleet.db` an absolute
    path, `sqlite:///:memory:` a database that ends with the process; they are made or brought up
    to date first. `postgresql://user@host/name` must have been (`migrate`). Raises
    ConfigurationError for any other URL, StoreUnusable for a database that will not do.
    """
    if is_postgres(url):
        with _postgres_extra():
            from fotapool.store.postgres import PostgresStore
        return PostgresStore(url, clock=clock)
    return open_sqlite(url, clock=clock)


def open_sqlite(url: str, *, clock: Clock) -> SqliteStore:
    """The same for an SQLite database alone."""
    return SqliteStore(_path(url), clock=clock)


def migrate(url: str, *, clock: Clock) -> tuple[int, int]:
    """Bring the schema of a database to this version; gives its number before and after.

    Raises ConfigurationError, StoreUnusable; then nothing was changed.
    """
    if is_postgres(url):
        with _postgres_extra():
            from fotapool.store import postgres_schema
        return postgres_schema.migrate(url, clock=clock)
    path = _path(url)
    return (0, 0) if path is None else migrate_file(path, clock)


def back_up(url: str, target: Path, progress: Callable[[int, int], None]) -> int:
    """Copy a live SQLite database to a new file; gives its bytes.

    `progress` is told the pages copied and their number. Raises ConfigurationError for a database
    that is no file, NotFound, AlreadyExists, StoreError.
    """
    if is_postgres(url):
        raise ConfigurationError("PostgreSQL has tools of its own: pg_dump, pg_basebackup")
    return copy_file(_existing(url), target, progress)


def distribute(url: str) -> list[str]:
    """Spread a PostgreSQL database over a Citus cluster by account; gives the tables moved.

    Raises ConfigurationError, StoreUnusable.
    """
    if not is_postgres(url):
        raise ConfigurationError("only a PostgreSQL database can be distributed; give its URL")
    with _postgres_extra():
        from fotapool.store import postgres_schema
    return postgres_schema.distribute(url)


def is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def shown_url(url: str) -> str:
    """A database URL without its password."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1@", re.sub(r"([?&]password=)[^&]*", r"\1***", url))


@contextmanager
def _postgres_extra() -> Iterator[None]:
    """Raises ConfigurationError where what the `postgres` extra brings is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PostgreSQL needs more to be installed: pip install 'fotapool[postgres]'"
        ) from error


def _existing(url: str) -> Path:
    """The file a URL names. Raises ConfigurationError, and NotFound where there is none."""
    path = _path(url)
    if path is None or not path.exists():
        raise NotFound(f"there is no database at {url}; name it with --db")
    return path


def _path(url: str) -> Path | None:
    """The file a URL names; None for a database in memory."""
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise ConfigurationError(
            f"database URL {shown_url(url)!r}: use sqlite:///PATH (an absolute path has four "
            "slashes), sqlite:///:memory: or postgresql://USER@HOST/NAME"
        )
    path = url.removeprefix(_SQLITE)
    return None if path == ":memory:" else Path(path)
