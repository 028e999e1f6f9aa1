"""SQLite: one file (or memory), one writer thread, a connection for each reading thread.

Only the standard library's sqlite3 is used: two copies of SQLite in one process can destroy a
database, because POSIX locks belong to the process.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fotapool.model import Change, Clock, Command, Refused
from fotapool.store.group import GroupCommit, Job, Write
from fotapool.store.sqlite_errors import errors_mapped
from fotapool.store.sqlite_file import (
    MIGRATIONS,
    Migration,
    open_connection,
    prepare_file,
)
from fotapool.store.sqlite_image import put_image, take_image
from fotapool.store.sqlite_snapshot import SqliteSnapshot, in_snapshot
from fotapool.store.sqlite_tx import SqliteTx

T = TypeVar("T")


class SqliteStore:
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
                migration.apply(self._writer, clock)
        self._group: GroupCommit[SqliteTx] = GroupCommit(self._transaction)

    def submit(
        self,
        command: Command,
        apply: Callable[[SqliteTx, Sequence[Command]], Sequence[Change | Refused]],
    ) -> Future[Change]:
        entry: Write[SqliteTx] = Write(_uncancellable(), command, apply)
        self._group.put(entry)
        return entry.future

    def write(self, job: Callable[[SqliteTx], T]) -> Future[T]:
        entry: Job[SqliteTx] = Job(_uncancellable(), job)
        self._group.put(entry)
        return entry.future

    def read(self, job: Callable[[SqliteSnapshot], T]) -> T:
        """Run a job that only reads, on this thread, in one snapshot. Raises StoreError."""
        with self._reading() as connection:
            return in_snapshot(connection, job)

    def probe(self) -> None:
        """Commit a heartbeat, to know that the database can be written. Raises StoreError."""
        self.write(lambda tx: tx.beat(os.getpid(), self._clock())).result()

    def image(self) -> bytes:
        """The whole database as it stands. Raises StoreError."""
        with self._memory_lock, errors_mapped():
            return take_image(self._writer)

    def put_back(self, image: bytes) -> None:
        """Make the database what it was when an image was taken of one. Raises StoreError."""
        with self._memory_lock, errors_mapped():
            put_image(self._writer, image)

    def close(self) -> None:
        """Finish what is queued, then let go of the file."""
        self._group.close()
        while self._idle:
            self._idle.pop().close()
        self._writer.close()

    @contextmanager
    def _transaction(self) -> Iterator[SqliteTx]:
        with self._memory_lock, errors_mapped():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTx(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                # Disk full and I/O errors end the transaction by themselves.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self.path is None:
            with self._memory_lock, errors_mapped():
                yield self._writer
            return
        with errors_mapped():
            connection = self._idle.pop() if self._idle else self._open_reader()
            try:
                yield connection
            finally:
                self._idle.append(connection)

    def _open_reader(self) -> sqlite3.Connection:
        connection = open_connection(self.path)
        connection.execute("PRAGMA query_only = 1")
        return connection


def _uncancellable() -> Future[Any]:
    """A future that its waiter cannot cancel: what is queued will be done, waited for or not."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
