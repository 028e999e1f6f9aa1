"""Where pools live: the only room that speaks SQL. `open_store` picks the engine by its URL."""

from __future__ import annotations

from pathlib import Path

from fotapool.model import Clock, ConfigurationError
from fotapool.store.sqlite import SqliteStore
from fotapool.store.sqlite_file import sole_server

__all__ = ["SqliteStore", "database_exists", "open_store", "sole_server"]

_SQLITE = "sqlite:///"


def database_exists(url: str) -> bool:
    """Whether a URL names a database that was made already. Raises ConfigurationError."""
    path = _path(url)
    return path is not None and path.exists()


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
