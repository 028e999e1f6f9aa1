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

import msgspec

from fotapool.model import (
    Account,
    AccountKey,
    AccountSummary,
    AlreadyExists,
    Change,
    Clock,
    Command,
    Cursor,
    Facts,
    NotFound,
    Page,
    PurchaseType,
    Refused,
    StoreBusy,
    StoreError,
    Totals,
)
from fotapool.store import statements as sql
from fotapool.store.group import GroupCommit, Job, Write
from fotapool.store.sqlite_directory import SqliteDirectory
from fotapool.store.sqlite_file import MIGRATIONS, Migration, open_connection, prepare_file

T = TypeVar("T")

FEW = 8
"""Up to this many devices, a row at a time is faster than a set-based statement."""

_numbers = msgspec.json.Decoder(list[int])
_sets = msgspec.json.Decoder(frozenset[int])
_to_json = msgspec.json.Encoder().encode


class SqliteTx(SqliteDirectory):
    """A write transaction: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

    def account(self, account_id: int) -> Account:
        row = self._connection.execute(sql.ACCOUNT, (account_id,)).fetchone()
        if row is None:
            raise NotFound(f"account {account_id} is not in this database")
        total, used, overhang, active, sequence, changed_at_ms, head = row
        return Account(
            account_id, Totals(total, used, overhang), bool(active), sequence, changed_at_ms, head
        )

    def gather(self, account_id: int, imeis: Sequence[int]) -> Facts:
        row = self._connection.execute(
            sql.FACTS, (_array(imeis), account_id, account_id)
        ).fetchone()
        return Facts(*map(_sets.decode, row))

    def grant(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        if len(imeis) <= FEW:
            cursor = self._connection.executemany(
                sql.LICENSE_INSERT_ONE, [(account_id, imei, at_ms, sequence) for imei in imeis]
            )
        else:
            cursor = self._connection.execute(
                sql.LICENSE_INSERT, (account_id, at_ms, sequence, _array(sorted(imeis)))
            )
        _expect_rows(cursor, imeis)

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        named = _array(imeis)
        kept = self._connection.execute(sql.SPAN_INSERT, (at_ms, sequence, account_id, named))
        _expect_rows(kept, imeis)
        _expect_rows(self._connection.execute(sql.LICENSE_DELETE, (account_id, named)), imeis)

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(sql.DEVICE_UPSERT, (account_id, _array(sorted(imeis))))
        _expect_rows(cursor, imeis)

    def cancel_upgrades(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(sql.UPGRADES_CANCEL, (account_id, _array(imeis)))
        _expect_rows(cursor, imeis)

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
        with _errors_mapped():
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
        future: Future[Change] = Future()
        self._group.put(Write(future, command, apply))
        return future

    def write(self, job: Callable[[SqliteTx], T]) -> Future[T]:
        future: Future[T] = Future()
        self._group.put(Job(future, job))
        return future

    def page(self, account: AccountKey, cursor: Cursor, size: int) -> Page:
        with self._reading() as connection:
            row = _page_row(connection, account.id, cursor, size + 1)
        if row is None:
            raise NotFound(f"account {account.name} is not in this database")
        total, used, overhang, sequence, known, imeis_json, times_json = row
        imeis, times = _numbers.decode(imeis_json), _numbers.decode(times_json)
        return Page(
            account=account,
            totals=Totals(total, used, overhang),
            sequence=sequence,
            imeis=imeis[:size],
            assigned_at_ms=times[:size],
            more=len(imeis) > size,
            cursor=cursor,
            cursor_known=bool(known) or cursor.imei is None,
        )

    def look_up(self, job: Callable[[SqliteDirectory], T]) -> T:
        """Run a job that only reads the directory, on this thread. Raises StoreError."""
        with self._reading() as connection:
            return job(SqliteDirectory(connection))

    def summary(self, account: AccountKey) -> AccountSummary:
        """An account as an operator lists it. Raises StoreError."""
        with self._reading() as connection:
            row = connection.execute(sql.ACCOUNT_SUMMARY, (account.id,)).fetchone()
        purchase_type, active, total, used, overhang = row
        return AccountSummary(
            account, PurchaseType(purchase_type), bool(active), Totals(total, used, overhang)
        )

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
        with self._memory_lock, _errors_mapped():
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
            with self._memory_lock, _errors_mapped():
                yield self._writer
            return
        with _errors_mapped():
            connection = self._idle.pop() if self._idle else self._open_reader()
            try:
                yield connection
            finally:
                self._idle.append(connection)

    def _open_reader(self) -> sqlite3.Connection:
        connection = open_connection(self.path)
        connection.execute("PRAGMA query_only = 1")
        return connection


@contextmanager
def _errors_mapped() -> Iterator[None]:
    """Turn what SQLite raises into our words; the cause is kept."""
    try:
        yield
    except sqlite3.IntegrityError:
        # A CHECK refused what was decided: a defect, not a condition to be waited out.
        raise
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreBusy("another process holds the database; nothing was done") from error
        raise StoreError(f"the database could not do it ({error}); nothing was done") from error


def _page_row(connection: sqlite3.Connection, account_id: int, cursor: Cursor, rows: int) -> Any:
    if cursor.offset is not None:
        query = connection.execute(sql.PAGE_AT, (account_id, rows, cursor.offset, account_id))
    else:
        after = -1 if cursor.imei is None else cursor.imei
        query = connection.execute(
            sql.PAGE_AFTER, (account_id, after, account_id, after, rows, account_id)
        )
    return query.fetchone()


def _array(imeis: Sequence[int]) -> str:
    """A list as SQL takes it: one JSON text."""
    return _to_json(imeis).decode()


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
