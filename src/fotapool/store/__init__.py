"""Where pools live: the only room that speaks SQL. `open_store` picks the engine by its URL."""

from __future__ import annotations

from pathlib import Path

from fotapool.model import Clock, ConfigurationError
from fotapool.store.sqlite import SqliteStore
from fotapool.store.sqlite_file import sole_server

__all__ = ["SqliteStore", "open_store", "sole_server"]

_SQLITE = "sqlite:///"


def open_store(url: str, *, clock: Clock) -> SqliteStore:
    """Open the database that a URL names, making or migrating it first.

    `sqlite:///fleet.db` is a file in the working folder, `sqlite:////srv/fleet.db` an absolute
    path, `sqlite:///:memory:` a database that ends with the process. Raises ConfigurationError
    for any other URL, StoreUnusable for a file that will not do.
    """
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise ConfigurationError(
            f"database URL {url!r}: use sqlite:///PATH (an absolute path has four slashes) "
            "or sqlite:///:memory:"
        )
    path = url.removeprefix(_SQLITE)
    return SqliteStore(None if path == ":memory:" else Path(path), clock=clock)
