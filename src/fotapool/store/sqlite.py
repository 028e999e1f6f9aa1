"""SQLite: one file (or memory), one writer thread, a connection for each reading thread.

Only the standard library's sqlite3 is used: two copies of SQLite in one process can destroy a
database, because POSIX locks belong to the process.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from fotapool.model import Change, Clock, OutcomeUnknown, StoreError
from fotapool.store.group import GroupCommit
from fotapool.store.grouped import GroupedStore
from fotapool.store.schema import MIGRATIONS, Migration
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.sqlite_connection import SqliteConnection, in_snapshot
from fotapool.store.sqlite_errors import errors_mapped, is_unsynced
from fotapool.store.sqlite_file import (
    apply_migration,
    open_connection,
    prepare_file,
    sole_server,
)
from fotapool.store.sqlite_image import put_image, take_image
from fotapool.store.tx import StoredTx

T = TypeVar("T")


class SqliteStore(GroupedStore):
    """The embedded store. Thread-safe; other processes may write the same file meanwhile.

    `path` is None for a database in memory, which lives as long as this object. Raises
    StoreUnusable for a file that is not ours, is newer than this code, or cannot be opened.
    """

    def __init__(
        self, path: Path | None, *, clock: Clock, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        self.path = path
        self._clock = clock
        self._idle: list[sqlite3.Connection] = []
        # In memory there is one connection only, so readers must wait for the writer.
        self._memory_lock = threading.RLock()
        if path is not None:
            prepare_file(path, clock, migrations)
        self._writer = open_connection(path)
        if path is None:
            for migration in migrations:
                apply_migration(self._writer, migration, clock)
        self._group = GroupCommit(self._transaction, self._was_committed)

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        with self._reading() as connection:
            return in_snapshot(connection, job)

    def serving(self) -> AbstractContextManager[None]:
        return nullcontext() if self.path is None else sole_server(self.path)

    def image(self) -> bytes:
        """The whole database as it stands. Raises StoreError."""
        with self._memory_lock, errors_mapped():
            return take_image(self._writer)

    def put_back(self, image: bytes) -> None:
        """Make the database what it was when an image was taken of one. Raises StoreError."""
        with self._memory_lock, errors_mapped():
            put_image(self._writer, image)

    def close(self) -> None:
        self._group.close()
        while self._idle:
            self._idle.pop().close()
        self._writer.close()

    @contextmanager
    def _transaction(self) -> Iterator[StoredTx]:
        connection = SqliteConnection(self._writer)
        with self._memory_lock:
            connection.write("BEGIN IMMEDIATE")
            try:
                yield StoredTx(connection)
                _commit(connection)
            except BaseException:
                if connection.alive:
                    connection.write("ROLLBACK")
                raise

    def _was_committed(self, _change: Change) -> bool:
        """Never: a COMMIT that was not synced is written over, so that no crash brings it back.

        Its pages are whole in the log until a later commit takes their place. Raises StoreError.
        """
        # Two, because SQLite writes nothing where a row stays what it was.
        for at_ms in (0, self._clock()):
            with self._transaction() as tx:
                tx.beat(os.getpid(), at_ms)
        return False

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self.path is None:
            with self._memory_lock:
                yield self._writer
            return
        connection = self._idle.pop() if self._idle else self._open_reader()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _open_reader(self) -> sqlite3.Connection:
        with errors_mapped():
            connection = open_connection(self.path)
            connection.execute("PRAGMA query_only = 1")
        return connection


def _commit(connection: SqliteConnection) -> None:
    """Commit. Raises OutcomeUnknown where a crash could bring back what is rolled back now."""
    try:
        connection.write("COMMIT")
    except StoreError as error:
        if is_unsynced(error.__cause__):
            raise OutcomeUnknown("the database could not be synced to the disk") from error
        raise
