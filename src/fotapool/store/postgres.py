"""PostgreSQL: a pool of connections, a few writers, and any number of server processes beside.

READ COMMITTED: the row lock of an account is a statement of its own, and everything else is
read by later ones (docs/reference/protocol.md R16).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from fotapool.model import Change, Clock, OutcomeUnknown, StoreBusy, StoreError
from fotapool.store.group import GroupCommit
from fotapool.store.grouped import GroupedStore
from fotapool.store.postgres_connection import PostgresConnection
from fotapool.store.postgres_errors import in_our_words
from fotapool.store.postgres_schema import check_schema, configure, connected, connecting
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.tx import StoredTx

T = TypeVar("T")

# What the pool warns of while a server is away, our callers are told as StoreError.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

WRITERS = 4
CONNECTIONS_MAX = 10
"""For one process: its writers, its reading threads, and room for an operator's look."""
CONNECTION_WAIT_S = 5.0
FINDING_OUT_S = 5.0
"""How long a lost COMMIT is looked for before the answer is that nobody knows."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_LOCK_DIRECTORY = "SELECT pg_advisory_xact_lock(hashtext('fotapool'), hashtext('directory'))"


class _ConnectionLost(StoreError):
    """The connection broke before the commit was asked for: nothing was done."""


class PostgresStore(GroupedStore):
    """The store for several server processes and machines. Thread-safe.

    Raises StoreUnusable where there is no such database, or its schema is not this version's
    (`fotapool admin migrate` brings it there).
    """

    def __init__(self, url: str, *, clock: Clock) -> None:
        self._clock = clock
        check_schema(url)
        self._pool = ConnectionPool(
            kwargs=connecting(url),
            configure=configure,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECTION_WAIT_S,
            reconnect_timeout=1,
            open=True,
        )
        self._group = GroupCommit(self._transaction, self._was_committed, writers=WRITERS)

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        try:
            return self._read(job)
        except _ConnectionLost:
            # It was from before the server restarted, perhaps, and a read can be asked again.
            return self._read(job)

    def write(self, job: Callable[[StoredTx], T]) -> Future[T]:
        """Run a job in a transaction of its own, and alone of all jobs of all processes."""

        def alone(tx: StoredTx) -> T:
            tx.connection.write(_LOCK_DIRECTORY)
            return job(tx)

        return super().write(alone)

    def serving(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self._group.close()
        self._pool.close()

    def _read(self, job: Callable[[StoredSnapshot], T]) -> T:
        with self._connected() as connection:
            connection.write(_BEGIN_SNAPSHOT)
            told = job(StoredSnapshot(connection))
            connection.write("COMMIT")
            connection.settle()
            return told

    @contextmanager
    def _transaction(self) -> Iterator[StoredTx]:
        with self._connected() as connection:
            connection.write(_BEGIN)
            yield StoredTx(connection)
            connection.settle()
            _commit(connection.raw)

    def _was_committed(self, change: Change) -> bool:
        """Look for a change until the database can tell. Raises StoreError when it cannot."""
        give_up_s = time.monotonic() + FINDING_OUT_S
        while True:
            try:
                return self._look_for(change)
            except StoreError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.1)

    def _look_for(self, change: Change) -> bool:
        with self._transaction() as tx:
            # Both locks wait for a transaction that is still committing, lost though it is to us.
            tx.connection.write(_LOCK_DIRECTORY)
            found = tx.holds(change)
            # What a standby has not got would be lost with this server. It gets everything in
            # order: once a later commit has reached it, so has the change.
            tx.beat(os.getpid(), self._clock())
            return found

    @contextmanager
    def _connected(self) -> Iterator[PostgresConnection]:
        """A connection of the pool; whatever fails, it goes back with nothing left on it."""
        try:
            raw = self._pool.getconn()
        except PoolTimeout as error:
            raise StoreBusy("the database cannot be reached; nothing was done") from error
        try:
            connection = PostgresConnection(raw)
            try:
                yield connection
            except OutcomeUnknown:
                raise
            except Exception as error:
                connection.abandon()
                if raw.closed:
                    raise _ConnectionLost(str(error)) from error
                raise
        except psycopg.Error as error:
            raise _ConnectionLost(str(in_our_words(error))) from error
        finally:
            lost = raw.closed
            self._pool.putconn(raw)
            if lost:
                self._pool.check()


class PostgresReader:
    """A connection for reading alone; what cannot be read leaves the rest to be read."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        """Run a job that only reads, in one snapshot. Raises StoreError."""
        connection = PostgresConnection(self._raw)
        try:
            connection.write(_BEGIN_SNAPSHOT)
            connection.forgive()
            return job(StoredSnapshot(connection))
        finally:
            connection.abandon()


@contextmanager
def opened_reader(url: str) -> Iterator[PostgresReader]:
    """Open a database for reading alone. Raises StoreUnusable."""
    check_schema(url)
    with connected(url) as raw:
        yield PostgresReader(raw)


def _commit(raw: psycopg.Connection[Any]) -> None:
    """Commit. Raises OutcomeUnknown where nobody can tell whether it took."""
    warnings: list[str | None] = []

    def note(told: psycopg.errors.Diagnostic) -> None:
        if told.severity_nonlocalized == "WARNING":
            warnings.append(told.message_primary)

    raw.add_notice_handler(note)
    try:
        done = raw.execute("COMMIT").statusmessage
    except psycopg.Error as error:
        if raw.closed:
            raise OutcomeUnknown("the database was lost in the middle of a commit") from error
        raise in_our_words(error) from error
    finally:
        raw.remove_notice_handler(note)
    if warnings:
        # Committed here, yet the wait for the standby was cut short.
        raise OutcomeUnknown(f"the database would not vouch for the commit: {warnings[0]}")
    if done != "COMMIT":
        raise StoreError(f"the database answered {done} to a commit; nothing was done")
