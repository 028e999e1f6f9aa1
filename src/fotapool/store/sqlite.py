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

from fotapool.model import (
    Account,
    AccountKey,
    AlreadyExists,
    Change,
    Clock,
    Command,
    IdempotencyKey,
    KeyUse,
    PurchaseType,
    Refused,
)
from fotapool.store import statements as sql
from fotapool.store.group import GroupCommit, Job, Write
from fotapool.store.sqlite_errors import errors_mapped
from fotapool.store.sqlite_file import (
    MIGRATIONS,
    Migration,
    open_connection,
    prepare_file,
)
from fotapool.store.sqlite_snapshot import SqliteSnapshot, array, in_snapshot

T = TypeVar("T")

FEW = 8
"""Up to this many devices, a row at a time is faster than a set-based statement."""


class SqliteTx(SqliteSnapshot):
    """A write transaction: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

    def grant(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        if len(imeis) <= FEW:
            cursor = self._connection.executemany(
                sql.LICENSE_INSERT_ONE, [(account_id, imei, at_ms, sequence) for imei in imeis]
            )
        else:
            cursor = self._connection.execute(
                sql.LICENSE_INSERT, (account_id, at_ms, sequence, array(sorted(imeis)))
            )
        _expect_rows(cursor, imeis)

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        named = array(imeis)
        kept = self._connection.execute(sql.SPAN_INSERT, (at_ms, sequence, account_id, named))
        _expect_rows(kept, imeis)
        _expect_rows(self._connection.execute(sql.LICENSE_DELETE, (account_id, named)), imeis)

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(sql.DEVICE_UPSERT, (account_id, array(sorted(imeis))))
        _expect_rows(cursor, imeis)

    def cancel_upgrades(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(sql.UPGRADES_CANCEL, (account_id, array(imeis)))
        _expect_rows(cursor, imeis)

    def key_uses(self, account_id: int, day: int, texts: Sequence[str]) -> dict[str, KeyUse]:
        rows = self._connection.execute(sql.KEYS, (account_id, day, account_id, day, array(texts)))
        return {text: KeyUse(fingerprint, sequence) for text, fingerprint, sequence in rows}

    def keep_keys(
        self, account_id: int, day: int, used: Sequence[tuple[IdempotencyKey, int]]
    ) -> None:
        self._connection.executemany(
            sql.KEY_INSERT,
            [(account_id, day, key.text, key.fingerprint, sequence) for key, sequence in used],
        )

    def forget_keys(self, account_id: int, day: int, count: int) -> None:
        self._connection.execute(
            sql.KEYS_FORGET, (account_id, day, account_id, account_id, account_id, count)
        )

    def append(self, changes: Sequence[Change]) -> None:
        self._connection.executemany(sql.CHANGE_INSERT, map(_change_row, changes))

    def save(self, account: Account) -> None:
        totals = account.totals
        self._connection.execute(
            sql.ACCOUNT_UPDATE,
            (
                totals.total,
                totals.used,
                totals.overhang,
                account.sequence,
                account.changed_at_ms,
                account.head,
                account.id,
            ),
        )

    def open_account(self, name: str, purchase_type: PurchaseType) -> AccountKey:
        if self._connection.execute(sql.ACCOUNT_BY_NAME, (name,)).fetchone():
            raise AlreadyExists(f"account {name} exists already")
        (account_id,) = self._connection.execute(sql.ACCOUNT_NAME_INSERT, (name,)).fetchone()
        self._connection.execute(sql.ACCOUNT_INSERT, (account_id, purchase_type.value, b""))
        return AccountKey(account_id, name)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with errors_mapped():
            self._connection.execute("SAVEPOINT alone")
            try:
                yield
            except BaseException:
                if self.alive:
                    self._connection.execute("ROLLBACK TO alone")
                    self._connection.execute("RELEASE alone")
                raise
            self._connection.execute("RELEASE alone")

    @property
    def alive(self) -> bool:
        return self._connection.in_transaction


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


def _expect_rows(cursor: sqlite3.Cursor, imeis: Sequence[int]) -> None:
    """The decision and the tables must agree; the transaction ends here if they do not."""
    if cursor.rowcount != len(imeis):
        raise RuntimeError(f"wrote {cursor.rowcount} rows where {len(imeis)} were decided")


def _change_row(change: Change) -> tuple[object, ...]:
    return (
        change.account.id,
        change.sequence,
        change.at_ms,
        change.actor,
        change.request_id,
        change.verb,
        change.packed,
        change.outcomes,
        change.totals.total,
        change.totals.used,
        change.totals.overhang,
        change.detail,
        change.hash,
    )
